"""Checks of a state before it is saved and after it is restored: finite values, and checksums.

Both are computed in host memory, leaf by leaf, by each process over its shards, and then combined: every
process has to call these functions, and gets the same result for any sharding.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from numpy.typing import NDArray


def by_name(tree: Any) -> dict[str, Array]:
    """The leaves of a tree, each under its path, such as "params.encoder.conv.kernel"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def not_finite(tree: Any) -> dict[str, str]:
    """The leaves with elements that are not finite, by name: "NaN" if there is one, else "infinite"."""
    leaves = {name: leaf for name, leaf in by_name(tree).items() if jnp.issubdtype(leaf.dtype, jnp.inexact)}
    counts = np.zeros((len(leaves), 2), np.uint64)
    for row, leaf in zip(counts, leaves.values(), strict=True):
        for _, values in _shards(leaf):
            if not np.isfinite(values).all():
                row += np.array([np.isnan(values).sum(), np.isinf(values).sum()], np.uint64)
    counted = zip(leaves, _over_processes(counts), strict=True)
    return {name: "NaN" if nans else "infinite" for name, (nans, infinite) in counted if nans or infinite}


def checksums(tree: Any) -> dict[str, str]:
    """Fletcher's checksum of each leaf by name, 32 hexadecimal digits.

    Two sums modulo 2^64 over the elements' bits: plain, and times their position. Any change of one element, and any
    exchange of two, changes them; of random changes of many, about one in 2^64 is undetected. The sums do not depend on
    the order of summation, so that whole and sharded arrays have the same.

    Source: Fletcher 1982, "An arithmetic checksum for serial transmissions".
    """
    leaves = by_name(tree)
    sums = np.zeros((len(leaves), 2), np.uint64)
    for row, leaf in zip(sums, leaves.values(), strict=True):
        raw = jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for start, values in _shards(raw):
            row += _fletcher(values, start, raw.shape)
    return {
        name: "".join(f"{int(part):016x}" for part in row)
        for name, row in zip(leaves, _over_processes(sums), strict=True)
    }


def _shards(leaf: Array) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """The shards on this process, each once over all processes: their start indices, and their elements."""
    for shard in leaf.addressable_shards:
        if shard.replica_id == 0:
            yield tuple(part.start or 0 for part in shard.index), jax.device_get(shard.data)


def _fletcher(values: NDArray[Any], start: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """The sums of a shard of an array of this shape. Positions are additive over the axes, so marginal sums are enough."""
    width = min(values.dtype.itemsize, 4)
    words = np.asarray(values, order="C")[..., None].view(f"u{width}")  # The words of an element lie along a last axis.
    if values.shape == shape and values.size:  # Unsharded: a matrix suffices, with two sums.
        words, start, shape = words.reshape(*shape[:1], -1), start[:1], shape[:1]
    sums, stride = np.zeros(2, np.uint64), 1
    for axis in reversed(range(words.ndim)):
        first, size = (*start, 0)[axis], (*shape, words.shape[-1])[axis]
        marginal = words.sum(axis=tuple(other for other in range(words.ndim) if other != axis), dtype=np.uint64)
        positions = np.arange(first, first + words.shape[axis], dtype=np.uint64) * np.uint64(stride)
        sums[1:] += np.sum(positions * marginal)  # As arrays, which wrap around modulo 2^64.
        stride *= size
    sums[:1] = marginal.sum()
    return sums


def _over_processes(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sums over all processes."""
    if jax.process_count() == 1:
        return sums
    with jax.transfer_guard("allow"):
        halves = multihost_utils.process_allgather(sums.view(np.uint32))  # JAX has no 64 bits by default.
    return np.ascontiguousarray(halves).view(np.uint64).sum(axis=0, dtype=np.uint64)
