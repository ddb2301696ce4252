"""Functions of arrays that are sharded over the explicit axes of a mesh, the kind that `jax.make_mesh` makes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax import Array
from jax.sharding import AxisType, PartitionSpec

P = ParamSpec("P")
R = TypeVar("R")


def on_explicit_axes(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function of arrays, such as a loss.

    Over explicit axes every operation has to say how its result is sharded. Inside of the decorated function the compiler
    decides instead, as over the other kinds of axes. Results that begin with axes of the sizes of the first array's, as the
    outputs of queries do, are sharded as it is along these axes; others, such as the value of a loss, are replicated. Under
    `shard_map` nothing changes.

    Source: https://docs.jax.dev/en/latest/notebooks/explicit-sharding.html
    """
    form = inspect.signature(function)

    @functools.wraps(function)
    def run(*given: P.args, **named: P.kwargs) -> R:
        if not any(_is_spread(leaf) for leaf in jax.tree.leaves((given, named)) if isinstance(leaf, Array)):
            return function(*given, **named)
        bound = form.bind(*given, **named)
        leaves: list[Any]
        tree: Any
        leaves, tree = jax.tree.flatten(list(bound.arguments.values()))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Array)]
        arrays = [leaves[place] for place in places]

        def call(*found: Array) -> R:
            both = dict(enumerate(leaves)) | dict(zip(places, found, strict=True))
            values = tree.unflatten(both[place] for place in range(len(leaves)))
            bound.arguments.update(zip(bound.arguments, values, strict=True))
            return function(*bound.args, **bound.kwargs)

        automatic: Any = functools.partial(jax.sharding.auto_axes, call)
        results = jax.eval_shape(automatic(out_sharding=PartitionSpec()), *arrays)
        return automatic(out_sharding=jax.tree.map(functools.partial(_along, arrays[0]), results))(*arrays)

    return run


def _along(first: Array, result: Any) -> PartitionSpec:
    """How a result is sharded: as the first array, along the axes with which both begin."""
    spec = []
    for part, size, own in zip(jax.typeof(first).sharding.spec, first.shape, result.shape, strict=False):
        if size != own:
            break
        spec.append(part)
    return PartitionSpec(*spec)


def _is_spread(array: Array) -> bool:
    """Whether an axis of the array is cut over explicit axes of a mesh."""
    sharding = jax.typeof(array).sharding
    names = [name for part in sharding.spec for name in (part if isinstance(part, tuple) else (part,)) if name]
    kinds = dict(zip(sharding.mesh.axis_names, sharding.mesh.axis_types, strict=True))
    return any(kinds.get(name) == AxisType.Explicit for name in names)
