"""Energies of queries among stored keys, and look-ups in a key-value store: two forms of one computation.

B: queries of this shard; N: queries of all shards; K: keys of this shard; D: size of a key; E: size of a value; S: shards.

The free energy of a query is `-1/b log sum_j exp(b key_j . query)` at inverse temperature b. It is low near the keys, and
its negative gradient is the mean of the keys under the softmax of their scores: attention's output, one step of a
modern Hopfield network (Ramsauer et al. 2020, https://arxiv.org/abs/2008.02217). InfoNCE is the energy of the positive
minus the free energy over all keys, in units of the temperature.

With `axis_name=None` the store is whole. With a name each shard holds K of its keys and B queries:
the store stays in place, queries are gathered on all shards and the results returned.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import accumulation_dtype, cut_rows, floats, mixed_precision_einsum
from ssl_jax.ops.checks import check_arrays, check_count, check_flags, check_labels, check_positive, given
from ssl_jax.ops.collectives import gather_rows, return_to_owners, shards, varying_together
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.streaming import log_sum_exp, most_scores, softmax_sum


@on_explicit_axes
def free_energy(
    query: Array,
    keys: Array,
    *,
    inverse_temperature: float | Array,
    axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """`-1/b log sum_j exp(b key_j . query)` of each query, in units of the scores.

    As b grows it tends to minus the highest score, from below; equal scores s give `-s - log(K S) / b`.

    Args:
      query, keys: `[B, D]`, `[K, D]`.
      inverse_temperature: b, above 0.
      block_size: keys compared at once; None chooses by size.
      axis_name: mapped axis over which the keys are sharded, and the queries, which pass through a ring; None: the arrays are
        whole.

    Returns:
      `[B]`, float32 (float64 if both arrays are).

    Raises:
      ValueError: shapes or types do not fit, there are no keys, or b or the block is not positive.

    Example:
      >>> energy = free_energy(jnp.ones((1, 2)), jnp.ones((4, 2)), inverse_temperature=1.0)
      >>> print(f"{energy[0]:.4f}, -2 - log(4) = {-2 - np.log(4):.4f}")
      -3.3863, -2 - log(4) = -3.3863
    """
    query, keys = _check("free_energy", query, keys, inverse_temperature, block_size)
    read = partial(log_sum_exp, inverse_temperature=inverse_temperature, block_size=block_size)
    log_sums = _on_all_shards(lambda queries: read(queries, keys), query, axis_name)
    return -jax.nn.logsumexp(log_sums, axis=0) / jnp.asarray(inverse_temperature, log_sums.dtype)


@on_explicit_axes
def key_value_lookup(
    query: Array,
    keys: Array,
    values: Array,
    *,
    inverse_temperature: float | Array = 1.0,
    hard: bool = False,
    top: int | None = None,
    num_classes: int | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """Mean of the stored values, weighted by the softmax of the scores of their keys with the query.

    Soft, over all keys, it is attention; hard, it is the value of the nearest key; with `top=k` it is the mean over the k
    nearest, which is the k-NN classifier where values are classes (`evaluate.knn`). Of equal scores the key with the lower
    index is nearer.

    Args:
      query, keys, values: `[B, D]`, `[K, D]`, `[K, E]`; or integers `[K]`, each replaced by its one-hot row, E =
        `num_classes`, which is built only for the keys that are used.
      inverse_temperature: inverse temperature of the softmax, above 0.
      hard: use the nearest key alone, as `top=1`.
      top: number of nearest keys to use; all when None.
      num_classes: exclusive upper bound of integer values.
      block_size: keys compared at once; None chooses by size.
      axis_name: mapped axis over which queries and store are sharded; None: the arrays are whole.

    Returns:
      `[B, E]`, float32 (float64 if all arrays are).

    Raises:
      ValueError: shapes or types do not fit, there are no keys, a value is no class, `top` is not between 1 and the keys of
        the whole store, hard with more than one, or b or the block is not positive.

    Example:
      >>> keys, values = jnp.eye(3), jnp.array([[1.0], [2.0], [6.0]])
      >>> query = jnp.array([[0.0, 0.0, 1.0]])
      >>> print(key_value_lookup(query, keys, values, hard=True), key_value_lookup(0 * query, keys, values))
      [[6.]] [[3.]]
    """
    query, keys = _check("key_value_lookup", query, keys, inverse_temperature, block_size)
    _check_values(values, len(keys), num_classes)
    check_count("key_value_lookup", **given(top=top))
    check_flags("key_value_lookup", hard=hard)
    values = jnp.asarray(values)
    if hard and top not in (None, 1):
        raise ValueError(f"key_value_lookup: hard uses one key, got top={top}: leave out one of the two")
    top = 1 if hard else top

    def one_hot(values: Array) -> Array:
        return values if num_classes is None else jax.nn.one_hot(values, num_classes)

    if top is None:
        values = one_hot(values)
        read = partial(softmax_sum, inverse_temperature=inverse_temperature, block_size=block_size)
        log_sums, means = _on_all_shards(lambda queries: read(queries, keys, values), query, axis_name)
        return jnp.sum(jax.nn.softmax(log_sums, axis=0)[..., None] * means, axis=0)
    if not 1 <= top <= len(keys) * shards(axis_name):
        raise ValueError(f"key_value_lookup: top must be from 1 to the {len(keys) * shards(axis_name)} keys, got {top}")

    def find(queries: Array) -> tuple[Array, Array]:
        block = min(block_size or max(1, most_scores(queries) // len(queries)), len(keys))
        scores, indices = _nearest(queries, keys, min(top, len(keys)), block)
        return scores, values[indices]

    scores, nearest = jax.tree.map(
        lambda leaf: jnp.concatenate(list(leaf), axis=1), _on_all_shards(find, query, axis_name)
    )
    if shards(axis_name) > 1:  # [B, S top], reduced to the nearest of all shards
        scores, positions = lax.top_k(scores, top)
        nearest = jax.vmap(lambda values, positions: values[positions])(nearest, positions)
    # The best score first: compiled, a score times a large number is rounded twice, and its exponential may overflow. It is a
    # maximum rather than the first column: a slice of a slice hides from XLA that `top_k` needs no whole sort, 30 times slower.
    scores = (scores - lax.stop_gradient(scores.max(axis=1, keepdims=True))) * jnp.asarray(
        inverse_temperature, scores.dtype
    )
    return mixed_precision_einsum("bk,bke->be", jax.nn.softmax(scores), one_hot(nearest))


def _on_all_shards(look_up: Callable[[Array], Any], query: Array, axis_name: str | None) -> Any:
    """The results of every shard's part of the store for this shard's queries: leaves `[S, B, ...]`."""
    return return_to_owners(look_up(gather_rows(query, axis_name)), axis_name)


def _nearest(queries: Array, keys: Array, count: int, block: int) -> tuple[Array, Array]:
    """The `count` highest scores of each query and the indices of their keys, best first, `[N, count]`."""
    if block == len(keys):
        scores, indices = lax.top_k(mixed_precision_einsum("nd,kd->nk", queries, keys), count)
        return scores, indices
    indices = _nearest_by_blocks(*lax.stop_gradient((queries, keys)), count, block)
    return mixed_precision_einsum(
        "nd,nkd->nk", queries, keys[indices]
    ), indices  # computed again for these keys alone, for the gradient


def _nearest_by_blocks(queries: Array, keys: Array, count: int, block: int) -> Array:
    def visit(best: tuple[Array, Array], numbered: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        first, keys_of_block = numbered
        indices = first + jnp.arange(block, dtype=first.dtype)
        scores = jnp.where(
            (indices < len(keys))[None], mixed_precision_einsum("nd,kd->nk", queries, keys_of_block), -jnp.inf
        )
        indices = jnp.broadcast_to(indices[None], scores.shape)
        scores, indices = (jnp.concatenate(pair, axis=1) for pair in zip(best, (scores, indices), strict=True))
        scores, positions = lax.top_k(scores, count)
        return (scores, jnp.take_along_axis(indices, positions, axis=1)), None

    blocks = cut_rows(keys, block)
    lowest = jnp.full((len(queries), count), -jnp.inf, accumulation_dtype(queries.dtype))
    start, _ = varying_together(((lowest, jnp.zeros(lowest.shape, jnp.int32)), (queries, keys)))
    (_, indices), _ = lax.scan(visit, start, (jnp.arange(len(blocks), dtype=jnp.int32) * block, blocks))
    return indices


def _check(
    function: str, query: Array, keys: Array, inverse_temperature: float | Array, block_size: int | None
) -> tuple[Array, ...]:
    """Queries and keys as floating-point indices, or a `ValueError`."""
    check_arrays(function, query=query, keys=keys)
    if query.ndim != 2 or keys.ndim != 2 or query.shape[1] != keys.shape[1] or 0 in (*query.shape, *keys.shape):
        raise ValueError(
            f"{function}: needs query [B, D] and keys [K, D], not empty, got {query.shape} and {keys.shape}"
        )
    check_positive(function, inverse_temperature=inverse_temperature)
    check_count(function, **given(block_size=block_size))
    return floats(query, keys)


def _check_values(values: Array, keys: int, num_classes: int | None) -> None:
    check_arrays("key_value_lookup", values=values)
    check_count("key_value_lookup", **given(num_classes=num_classes))
    if num_classes is None and (values.ndim != 2 or len(values) != keys):
        raise ValueError(
            f"key_value_lookup: values must be [K, E] with K = {keys}, or integers [K] with num_classes, got {values.shape}"
        )
    whole = jnp.issubdtype(values.dtype, jnp.integer)
    if num_classes is None:
        return
    if values.shape != (keys,) or not whole:
        raise ValueError(
            f"key_value_lookup: with num_classes={num_classes}, values must be integers [K] with K = {keys}, "
            f"got {values.dtype} {values.shape}"
        )
    check_labels("key_value_lookup", num_classes, values=values)
