"""Devices: one mesh with the axes ("data", "model"), the batch over "data", parameters replicated or sharded.

Everything else in the project works on global arrays, independent of the number of devices.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ssl_jax.errors import UsageError

AXES = ("data", "model")
SMALLEST_SHARDED_LEAF = 2**14  # Below this many elements, a collective costs more than the copy it saves.


def make_mesh(devices: int | None = None) -> Mesh:
    """A mesh over the first `devices` devices (all, of all hosts, by default), shape `[devices, 1]`."""
    available = jax.devices()
    count = len(available) if devices is None else devices
    if not 1 <= count <= len(available):
        raise UsageError(
            f"devices: got {count}, but {len(available)} are available: choose 1 to {len(available)} "
            "(more host devices on CPU: JAX_NUM_CPU_DEVICES=8)."
        )
    return mesh_over(available[:count])


def mesh_over(devices: Sequence[Any]) -> Mesh:
    """A mesh of shape `[devices, 1]`. Of several slices, which a slower network joins, one follows another."""
    automatic = AxisType.Auto, AxisType.Auto
    held = Counter(getattr(device, "slice_index", 0) for device in devices)
    if len(held) == 1:
        return jax.make_mesh((len(devices), 1), AXES, axis_types=automatic, devices=devices)
    if len(set(held.values())) > 1:
        raise UsageError(
            f"devices: got {len(devices)} of {len(held)} slices, {sorted(held.values())} of each, expected as many of each: "
            "use all devices, or those of one slice."
        )
    shapes = (len(devices) // len(held), 1), (len(held), 1)
    grid = mesh_utils.create_hybrid_device_mesh(*shapes, devices, allow_split_physical_axes=True)
    return Mesh(grid, AXES, axis_types=automatic)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis sharded over the devices, the others not."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(mesh: Mesh, shapes: Any, *, shard_parameters: bool = False) -> Any:
    """A sharding for each leaf of a tree of shapes.

    Replicated; or, with `shard_parameters` (FSDP), the longest axis that the number of devices divides is sharded,
    for every large leaf: parameters, moments and teachers then take 1/n of their memory on each of n devices.
    """

    def rule(leaf: Any) -> NamedSharding:
        axes = [axis for axis, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if not shard_parameters or not axes or math.prod(leaf.shape) < SMALLEST_SHARDED_LEAF:
            return replicated(mesh)
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, mesh.axis_names))

    return jax.tree.map(rule, shapes)


def rows_specs(tree: Any) -> Any:
    """A specification for each leaf of a tree that is sharded by rows: its first axis over "data"; scalars are replicated."""
    return jax.tree.map(lambda leaf: PartitionSpec("data") if leaf.ndim else PartitionSpec(), tree)


def rows_shardings(mesh: Mesh, tree: Any) -> Any:
    """`rows_specs` on this mesh."""
    return jax.tree.map(partial(NamedSharding, mesh), rows_specs(tree))


def check_batch_size(batch_size: int, mesh: Mesh, *, microbatches: int = 1) -> None:
    """Refuses a batch size that is not a multiple of devices times microbatches."""
    if microbatches < 1:
        raise UsageError(f"microbatches: got {microbatches}, expected 1 or more.")
    shares = mesh.size * microbatches
    if batch_size < 1 or batch_size % shares:
        near = max(1, round(batch_size / shares)) * shares
        parts = f" in {microbatches} microbatches" if microbatches > 1 else ""
        raise UsageError(
            f"batch_size: {batch_size} examples cannot be shared equally by {mesh.size} devices{parts}: "
            f"choose a multiple of {shares}, such as {near}."
        )
