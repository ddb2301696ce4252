"""Functions of a whole batch that is sharded over the explicit axes of a mesh, the kind that `jax.make_mesh` makes."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import jax
from jax import Array
from jax.sharding import AxisType, PartitionSpec

P = ParamSpec("P")


def on_explicit_axes(function: Callable[P, Array]) -> Callable[P, Array]:
    """Decorates a function whose result is the same on all devices, such as a loss.

    Over explicit axes every operation has to say how its result is sharded. Inside of the decorated function the compiler
    decides instead, as over the other kinds of axes; the result is replicated. Under `shard_map` nothing changes.

    Source: https://docs.jax.dev/en/latest/notebooks/explicit-sharding.html
    """

    @functools.wraps(function)
    def run(*given: P.args, **named: P.kwargs) -> Array:
        leaves: list[Any]
        tree: Any
        leaves, tree = jax.tree.flatten((given, named))
        arrays = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Array)]
        if not any(_is_spread(leaves[place]) for place in arrays):
            return function(*given, **named)

        def call(*found: Array) -> Array:
            both = dict(enumerate(leaves)) | dict(zip(arrays, found, strict=True))
            given, named = tree.unflatten(both[place] for place in range(len(leaves)))
            return function(*given, **named)

        automatic: Any = jax.sharding.auto_axes(call, out_sharding=PartitionSpec())
        return automatic(*(leaves[place] for place in arrays))

    return run


def _is_spread(array: Array) -> bool:
    """Whether an axis of the array is cut over explicit axes of a mesh."""
    sharding = jax.typeof(array).sharding
    names = [name for part in sharding.spec for name in (part if isinstance(part, tuple) else (part,)) if name]
    kinds = dict(zip(sharding.mesh.axis_names, sharding.mesh.axis_types, strict=True))
    return any(kinds.get(name) == AxisType.Explicit for name in names)
