"""Attention between sets of vectors: soft or hard, self or cross, whole or streamed, on one device or in a ring.

B: examples; T: queries of each; S: keys of this shard; H: heads of queries; G: heads of keys, each shared by H / G
heads of queries; D: size of a key; E: size of a value. Arrays are `[B, T, H, D]`, as in `jax.nn.dot_product_attention`.

The output of a query is the mean of the values with weights softmax(`inverse_temperature * query . key`) (soft), or the
value of the best key alone (hard). Where values are keys, it is minus the gradient of the free energy of the query among
the keys (`ops.energy`). Self-attention is the case of one set for all three.

The implementation is chosen by platform and size, or by the caller. On an NVIDIA GPU cuDNN's kernel takes 16-bit arrays
("cudnn", `ops.cudnn`). Elsewhere few scores are held all at once, for the gradient too ("dense"); on one CPU also those of at
most 128 keys. With many, `ops.streaming` computes tile by tile, and recomputes scores for the gradient ("streaming"): memory
is O(T), not O(T S). On one CPU a tile fits into the cache, one head after the other; accelerators and several devices take all
heads together. Measured in `benchmarks/attention.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops import cudnn
from ssl_jax.ops.blocks import floats, mixed_precision_einsum
from ssl_jax.ops.checks import check_arrays, check_choice, check_count, check_flags, check_positive, given
from ssl_jax.ops.collectives import shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.streaming import softmax_sum
from ssl_jax.ops.tiles import choose_tile, over_heads

Implementation = Literal["dense", "streaming", "cudnn"]


@on_explicit_axes
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
    implementation: Implementation | None = None,
) -> Array:
    """The attention output of each query; `attention_weights` returns the weights of the values.

    Args:
      query, key, value: `[B, T, H, D]`, `[B, S, G, D]`, `[B, S, G, E]`; G divides H.
      mask: booleans that broadcast to `[B, H, T, S]`, S of all shards; True where a query may attend. `[B, 1, 1, S]` masks
        padding.
      causal: a query attends to no key at a later position.
      inverse_temperature: above 0; `1 / sqrt(D)` when None.
      hard: take the value of the best key; the first of equal ones.
      straight_through: use the gradient of soft attention for hard attention; otherwise only values have a gradient.
      axis_name: mapped axis over which T and S are sharded, each shard holding the queries and keys of its positions: keys
        pass through a ring. Not for hard attention.
      block_size: keys compared at once, in "streaming"; None chooses by size.
      implementation: implementation of soft attention on whole arrays; None chooses by platform and size. "dense" can
        be differentiated in any way, "streaming" backwards only. "cudnn" is the kernel of `jax.nn.dot_product_attention` for
        NVIDIA GPUs: 16-bit types, E = D, no mask, gradients backwards only; None chooses it for self-attention on one GPU.

    Returns:
      `[B, T, H, E]` in the type of the values, float32 for integers; zeros for a query without keys.

    Raises:
      ValueError: shapes or types do not fit or something is empty, heads do not divide, a mask that does not broadcast or is
        not boolean, a temperature or block that is not positive, hard attention over shards, an implementation that does not
        exist or does not support the arguments.

    Example:
      >>> query, value = jnp.eye(2).reshape(1, 2, 1, 2), jnp.array([10.0, 20.0]).reshape(1, 2, 1, 1)
      >>> print(attention(query, query, value, hard=True).ravel())
      [10. 20.]
      >>> print(np.asarray(attention(query, query, value, inverse_temperature=0.01).ravel()).round(3))
      [14.975 15.025]

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1.
    """
    query, key, value = _check("attention", query, key, value, mask, shards(axis_name))
    check_positive("attention", **given(inverse_temperature=inverse_temperature))
    check_count("attention", **given(block_size=block_size))
    check_flags("attention", causal=causal, hard=hard, straight_through=straight_through)
    _check_ways(hard, axis_name, block_size, implementation)
    scale = query.shape[-1] ** -0.5 if inverse_temperature is None else inverse_temperature
    if implementation == "cudnn":
        cudnn.check("attention", query, key, value, mask, causal=causal)
    free = implementation is None and not hard and axis_name is None and block_size is None
    if implementation == "cudnn" or (free and cudnn.is_best(query, key, value, mask, causal=causal)):
        return cudnn.attend(query, key, value, scale=scale, causal=causal)
    dense = implementation == "dense"
    tile = choose_tile(query, key, axis_name=axis_name, block_size=block_size, dense=dense, rows_only=hard)
    read: Callable[..., Array]
    if hard:
        read = partial(_read_best, scale=scale, straight_through=straight_through)
    else:
        read = partial(_read_mean, scale=scale, axis_name=axis_name, block_size=tile.keys)
    if tile.recompute:
        read = jax.checkpoint(read)
    mask = None if mask is None else _four(mask)
    found = over_heads(read, tile, query, key, value, mask=mask, causal=causal, axis_name=axis_name)
    return found.astype(value.dtype)


@on_explicit_axes
def attention_weights(
    query: Array,
    key: Array,
    *,
    mask: Array | None = None,
    causal: bool = False,
    inverse_temperature: float | Array | None = None,
    hard: bool = False,
) -> Array:
    """The weight of each key for each query, `[B, H, T, S]` float32; a row sums to 1, or to 0 for a query without keys.

    Arguments and errors are those of `attention`.

    Args:
      query, key: `[B, T, H, D]`, `[B, S, G, D]`; G divides H.
      mask: booleans that broadcast to `[B, H, T, S]`, True where a query may attend.
      causal: a query attends to no key at a later position.
      inverse_temperature: above 0; `1 / sqrt(D)` when None.
      hard: weight 1 for the best key; the first of equal ones.

    Example:
      >>> query = jnp.eye(2).reshape(1, 2, 1, 2)
      >>> print(np.asarray(attention_weights(query, query, causal=True, inverse_temperature=1.0)[0, 0]).round(3))
      [[1.    0.   ]
       [0.269 0.731]]
    """
    query, key, _ = _check("attention_weights", query, key, key, mask, 1)
    check_positive("attention_weights", **given(inverse_temperature=inverse_temperature))
    check_flags("attention_weights", causal=causal, hard=hard)
    scale = query.shape[-1] ** -0.5 if inverse_temperature is None else inverse_temperature
    groups = query.reshape(*query.shape[:2], key.shape[2], -1, query.shape[3])
    scores = mixed_precision_einsum("btgrd,bsgd->bgrts", groups, key)
    scores = scores * jnp.asarray(scale, scores.dtype)
    scores = scores.reshape(query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    seen = jnp.ones((1, 1, *scores.shape[2:]), bool) if mask is None else jnp.broadcast_to(_four(mask), scores.shape)
    if causal:
        seen = seen & jnp.tri(scores.shape[2], scores.shape[3], dtype=bool)[None, None]
    scores = jnp.where(seen, scores, -jnp.inf)
    somewhere = jnp.any(seen, axis=-1, keepdims=True)
    if hard:
        return jnp.where(somewhere, jax.nn.one_hot(scores.argmax(axis=-1), key.shape[1]), 0)
    return jnp.where(somewhere, jax.nn.softmax(jnp.where(somewhere, scores, 0)), 0)


def _read_mean(
    queries: Array,
    keys: Array,
    values: Array,
    last: Array | None,
    mask: Array | None,
    *,
    scale: float | Array,
    axis_name: str | None,
    block_size: int | None,
) -> Array:
    """`[Q, D]`, `[S, D]`, `[S, E]`, last keys `[Q]` and a mask `[Q or 1, S]` -> `[Q, E]`, float32."""
    _, means = softmax_sum(
        queries,
        keys,
        values,
        inverse_temperature=scale,
        last=last,
        mask=mask,
        axis_name=axis_name,
        block_size=block_size,
    )
    return means


def _read_best(
    queries: Array,
    keys: Array,
    values: Array,
    last: Array | None,
    mask: Array | None,
    *,
    scale: float | Array,
    straight_through: bool,
) -> Array:
    """As `_read_mean`, from the best key alone."""
    seen = jnp.ones((1, len(keys)), bool) if mask is None else mask
    if last is not None:
        seen = seen & (jnp.arange(len(keys))[None] <= last[:, None])
    best = jnp.where(seen, mixed_precision_einsum("qd,kd->qk", queries, keys), -jnp.inf).argmax(axis=1)
    read = jnp.where(seen.any(axis=1, keepdims=True), values[best], 0)
    if not straight_through:
        return read
    soft = softmax_sum(queries, keys, lax.stop_gradient(values), inverse_temperature=scale, last=last, mask=mask)[1]
    return read.astype(soft.dtype) + (soft - lax.stop_gradient(soft))


def _four(mask: Array) -> Array:
    return mask.reshape((1,) * (4 - mask.ndim) + mask.shape)


def _check(function: str, query: Array, key: Array, value: Array, mask: Array | None, count: int) -> tuple[Array, ...]:
    """Queries, keys and values as floating-point numbers, or a `ValueError`."""
    check_arrays(function, query=query, key=key, value=value, **given(mask=mask))
    fits = query.ndim == key.ndim == value.ndim == 4 and key.shape[:3] == value.shape[:3]
    if not fits or len(query) != len(key) or query.shape[3] != key.shape[3] or 0 in (query.size, key.size):
        raise ValueError(
            f"{function}: needs query [B, T, H, D], key [B, S, G, D] and value [B, S, G, E], not empty, got "
            f"{query.shape}, {key.shape} and {value.shape}"
        )
    if query.shape[2] % key.shape[2]:
        raise ValueError(
            f"{function}: heads of key must divide heads of query, got {key.shape[2]} and {query.shape[2]}"
        )
    if mask is None:
        return floats(query, key, value)
    whole = (len(query), query.shape[2], query.shape[1], key.shape[1] * count)
    broad = mask.ndim <= 4 and all(a in (1, b) for a, b in zip(_four(mask).shape, whole, strict=True))
    if not broad or mask.dtype != bool:
        raise ValueError(f"{function}: mask must be booleans that broadcast to {whole}, got {mask.dtype} {mask.shape}")
    return floats(query, key, value)


def _check_ways(
    hard: bool, axis_name: str | None, block_size: int | None, implementation: Implementation | None
) -> None:
    if hard and axis_name is not None:
        raise ValueError(
            f"attention: hard attention has no axis_name, got {axis_name!r}: gather the keys, or use soft attention"
        )
    if implementation is None:
        return
    check_choice("attention", get_args(Implementation), implementation=implementation)
    if hard or axis_name is not None:
        raise ValueError(
            f"attention: implementation={implementation!r} is for soft attention without an axis_name: leave it out"
        )
    if block_size is not None and implementation != "streaming":
        raise ValueError(
            f"attention: implementation={implementation!r} has no blocks: leave out block_size, got {block_size}"
        )
