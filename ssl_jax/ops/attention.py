"""Attention between sets of vectors: soft or hard, self or cross, whole or streamed, on one device or in a ring.

B: examples; T: queries of each; S: keys held here; H: heads of queries; G: heads of keys, of which each serves H / G
heads of queries; D: size of a key; E: size of a value. Arrays are `[B, T, H, D]`, as `jax.nn.dot_product_attention` has them.

A query reads the values of the keys that it resembles: with weights that are the softmax of `inverse_temperature * query .
key` (soft), or from the best key alone (hard). Its output is minus the gradient of the free energy of the query among the
keys, where values are keys (`ops.energy`). Self-attention is the case of one set for all three.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import product
from ssl_jax.ops.checks import check_positive
from ssl_jax.ops.collectives import row_numbers, shards
from ssl_jax.ops.streaming import MOST_SCORES, softmax_sum


def attention(
    query: Array,
    key: Array,
    value: Array,
    *,
    mask: Array | None = None,
    causal: bool = False,
    inverse_temperature: float | Array | None = None,
    hard: bool = False,
    straight_through: bool = False,
    axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """What each query reads from the values.

    Soft attention without many scores is computed at once; with many, in blocks of keys, so that memory is O(T), not O(T S).

    Args:
      query, key, value: `[B, T, H, D]`, `[B, S, G, D]`, `[B, S, G, E]`; G divides H.
      mask: booleans that broadcast to `[B, H, T, S]`, S of all shards; True where a query may look.
      causal: a query sees no key that comes after it, by their places.
      inverse_temperature: above 0; `1 / sqrt(D)` when None.
      hard: read the value of the best key; of equal ones the first.
      straight_through: of hard attention, pretend in the gradient that it was soft; else only values have one.
      axis_name: mapped axis over which T and S are cut, each shard holding the queries and keys of its places: keys go
        round a ring. Not for hard attention.
      block_size: keys compared at once; None chooses by size.

    Returns:
      `[B, T, H, E]` in the type of the values; zeros for a query that may look nowhere.

    Raises:
      ValueError: shapes do not fit or something is empty, heads do not divide, a mask that does not broadcast or is not
        boolean, a temperature or block that is not positive, hard attention over shards.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1.
    """
    _check(query, key, value, mask, shards(axis_name))
    check_positive("attention", inverse_temperature=inverse_temperature, block_size=block_size)
    if hard and axis_name is not None:
        raise ValueError("attention: hard attention has no axis_name: gather the keys, or read softly")
    scale = query.shape[-1] ** -0.5 if inverse_temperature is None else inverse_temperature
    if hard:
        weights = attention_weights(query, key, mask=mask, causal=causal, inverse_temperature=scale, hard=True)
        if straight_through:
            soft = attention_weights(query, key, mask=mask, causal=causal, inverse_temperature=scale)
            weights = soft + lax.stop_gradient(weights - soft)
        return _read(weights, value)
    size, length, heads = query.shape[:3]
    if block_size is None and size * heads * length * key.shape[1] * shards(axis_name) > MOST_SCORES:
        block_size = max(64, MOST_SCORES // (size * heads * length))
    read = partial(_read_one_head, scale=scale, causal=causal, axis_name=axis_name, block_size=block_size)
    return _over_heads(read, query, key, value, mask).astype(value.dtype)


def attention_weights(
    query: Array,
    key: Array,
    *,
    mask: Array | None = None,
    causal: bool = False,
    inverse_temperature: float | Array | None = None,
    hard: bool = False,
) -> Array:
    """How much each query reads from each key, `[B, H, T, S]` float32; a row sums to 1, or to 0 if it may look nowhere.

    Arguments as `attention` has them.
    """
    _check(query, key, key, mask, 1)
    scale = query.shape[-1] ** -0.5 if inverse_temperature is None else inverse_temperature
    groups = query.reshape(*query.shape[:2], key.shape[2], -1, query.shape[3])
    scores = product("btgrd,bsgd->bgrts", groups, key) * scale
    scores = scores.reshape(query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    seen = jnp.ones((1, 1, *scores.shape[2:]), bool) if mask is None else jnp.broadcast_to(_four(mask), scores.shape)
    if causal:
        seen = seen & jnp.tri(scores.shape[2], scores.shape[3], dtype=bool)[None, None]
    scores = jnp.where(seen, scores, -jnp.inf)
    somewhere = jnp.any(seen, axis=-1, keepdims=True)
    if hard:
        return jnp.where(somewhere, jax.nn.one_hot(scores.argmax(axis=-1), key.shape[1]), 0)
    return jnp.where(somewhere, jax.nn.softmax(jnp.where(somewhere, scores, 0)), 0)


def _read(weights: Array, value: Array) -> Array:
    """Means of the values under weights `[B, H, T, S]`: `[B, T, H, E]`."""
    groups = weights.reshape(weights.shape[0], value.shape[2], -1, *weights.shape[2:])
    read = product("bgrts,bsge->btgre", groups, value.astype(weights.dtype))
    return read.reshape(*read.shape[:2], weights.shape[1], -1).astype(value.dtype)


def _read_one_head(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    *,
    scale: float | Array,
    causal: bool,
    axis_name: str | None,
    block_size: int | None,
) -> Array:
    """`[T, D]`, `[S, D]`, `[S, E]`, and a mask `[T, S]` -> `[T, E]`, float32."""
    last = row_numbers(len(query), axis_name) if causal else None
    if mask is not None:
        mask = jnp.broadcast_to(mask, (len(query), len(key) * shards(axis_name)))
    _, means = softmax_sum(
        query,
        key,
        value,
        inverse_temperature=scale,
        last=last,
        mask=mask,
        axis_name=axis_name,
        block_size=block_size,
    )
    return means


def _over_heads(read: Callable[..., Array], query: Array, key: Array, value: Array, mask: Array | None) -> Array:
    """`read` for each example and head; a mask that is the same for several is not repeated."""
    size, length, heads, _ = query.shape
    groups = key.shape[2]
    queries = query.reshape(size, length, groups, heads // groups, -1).transpose(0, 2, 3, 1, 4)
    axes: list[int | None] = [None, None, None]
    if mask is not None:
        mask = _four(mask)
        of_heads = mask.shape[1] > 1
        mask = mask.reshape(len(mask), groups if of_heads else 1, heads // groups if of_heads else 1, *mask.shape[2:])
        axes = [0 if count > 1 else None for count in mask.shape[:3]]
        mask = mask[tuple(0 if axis is None else slice(None) for axis in axes)]
    for axis, shared in ((axes[2], True), (axes[1], False), (axes[0], False)):
        read = jax.vmap(read, in_axes=(0, None if shared else 0, None if shared else 0, axis))
    found = read(queries, key.swapaxes(1, 2), value.swapaxes(1, 2), mask)  # [B, G, H / G, T, E]
    return found.reshape(size, heads, length, -1).swapaxes(1, 2)


def _four(mask: Array) -> Array:
    return mask.reshape((1,) * (4 - mask.ndim) + mask.shape)


def _check(query: Array, key: Array, value: Array, mask: Array | None, count: int) -> None:
    fits = query.ndim == key.ndim == value.ndim == 4 and key.shape[:3] == value.shape[:3]
    if not fits or len(query) != len(key) or query.shape[3] != key.shape[3] or 0 in (query.size, key.size):
        raise ValueError(
            "attention: needs query [B, T, H, D], key [B, S, G, D] and value [B, S, G, E], not empty, got "
            f"{query.shape}, {key.shape} and {value.shape}"
        )
    if query.shape[2] % key.shape[2]:
        raise ValueError(
            f"attention: heads of keys must divide heads of queries, got {key.shape[2]} and {query.shape[2]}"
        )
    if mask is None:
        return
    whole = (len(query), query.shape[2], query.shape[1], key.shape[1] * count)
    broad = mask.ndim <= 4 and all(a in (1, b) for a, b in zip(_four(mask).shape, whole, strict=True))
    if not broad or mask.dtype != bool:
        raise ValueError(f"attention: mask must be booleans that broadcast to {whole}, got {mask.dtype} {mask.shape}")
