"""Runs a function in pieces, in each of the ways in which a caller may have cut the batch over shards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

# Every way and every number of shards, two times each; the whole product would only add compilations.
CASES = (
    ("vmap", 1),
    ("vmap", 4),
    ("shard_map", 2),
    ("shard_map", 8),
    ("shard_map unchecked", 4),
    ("shard_map unchecked", 1),
    ("pmap", 8),
    ("pmap", 2),
)


def in_pieces(function, way, shards, *, cut, joined=None):
    """`function`, which speaks to its other shards over the axis "data", as a function of whole arrays.

    cut: for each argument the axis along which it is cut, or None where every shard gets it whole.
    joined: for the outputs (one number or a prefix of their tree) the axis along which shards are put together, or None
      where every shard returns the same; -1 stands for None inside a tree.
    """
    if way.startswith("shard_map"):
        mesh = Mesh(np.array(jax.devices()[:shards]), ("data",))
        return jax.shard_map(
            function,
            mesh=mesh,
            in_specs=tuple(_spec(axis) for axis in cut),
            out_specs=jax.tree.map(_spec, joined, is_leaf=lambda axis: axis is None),
            check_vma=way == "shard_map",
        )
    axes = tuple(None if axis is None else 0 for axis in cut)
    if way == "pmap":
        mapped = jax.pmap(function, axis_name="data", in_axes=axes, devices=jax.devices()[:shards])
    else:
        mapped = jax.vmap(function, axis_name="data", in_axes=axes, axis_size=shards)

    def run(*arrays):
        pieces = [
            array if axis is None else jnp.stack(jnp.split(array, shards, axis=axis))
            for array, axis in zip(arrays, cut, strict=True)
        ]
        outputs = mapped(*pieces)
        flat, tree = jax.tree.flatten(joined, is_leaf=lambda axis: axis is None)
        parts = tree.flatten_up_to(outputs)
        return tree.unflatten([jax.tree.map(functools.partial(_join, axis=axis), part) for axis, part in zip(flat, parts, strict=True)])

    return run


def assert_same_in_pieces(function, way, shards, arrays, *, cut, joined=None, rtol=2e-5, atol=1e-6):
    """Value and gradient of `function(*arrays, axis_name=...)` in pieces are those of the whole."""
    differentiated = tuple(i for i, array in enumerate(arrays) if jnp.issubdtype(array.dtype, jnp.floating))
    whole = jax.jit(jax.value_and_grad(function, differentiated))(*arrays)
    sharded = in_pieces(functools.partial(function, axis_name="data"), way, shards, cut=cut, joined=joined)
    pieces = jax.value_and_grad(sharded, differentiated)(*arrays)
    for expected, came in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces), strict=True):
        np.testing.assert_allclose(came, expected, rtol=rtol, atol=atol)


def _spec(axis):
    return PartitionSpec() if axis is None or axis < 0 else PartitionSpec(*(None,) * axis, "data")


def _join(part, axis):
    if axis is None or axis < 0:
        return part.mean(axis=0) if jnp.issubdtype(part.dtype, jnp.floating) else part[0]
    return jnp.concatenate(list(part), axis=axis)
