"""Collectives that are the identity when one shard holds the whole batch (`axis_name=None`).

B: rows held by this shard; N: rows of the whole batch, in the order of the shards; S: number of shards. Each function
raises a ValueError if no axis of the given name is mapped.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec


def shards(axis_name: str | None) -> int:
    """S, the number of shards along a mapped axis; 1 without a name.

    Example:
      >>> print(shards(None), jax.vmap(lambda _: shards("data"), axis_name="data")(jnp.arange(4)))
      1 [4 4 4 4]
    """
    return 1 if axis_name is None else lax.axis_size(_bound(axis_name))


def gather_rows(rows: Array, axis_name: str | None) -> Array:
    """`[B, ...]` on each shard -> `[N, ...]` on every shard; the gradient returns to the shard that owns the row.

    Example:
      >>> print(jax.vmap(lambda rows: gather_rows(rows, "data"), axis_name="data")(jnp.arange(4).reshape(2, 2)))
      [[0 1 2 3]
       [0 1 2 3]]
    """
    return rows if axis_name is None else lax.all_gather(rows, _bound(axis_name), tiled=True)


def gather_positions(rows: Array, axis_name: str | None) -> Array:
    """`[B, T, ...]` on each shard -> `[B, S T, ...]` on every shard, the parts in the order of the shards.

    Example:
      >>> tokens = jnp.arange(4).reshape(2, 1, 2)  # Two shards of an example with two positions each.
      >>> print(jax.vmap(lambda rows: gather_positions(rows, "data"), axis_name="data")(tokens)[0])
      [[0 1 2 3]]
    """
    return rows if axis_name is None else lax.all_gather(rows, _bound(axis_name), axis=1, tiled=True)


def replicate_rows(rows: Array, axis_name: str | None) -> Array:
    """`gather_rows` for stored rows: no gradient, and typed as equal on every shard, as a carried queue is.

    Example:
      >>> print(replicate_rows(jnp.arange(3), None))
      [0 1 2]
    """
    rows = lax.stop_gradient(rows)
    if not on_several_devices(axis_name):  # `vmap` has no such types
        return gather_rows(rows, axis_name)
    return lax.all_gather(rows, axis_name, tiled=True, to="invarying")


def row_numbers(rows: int, axis_name: str | None) -> Array:
    """Indices of this shard's rows in the whole batch: `[B]` integers below N.

    Example:
      >>> print(jax.vmap(lambda rows: row_numbers(len(rows), "data"), axis_name="data")(jnp.zeros((2, 3))))
      [[0 1 2]
       [3 4 5]]
    """
    first = 0 if axis_name is None else lax.axis_index(_bound(axis_name)) * rows
    return first + jnp.arange(rows)


def mean_over_shards(tree: Any, axis_name: str | None) -> Any:
    """Mean of every leaf over shards of equal size.

    Example:
      >>> print(jax.vmap(lambda loss: mean_over_shards(loss, "data"), axis_name="data")(jnp.array([1.0, 3.0])))
      [2. 2.]
    """
    return tree if axis_name is None else lax.pmean(tree, _bound(axis_name))


def max_over_shards(tree: Any, axis_name: str | None) -> Any:
    """Largest of every leaf over the shards.

    Example:
      >>> print(jax.vmap(lambda size: max_over_shards(size, "data"), axis_name="data")(jnp.array([1.0, 3.0])))
      [3. 3.]
    """
    return tree if axis_name is None else lax.pmax(tree, _bound(axis_name))


def pass_on(tree: Any, axis_name: str, *, distance: int = 1) -> Any:
    """The value of the shard that is `distance` before this one in a ring; of 1, the first shard gets that of the last.

    Example:
      >>> print(jax.vmap(lambda row: pass_on(row, "data"), axis_name="data")(jnp.arange(3)))
      [2 0 1]
    """
    count = shards(axis_name)
    ring = [(shard, (shard + distance) % count) for shard in range(count)]
    return jax.tree.map(lambda leaf: lax.ppermute(leaf, axis_name, ring), tree)


def on_several_devices(axis_name: str | None) -> bool:
    """Whether each shard of an axis is on its own device (`shard_map`, `pmap`), not all on one (`vmap`).

    Example:
      >>> print(on_several_devices(None))
      False
    """
    return axis_name in jax.sharding.get_abstract_mesh().manual_axes


def devices_under(array: Array) -> int:
    """Devices over which the compiler may spread a global array; 1 within the shards of a `shard_map`.

    Example:
      >>> print(devices_under(jnp.zeros(3)))
      1
    """
    mesh = jax.typeof(array).sharding.mesh
    return math.prod(size for name, size in mesh.shape.items() if name not in mesh.manual_axes)


def platform_of(array: Array) -> str:
    """The platform of the computation, as far as tracing determines it: "cpu", "tpu" or "gpu".

    Example:
      >>> print(platform_of(jax.device_put(jnp.zeros(3), jax.devices("cpu")[0])))
      cpu
    """
    device = jax.typeof(array).sharding.mesh.abstract_device
    if device is None:
        return jax.default_backend()
    kind = device.device_kind.lower()  # The device has no `platform` in jax 0.10.0.
    return kind if kind == "cpu" else "tpu" if kind.startswith("tpu") else "gpu"


def on_one_cpu(array: Array) -> bool:
    """Whether the computation is on a CPU, and not spread over several devices.

    Example:
      >>> print(on_one_cpu(jax.device_put(jnp.zeros(3), jax.devices("cpu")[0])))
      True
    """
    return platform_of(array) == "cpu" and devices_under(array) == 1


def spread(rows: Array, axis_name: str = "data") -> Array:
    """The same global array, with the constraint that its rows stay sharded over the devices of an axis, if there is one.

    After some rearrangements of rows the compiler would gather them and repeat the following computation on every device.

    Example:
      >>> print(jax.jit(spread)(jnp.arange(3)))
      [0 1 2]
    """
    mesh = jax.typeof(rows).sharding.mesh
    if not _is_global(mesh, axis_name):
        return rows
    return lax.with_sharding_constraint(rows, NamedSharding(mesh, PartitionSpec(axis_name)))


def over_shards(
    function: Callable[..., tuple[Any, Any]], rows: Any, whole: Any, *, axis_name: str = "data"
) -> tuple[Any, Any]:
    """`function(rows, whole, axis_name)` on global arrays, on each device's part of the rows: a pair of rows and whole arrays.

    The function gets None as axis_name, and all rows, where no mesh axis of this name has several devices.

    Example:
      >>> def largest(rows, whole, axis_name):
      ...     return rows * whole, max_over_shards(rows.max(), axis_name)
      >>> print(over_shards(largest, jnp.arange(3), jnp.array(2)))
      (Array([0, 2, 4], dtype=int32), Array(2, dtype=int32))
    """
    mesh = jax.typeof(jax.tree.leaves(rows)[0]).sharding.mesh
    if not _is_global(mesh, axis_name) or mesh.shape[axis_name] == 1:
        return function(rows, whole, None)
    cut, same = PartitionSpec(axis_name), PartitionSpec()
    run = jax.shard_map(
        lambda rows, whole: function(rows, whole, axis_name), mesh=mesh, in_specs=(cut, same), out_specs=(cut, same)
    )
    return run(rows, whole)


def return_to_owners(tree: Any, axis_name: str | None) -> Any:
    """The results of every shard for this shard's rows: leaves `[N, ...]` for the rows of all shards -> `[S, B, ...]`.

    Example:
      >>> print(return_to_owners(jnp.arange(3), None).shape)
      (1, 3)
    """

    def exchange(leaf: Array) -> Array:
        leaf = leaf.reshape(shards(axis_name), len(leaf) // shards(axis_name), *leaf.shape[1:])
        return leaf if axis_name is None else lax.all_to_all(leaf, axis_name, 0, 0)

    return jax.tree.map(exchange, tree)


def varying_together(tree: Any) -> Any:
    """The same tree, with all leaves typed as varying over every manual axis over which one varies.

    Under `shard_map`, values that loops carry and custom gradients return must have one such type. The gradient of a leaf
    that was equal on all shards is then summed over them.

    Example:
      >>> print(varying_together((jnp.zeros(2), jnp.ones(1))))
      (Array([0., 0.], dtype=float32), Array([1.], dtype=float32))
    """
    axes = frozenset().union(*(_varying_axes(leaf) for leaf in jax.tree.leaves(tree)))

    def widen(leaf: Array) -> Array:
        missing = axes - _varying_axes(leaf)
        return lax.pcast(leaf, tuple(missing), to="varying") if missing else leaf

    return jax.tree.map(widen, tree)


def _is_global(mesh: Any, axis_name: str) -> bool:
    """Whether arrays on a mesh are global along an axis that it has: not the shards of a `shard_map`."""
    return axis_name in mesh.axis_names and axis_name not in mesh.manual_axes


def _varying_axes(leaf: Array) -> frozenset[str]:
    kind = jax.typeof(leaf)
    return kind.vma if hasattr(kind, "vma") else kind.mat.varying  # renamed within JAX 0.10


def _bound(axis_name: str) -> str:
    """The name, if an axis of that name is mapped."""
    if not isinstance(axis_name, str):
        raise ValueError(f"axis_name must be the name of a mapped axis, or None, got {axis_name!r}")
    try:
        lax.axis_size(axis_name)
    except NameError:
        raise ValueError(
            f"axis_name: {axis_name!r} is not bound: call inside shard_map, pmap or vmap with an axis of that name, "
            "or leave it out when the arrays hold the whole batch"
        ) from None
    return axis_name
