"""Wrong arguments for the calls of `public_calls`, one at a time, and what becomes of them."""

import inspect
import re
import traceback
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
from public_calls import Call

import ssl_jax
from ssl_jax.ops.streaming import softmax_sum

PACKAGE = str(Path(ssl_jax.__file__).parent)
NAN, INFINITY = float("nan"), float("inf")


class Right:
    """A call with a right argument, computed once."""

    def __init__(self, call, argument, value):
        self.call, self.changed = call, {argument: value}

    @cached_property
    def result(self):
        return self.call.function(**self.call.arguments | self.changed)


class Misuse(NamedTuple):
    """`same_as`: a right argument that means the same, where the wrong one may be accepted and must then give the same."""

    argument: str
    kind: str
    value: Any
    same_as: Right | None = None
    named: tuple[str, ...] = ()  # what the sentence may name instead: arrays that have the same axis


class Outcome(Enum):
    REFUSED = "one sentence of ours that names the argument, or the same result as the right one"
    UNNAMED = "a sentence of ours that does not name the argument, or not what came"
    FOREIGN = "an exception that is not ours"
    ACCEPTED = "a result"


def misuses(call: Call):
    """All wrong arguments of a call."""
    parameters = parameters_of(call.function)
    for name, shaped in call.shaped.items():
        optional = name in parameters and parameters[name].default is None
        yield from of_array(call, name, shaped, optional)
    for name, shaped in call.floats.items():
        whole = shaped.array > 0
        right = Right(call, name, whole.astype(np.float32))
        yield from (Misuse(name, "int32", whole.astype(np.int32), right), Misuse(name, "bool", whole, right))
    for name, shaped in call.integers.items():
        yield from (Misuse(name, "floats", shaped.array + 0.5), Misuse(name, "bool", shaped.array > 0))
        yield Misuse(name, "float32", shaped.array.astype(np.float32))
        for wrong in shaped.wrong:
            array = shaped.array.copy()
            array.flat[1] = wrong
            yield Misuse(name, f"a label of {wrong}", array)
    for name, shaped in call.masks.items():
        yield Misuse(name, "halves", shaped.array / np.float32(2))
        yield Misuse(name, "float32", shaped.array.astype(np.float32), Right(call, name, shaped.array))
    yield from of_numbers(call, parameters)
    for name, parameter in parameters.items():
        yield from of_options(name, parameter)
    for name, value in call.objects.items():
        optional = [None] if parameters[name].default is None else []
        if not isinstance(value, bool):  # a flag
            yield from (Misuse(name, repr(wrong), wrong) for wrong in (None, 3, "a", 2.5, [3]) if wrong not in optional)


def of_array(call, name, shaped, optional):
    axes, array = shaped.axes.split(), shaped.array
    yield from (Misuse(name, "a list", array.tolist()), Misuse(name, "a string", "rows"), Misuse(name, "a number", 0.5))
    yield Misuse(name, "complex64", array.astype(np.complex64))
    yield Misuse(name, "objects", array.astype(object))
    if not optional:
        yield Misuse(name, "None", None)
    if "..." not in axes:
        yield from (Misuse(name, "an axis more", array[None]), Misuse(name, "an axis less", array[0]))
    axes = [axis for axis in axes if axis != "..."]
    everywhere = [axis.rstrip("?") for other in call.shaped.values() for axis in other.axes.split()]
    for place, axis in enumerate(axes):
        size = array.shape[place]
        if everywhere.count(axis.rstrip("?")) > 1:
            wrong = np.resize(
                array, [*array.shape[:place], size - 1 if size > 2 else size + 1, *array.shape[place + 1 :]]
            )
            same = tuple(other for other in call.shaped if axis.rstrip("?") in call.shaped[other].axes)
            yield Misuse(name, f"{axis} of {wrong.shape[place]}", wrong, named=same)
        if "?" not in axis:
            yield Misuse(name, f"no {axis}", np.take(array, [], axis=place))


def of_numbers(call, parameters):
    reals = {**call.positive, **call.weights, **call.shares, **call.numbers}
    for name in reals:
        wrong = [NAN, INFINITY, "a", 1j, [0.5], np.full(2, 0.5, np.float32), np.array("a")]
        wrong += [True] if name not in call.numbers else []
        wrong += [-1.0] if name not in call.numbers else []
        wrong += [0.0] if name in call.positive else []
        wrong += [1.5] if name in call.shares else []
        yield from (Misuse(name, shown(value), value) for value in wrong)
        if parameters[name].default is not None:
            yield Misuse(name, "None", None)
    for name in {**call.counts, **call.seeds}:
        wrong = [-1, 2.5, NAN, "a", [2], True, np.full(2, 2)] + ([0] if name in call.counts else [])
        yield from (Misuse(name, shown(value), value) for value in wrong)
        if parameters[name].default is not None:
            yield Misuse(name, "None", None)
    for name in call.sequences:
        yield from (
            Misuse(name, shown(wrong), wrong) for wrong in (None, 0.5, "a", [], [-1.0], [0.0], ["a"], [NAN], [None])
        )


def of_options(name, parameter):
    """Of the signature alone: flags, choices and the names of axes."""
    kind = parameter.annotation
    kinds = [kind, *get_args(kind)]
    if kind is bool:
        yield from (Misuse(name, shown(wrong), wrong) for wrong in ("no", None, 2, 0.5, np.ones(2, bool)))
    elif any(get_origin(one) is Literal for one in kinds):
        wrong = ["nonsense", 3, ["a"]] + ([None] if type(None) not in kinds else [])
        yield from (Misuse(name, shown(value), value) for value in wrong)
    elif name.endswith("axis_name"):
        yield from (Misuse(name, shown(wrong), wrong) for wrong in ("nonsense", 3, ["data"], 0.5))


def parameters_of(function):
    found = dict(inspect.signature(function, eval_str=True).parameters)
    if "arguments" in found:  # those of `softmax_sum`
        found = {**inspect.signature(softmax_sum, eval_str=True).parameters, **found}
        del found["arguments"]
    return found


def shown(value):
    return f"{value.dtype} of {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def outcome(call: Call, misuse: Misuse):
    """What became of it, and what was said."""
    try:
        found = call.function(**call.arguments | {misuse.argument: misuse.value})
    except Exception as fault:
        return judged(fault, misuse), f"{type(fault).__name__}: {fault}"
    if misuse.same_as is None:
        return Outcome.ACCEPTED, ""
    same = jax.tree.all(jax.tree.map(is_close, found, misuse.same_as.result))
    return (Outcome.REFUSED, "") if same else (Outcome.ACCEPTED, "another result")


def is_close(found, expected):
    if not isinstance(found, jax.Array | np.ndarray | float | int):
        return found == expected
    found, expected = (jnp.asarray(value, jnp.float32) for value in (found, expected))
    return np.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def judged(fault, misuse):
    """Whether the package raised it, as one sentence that names the argument and says what came."""
    sentence, last = str(fault), traceback.extract_tb(fault.__traceback__)[-1]
    if not (isinstance(fault, ValueError) and last.filename.startswith(PACKAGE)):
        return Outcome.FOREIGN
    words = {word for argument in (misuse.argument, *misuse.named) for word in (argument, *argument.split("_"))}
    named = any(re.search(rf"\b{word}\b", sentence) for word in words)
    one = "\n" not in sentence and len(sentence) < 400
    came = "got " in sentence or repr(misuse.value) in sentence
    return Outcome.REFUSED if named and one and came else Outcome.UNNAMED
