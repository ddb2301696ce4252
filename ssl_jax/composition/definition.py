"""Checks of a recipe's function where it is decorated: a mistake in it is a sentence before anything is opened or written."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from ssl_jax.composition.kinds import EXPECTED, description, fits, is_kind, name_of
from ssl_jax.data import Data
from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net
from ssl_jax.ranges import annotated_ranges, check_ranges

GIVEN = {"data": Data, "encoder": Net}  # Types of these options in Python; the command line takes names.
Parameters = Mapping[str, inspect.Parameter]


def is_group(default: Any) -> bool:
    """Whether a default makes its parameter a group of options: an instance of a dataclass, such as `Laptop()`."""
    return is_dataclass(default) and not isinstance(default, (type, *GIVEN.values()))


def method_fields(method: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The types of fields of a method that become options, as `@recipe(METHOD, field=value)` states them.

    Raises:
      UsageError: the class is no dataclass of its own, or has no such field.
    """
    kinds = get_type_hints(method, include_extras=True)
    known = [field.name for field in fields(method)] if is_dataclass(method) else []
    for name in values:
        if name in kinds and name not in known:
            raise UsageError(
                f"recipe: {name} is no field of {method.__name__} yet: write @dataclass(frozen=True) above the class."
            )
        if name not in known:
            raise UsageError(
                f"recipe: {method.__name__} has no field {name}, expected some of {', '.join(known) or 'its fields'}."
            )
    return {name: kinds[name] for name in values}


def check_parameters(
    make: Callable[..., Any], parameters: Parameters, method: type | None, names: Iterable[str]
) -> None:
    """Refuses a signature that a recipe cannot have.

    Args:
      make: the recipe's function.
      parameters: its parameters.
      method: the class whose fields become options; None where none do.
      names: of these fields.
    """
    name, kinds = make.__name__, {each.kind for each in parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY}:
        raise UsageError(f"{name}: its options have names, and it has *args or a / in its parameters: leave them out.")
    takes_rest, brought = inspect.Parameter.VAR_KEYWORD in kinds, ", ".join(names)
    if brought and method and not takes_rest:
        raise UsageError(
            f"{name}: the fields of {method.__name__} that are its options ({brought}) reach it as **options, and it has none: "
            f"add **options to its parameters, and give them on, {method.__name__}(..., **options)."
        )
    if takes_rest and method is None:
        raise UsageError(
            f"{name}: its **options stay empty: name the method and the fields that are options, @recipe(METHOD, field=value), "
            "or leave **options out."
        )
    for each in parameters.values():
        if each.kind is not each.VAR_KEYWORD:
            _check_parameter(name, each)


def _check_parameter(name: str, each: inspect.Parameter) -> None:
    if is_dataclass(each.annotation) and not is_group(each.default):
        kind = name_of(each.annotation)
        got = "no default" if each.default is each.empty else f"the default {name_of(each.default)}"
        raise UsageError(
            f"{name}: {each.name} is a group of options with {got}: give it an instance, {each.name}: {kind} = {kind}(...)."
        )
    if each.annotation is each.empty and not is_group(each.default):
        kind = "int" if each.default is each.empty else name_of(type(each.default))
        given = "" if each.default is each.empty else f" = {each.default!r}"
        raise UsageError(
            f"{name}: the option {each.name} has no type: annotate it, such as {each.name}: {kind}{given}."
        )


def check_options(make: Callable[..., Any], sources: Iterable[tuple[str, Iterable[inspect.Parameter]]]) -> None:
    """Refuses two options of one name, types that are no options', and defaults that do not fit.

    sources: whose options they are, in words, and the options.
    """
    name, of = make.__name__, dict[str, str]()
    for source, options in sources:
        for each in options:
            if each.name in of:
                raise UsageError(
                    f"{name}: {each.name} is an option twice, of {of[each.name]} and of {source}: leave one out, or rename it."
                )
            of[each.name] = source
            if not is_kind(each.annotation):
                raise UsageError(
                    f"{name}: the option {each.name} has the type {name_of(each.annotation)}, expected {EXPECTED}."
                )
            if each.default is not each.empty:
                _check_default(name, each)


def _check_default(name: str, each: inspect.Parameter) -> None:
    if not isinstance(each.default, GIVEN.get(each.name, ())) and not fits(each.default, each.annotation):
        raise UsageError(
            f"{name}: the default of {each.name} is {each.default!r}, expected {description(each.annotation)}: change the "
            "default or the type."
        )
    try:
        check_ranges(annotated_ranges({each.name: each.annotation}), **{each.name: each.default})
    except UsageError as fault:
        raise UsageError(
            f"{name}: the default of {fault}".rstrip(".")
            + ", as in every recipe: change it, rename the option, or state a range, Annotated[float, Range(0.0, 10.0)]."
        ) from None


# What a recipe's functions take: in words, and the number of arguments.
CALLS = {
    "augment": ("(rng, image), as opened.views() makes one", 2),
    "prepare": ("(image), as opened.prepare", 1),
    "optimizer": ("of the number of steps, such as training.adamw, which is not called", 1),
}


def check_calls(method: Any, **functions: Any) -> None:
    """Refuses parts of a recipe that cannot be called as they will be: the method's objective, and those of `CALLS`."""
    if isinstance(method, type):
        raise UsageError(
            f"method: got the class {method.__name__}, expected an instance: {method.__name__}(encoder, head)."
        )
    for name, function in functions.items():
        expected, count = CALLS[name]
        if not callable(function):
            raise UsageError(f"{name}: got {type(function).__name__}, expected a function {expected}.")
        if not _takes(function, *range(count)):
            raise UsageError(
                f"{name}: got {name_of(function)}{inspect.signature(function)}, expected a function {expected}."
            )
    objective = getattr(method, "objective", None)
    if objective and not _takes(objective, *range(4), axis_name=None):
        raise UsageError(
            f"{type(method).__name__}.objective: it takes {inspect.signature(objective)}, expected (embeddings, state, rng, "
            "step, *, axis_name=None)."
        )


def _takes(function: Callable[..., Any], *given: Any, **named: Any) -> bool:
    """Whether a function can be called with these arguments; True where its signature is unknown."""
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
