"""Attention in tiles: numbers of heads, queries and keys that are computed at once, and the loop over tiles.

B: examples; T: queries of each; S: keys of this shard; H: heads of queries; G: heads of keys, each shared by H / G
heads of queries, which are computed together; Q: queries of a tile; D: size of a key; E: size of a value.

An accelerator, and several devices, take all heads together, so that the compiler can shard them. One CPU is fastest
where the scores of a tile fit into its cache: few heads, or part of one, one tile after the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import cut_rows, equal_blocks
from ssl_jax.ops.collectives import devices_under, on_one_cpu, row_numbers, shards
from ssl_jax.ops.streaming import most_scores

# Measured on two cores, forward and backward (benchmarks/attention.py): scores of a tile, and queries of a long sequence.
CACHED_SCORES, ROWS = 2**20, 1024
ALIGNED = 512  # keys, of which rows of scores have 2 KiB or a multiple
FEWEST_KEYS = 64  # in a block
SHORT = 128  # keys up to which a CPU holds all scores, about as many numbers as the queries, keys and values are


class Tile(NamedTuple):
    """The numbers of heads, queries and keys that are computed at once."""

    heads: int  # of keys, with all their queries
    queries: int
    keys: int | None  # None: `softmax_sum` chooses
    recompute: bool  # scores are recomputed for the gradient, not kept


def choose_tile(
    query: Array, key: Array, *, axis_name: str | None, block_size: int | None, dense: bool, rows_only: bool
) -> Tile:
    """The tile, by size and platform.

    Args:
      query, key: `[B, T, H, D]`, `[B, S, G, D]`.
      block_size: keys compared at once, unless all are.
      dense: all scores at once.
      rows_only: all keys at once.
    """
    pairs, queries, keys = len(key) * key.shape[2], query.shape[1] * query.shape[2] // key.shape[2], key.shape[1]
    if axis_name is not None:
        many = pairs * queries * keys * shards(axis_name) > most_scores(query)
        blocks = max(FEWEST_KEYS, most_scores(query) // (pairs * queries)) if many else None
        return Tile(pairs, queries, block_size or blocks, recompute=False)
    one_cpu = on_one_cpu(query)
    most = CACHED_SCORES if one_cpu else most_scores(query) * devices_under(query)
    few = (pairs * queries * keys <= most or (one_cpu and keys <= SHORT)) and block_size is None
    if dense or few:
        return Tile(pairs, queries, keys, recompute=False)
    heads = 1 if one_cpu else pairs
    if rows_only:
        queries = min(queries, max(1, most // (heads * keys)))
    elif one_cpu and block_size is None:
        queries, keys = _in_cache(queries, keys)
    else:
        queries = equal_blocks(queries, ROWS) if one_cpu else queries
        keys = min(keys, block_size or max(FEWEST_KEYS, most // (heads * queries)))
    return Tile(max(heads, most // (queries * keys)), queries, keys, recompute=keys == key.shape[1])


def _in_cache(queries: int, keys: int) -> tuple[int, int]:
    """Queries and keys of a tile of one head, for one CPU, in equal parts: all keys, where enough queries fit beside them.

    But not 512 keys or a multiple. For all keys at once JAX derives the gradient, with products of transposed scores, which
    take three times as long where rows lie that far apart. The gradient of `softmax_sum` for blocks of keys has none.
    """
    rows = CACHED_SCORES // keys
    if keys % ALIGNED and rows >= min(queries, ALIGNED):
        return equal_blocks(queries, min(rows, ROWS)), keys
    queries = equal_blocks(queries, ROWS)
    return queries, equal_blocks(keys, min(CACHED_SCORES // queries, keys // 2))


def over_heads(
    read: Callable[..., Array],
    tile: Tile,
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Array | None,
    causal: bool,
    axis_name: str | None,
) -> Array:
    """`read` for each example and head of keys, results stacked, `[B, T, H, E]`.

    Args:
      read: of queries `[Q, D]`, keys `[S, D]`, values `[S, E]`, the last visible key of each query `[Q]` or None, and a mask
        `[Q or 1, S]` or None, S of all shards: `[Q, E]`.
      query, key, value: `[B, T, H, D]`, `[B, S, G, D]`, `[B, S, G, E]`.
      mask: booleans `[B or 1, H or 1, T or 1, S or 1]`; axes of size 1 are not repeated.
    """
    size, length, heads, _ = query.shape
    groups, every = key.shape[2], key.shape[1] * shards(axis_name)
    queries = query.reshape(size, length, groups, heads // groups, -1).transpose(0, 2, 3, 1, 4)
    if mask is not None:
        per_head = (groups, heads // groups) if mask.shape[1] > 1 else (1, 1)
        mask = mask.reshape(len(mask), *per_head, *mask.shape[2:])

    def of_head(queries: Array, keys: Array, values: Array, mask: Array | None) -> Array:
        last = jnp.tile(row_numbers(length, axis_name), len(queries)) if causal else None
        if mask is not None:
            rows = (1, 1) if mask.shape[:2] == (1, 1) else queries.shape[:2]
            mask = jnp.broadcast_to(mask, (*rows, every)).reshape(-1, every)
        queries = queries.reshape(-1, queries.shape[-1])
        # Tied together, since JAX would hoist the computation that depends on masked keys alone out of the loop, for all tiles.
        queries, last, mask = lax.optimization_barrier((queries, last, mask))
        return _over_rows(read, tile.queries, queries, keys, values, last, mask)

    def of_example(*arrays: Array | None) -> Array:
        return _each(of_head, tile.heads, *arrays)

    arrays = queries, key.swapaxes(1, 2), value.swapaxes(1, 2), mask
    result = _each(of_example, tile.heads // groups, *arrays)  # [B, G, H / G * T, E]
    return result.reshape(size, heads, length, -1).swapaxes(1, 2)


def _over_rows(
    read: Callable[..., Array],
    at_once: int,
    queries: Array,
    keys: Array,
    values: Array,
    last: Array | None,
    mask: Array | None,
) -> Array:
    if at_once >= len(queries):
        return read(queries, keys, values, last, mask)

    def cut(rows: Array | None) -> Array | None:
        return None if rows is None else rows[None] if len(rows) == 1 else cut_rows(rows, at_once)

    def of_rows(queries: Array, last: Array | None, mask: Array | None) -> Array:
        return read(queries, keys, values, last, mask)

    result = _each(of_rows, 1, cut(queries), cut(last), cut(mask))
    return result.reshape(-1, result.shape[-1])[: len(queries)]


def _each(function: Callable[..., Array], at_once: int, *arrays: Array | None) -> Array:
    """`function` of each item of the arrays, about `at_once` at a time; an array of one item is shared by all."""
    count = max(len(array) for array in arrays if array is not None)
    single = [array is not None and len(array) == count for array in arrays]

    def of_items(items: list[Array]) -> Array:
        rest = iter(items)
        shared = (array if array is None else array[0] for array in arrays)
        return function(*(next(rest) if own else one for own, one in zip(single, shared, strict=True)))

    items = [array for array in arrays if array is not None and len(array) == count]
    if at_once >= count:
        return jax.vmap(of_items)(items)
    at_once = max(
        size for size in range(1, max(1, at_once) + 1) if count % size == 0
    )  # no remainder, which would be compiled separately
    return lax.map(of_items, items, batch_size=at_once if at_once > 1 else None)
