"""Sums of exponentials of the scores of one block of keys, which `streaming` adds up block by block.

Q: queries; b: keys in a block; N: keys of all shards; E: size of a value.
"""

from functools import reduce
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import accumulation_dtype, mixed_precision_einsum


class Hidden(NamedTuple):
    """The keys that are masked for a query, by index among all N."""

    skip: Array | None  # [Q, S] masked keys
    last: Array | None  # [Q] the last visible key
    mask: Array | None  # [Q, N], or [1, N] for all queries, False for masked keys


class Sums(NamedTuple):
    """Running sums, divided by `exp(top)`."""

    top: Array  # [Q] highest score
    total: Array  # [Q] exponentials
    weighted: Array  # [Q, E] values times exponentials


def scores_of(
    queries: Array,
    keys: Array,
    scale: Array,
    hidden: Hidden,
    shard: Any,
    number: Any,
    count: int,
    *,
    transposed: bool = False,
    precision: str = "highest",
) -> Array:
    """Scores `[Q, b]`, transposed `[b, Q]`, of block `number` of a shard of `count` keys; minus infinity where masked."""
    scores = (
        mixed_precision_einsum("kd,qd->kq", keys, queries, precision)
        if transposed
        else mixed_precision_einsum("qd,kd->qk", queries, keys, precision)
    )
    visible = visible_keys(len(keys), hidden, shard, number, count, transposed)
    return scores * scale if visible is None else jnp.where(visible, scores * scale, -jnp.inf)


def visible_keys(block: int, hidden: Hidden, shard: Any, number: Any, count: int, transposed: bool) -> Array | None:
    """Broadcasts to `[Q, b]`, transposed to `[b, Q]`; None if all keys are visible: `where` slows XLA down on CPU."""
    of_queries, of_keys = (0, 1) if transposed else (1, 0)
    positions = jnp.expand_dims(number * block + jnp.arange(block), of_keys)
    indices = shard * count + positions
    visible = [] if count % block == 0 else [positions < count]
    if hidden.skip is not None:
        visible += [indices != jnp.expand_dims(skipped, of_queries) for skipped in hidden.skip.T]
    if hidden.last is not None:
        visible += [indices <= jnp.expand_dims(hidden.last, of_queries)]
    if hidden.mask is not None:
        part = lax.dynamic_slice_in_dim(hidden.mask, shard * count + number * block, block, axis=1)
        visible += [part.T if transposed else part]
    return reduce(jnp.logical_and, visible) if visible else None


def wide_zeros(rows: Array) -> Array:
    """Zeros of this shape, in the type in which sums are taken."""
    return jnp.zeros(rows.shape, accumulation_dtype(rows.dtype))


def no_sums(queries: Array, values: Array) -> Sums:
    """The sums before the first block."""
    count, dtype = len(queries), accumulation_dtype(queries.dtype)
    lowest = jnp.full(count, jnp.finfo(dtype).min, dtype)
    return Sums(lowest, jnp.zeros(count, dtype), jnp.zeros((count, values.shape[-1]), dtype))


def highest(scores: Array) -> Array:
    """`[Q]`; finite, so that exponentials are 0, not NaN, where all keys are masked."""
    return lax.stop_gradient(jnp.maximum(scores.max(axis=1), jnp.finfo(scores.dtype).min))


def sums_of(scores: Array, values: Array, top: Array, precision: str = "highest") -> Sums:
    """The sums of one block, `[Q, b]` and `[b, E]`."""
    weights = jnp.exp(scores - top[:, None])
    return Sums(top, weights.sum(axis=1), mixed_precision_einsum("qk,ke->qe", weights, values, precision))


def absorbed(sums: Sums, scores: Array, values: Array, precision: str = "highest") -> Sums:
    """The sums including one more block, relative to the new highest score."""
    top = jnp.maximum(sums.top, highest(scores))
    decay, new = jnp.exp(sums.top - top), sums_of(scores, values, top, precision)
    return Sums(top, sums.total * decay + new.total, sums.weighted * decay[:, None] + new.weighted)


def finished(sums: Sums) -> tuple[Array, Array]:
    """Logarithm of the sum of exponentials `[Q]`, and weighted mean of the values `[Q, E]`."""
    # At least 1 where a key is visible, from the highest score. A `where` would do, but XLA's CPU code fuses products,
    # exponentials and sums into one loop only without other operations between them.
    total = jnp.maximum(sums.total, 0.5)
    return jnp.where(sums.total == 0, -jnp.inf, jnp.log(total) + sums.top), sums.weighted / total[:, None]
