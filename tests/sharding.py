"""Runs a function in pieces, in each of the ways in which a caller may have cut the batch over shards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

# Every way, on 2, 4 and 8 shards; the whole product would only add compilations. The unchecked `shard_map` is what
# `pmap` is made of and differs only in how gradients leave it: functions without gradient need no run of it.
WITHOUT_GRADIENT = (("vmap", 4), ("shard_map", 8), ("pmap", 2))
CASES = (*WITHOUT_GRADIENT, ("shard_map unchecked", 4))


def in_pieces(function, way, shards, *, cut, joined=None):
    """`function`, which speaks to its other shards over the axis "data", as a function of whole arrays.

    cut: for each argument, a tree, the axis along which it is cut, or None where every shard gets it whole.
    joined: for the outputs, a prefix of their tree, the axis along which shards are put together, or None where every
      shard returns the same.
    """
    if way.startswith("shard_map"):
        mesh = Mesh(np.array(jax.devices()[:shards]), ("data",))
        in_specs, out_specs = tuple(_spec(axis) for axis in cut), jax.tree.map(_spec, joined, is_leaf=_is_none)
        checked = way == "shard_map"
        return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=checked))
    axes = tuple(None if axis is None else 0 for axis in cut)
    if way == "pmap":
        mapped = jax.pmap(function, axis_name="data", in_axes=axes, devices=jax.devices()[:shards])
    else:
        mapped = jax.vmap(function, axis_name="data", in_axes=axes, axis_size=shards)

    def run(*arrays):
        pieces = [_split(tree, shards, axis) for tree, axis in zip(arrays, cut, strict=True)]
        axes, tree = jax.tree.flatten(joined, is_leaf=_is_none)
        parts = tree.flatten_up_to(mapped(*pieces))
        return tree.unflatten([_join(part, axis) for part, axis in zip(parts, axes, strict=True)])

    return jax.jit(run)


def assert_same_in_pieces(function, way, shards, arrays, *, cut, joined=None, rtol=2e-5, atol=1e-6):
    """Value and gradient of `function(*arrays, axis_name=...)` in pieces are those of the whole."""
    differentiated = tuple(i for i, array in enumerate(arrays) if jnp.issubdtype(array.dtype, jnp.floating))
    whole = _value_and_gradient(function, differentiated)(*arrays)
    sharded = in_pieces(functools.partial(function, axis_name="data"), way, shards, cut=cut, joined=joined)
    pieces = jax.jit(jax.value_and_grad(sharded, differentiated))(*arrays)
    for expected, came in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces), strict=True):
        np.testing.assert_allclose(came, expected, rtol=rtol, atol=atol)


@functools.cache  # the ways share the whole: one compilation for a function that lives as long as its test file
def _value_and_gradient(function, differentiated):
    return jax.jit(jax.value_and_grad(function, differentiated))


def _is_none(axis):
    return axis is None


def _spec(axis):
    return PartitionSpec() if axis is None else PartitionSpec(*(None,) * axis, "data")


def _split(tree, shards, axis):
    if axis is None:
        return tree
    return jax.tree.map(lambda array: jnp.stack(jnp.split(array, shards, axis=axis)), tree)


def _join(tree, axis):
    if axis is None:  # equal on all shards; the mean would show it if they were not
        return jax.tree.map(lambda parts: parts.mean(axis=0).astype(parts.dtype), tree)
    return jax.tree.map(lambda parts: jnp.concatenate(list(parts), axis=axis), tree)
