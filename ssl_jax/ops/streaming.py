"""The common primitive: sums of exponentials of scores over blocks of keys, and the weighted mean of values.

Q: queries; K: keys held by this shard; N: keys of all shards; D: size of a key; E: size of a value; b: keys in a block.

A score is `inverse_temperature * query . key`. Contrastive losses need the logarithm of the sum of its exponentials,
attention and soft look-ups the mean of values under its softmax, energies both. Keys are processed in blocks on a device,
and pass through a ring of devices: each computes on one shard of keys while the next shard is transferred. Nothing of
size Q times N is kept for the gradient: scores are recomputed, and gradients of keys move with the keys.

Products are taken in the type of the arrays (`blocks.floats`), sums in float32 or wider (Milakov and Gimelshein 2018,
https://arxiv.org/abs/1805.02867; Rabe and Staats 2021, https://arxiv.org/abs/2112.05682; Liu et al. 2023,
https://arxiv.org/abs/2310.01889).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.block_sums import (
    Hidden,
    Sums,
    absorbed,
    finished,
    highest,
    no_sums,
    scores_of,
    sums_of,
    wide_zeros,
)
from ssl_jax.ops.blocks import accumulation_dtype, cut_rows, floats, mixed_precision_einsum
from ssl_jax.ops.checks import check_arrays, check_count, check_integers, check_positive, given
from ssl_jax.ops.collectives import (
    devices_under,
    gather_rows,
    on_several_devices,
    pass_on,
    platform_of,
    shards,
    varying_together,
)
from ssl_jax.ops.comparison import Precision, chosen_comparison, chosen_precision
from ssl_jax.ops.explicit_axes import on_explicit_axes

# At once on a device when no block size is given: 64 MiB, and 256 on a GPU. InfoNCE of 65,536 x 128 in "high" precision takes
# 57 ms on an H200 with the first and 39 with the second.
MOST_SCORES, MOST_SCORES_ON_GPU = 2**24, 2**26


@on_explicit_axes
def softmax_sum(
    queries: Array,
    keys: Array,
    values: Array | None = None,
    *,
    inverse_temperature: float | Array = 1.0,
    skip: Array | None = None,
    last: Array | None = None,
    mask: Array | None = None,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> tuple[Array, Array]:
    """Logarithm of the sum of the exponentials of each query's scores, and the mean of the values with these weights.

    Where all keys are taken at once, any kind of differentiation works; otherwise the gradient is a custom one, and JAX
    refuses forward mode (`jvp`) with a TypeError. That gradient recomputes the scores, and their rounding is
    a relative error of the weights: about 1e-7 times the largest score, 3 % near 1e5, meaningless from 1e7 on.

    Args:
      queries, keys, values: `[Q, D]`, `[K, D]`, `[K, E]`; without values, E is 0.
      inverse_temperature: multiplies scores; above 0.
      skip: `[Q, S]` integers, keys that are masked for a query; indices of no key are allowed.
      last: `[Q]` integers, the last visible key of a query; its own index for causal attention. A block after the last keys
        of all queries costs nothing.
      mask: `[Q, N]` booleans, True where a key is visible; `[1, N]` for all queries.
      axis_name: mapped axis over which queries and keys are sharded; key indices count through all shards, in their order.
      block_size: b; keys then pass through the ring. None chooses by size: while scores are few, keys of all shards are
        gathered and processed at once.
      precision: of products of float32 on accelerators, "highest" or "high", see `ops.comparison`; None takes that of the
        context, "highest" where nothing else is chosen.

    Returns:
      `[Q]` and `[Q, E]`, float32 (float64 if all arrays are); minus infinity and 0 for a query without visible keys.

    Raises:
      ValueError: shapes or types do not fit, there are no keys, the temperature or block is not positive, or the precision is
        unknown.

    Example:
      >>> logarithm, mean = softmax_sum(jnp.zeros((1, 2)), jnp.ones((4, 2)), jnp.arange(4.0)[:, None])
      >>> print(f"{logarithm[0]:.4f}, log(4) = {np.log(4):.4f}; {mean[0, 0]:.4f}")
      1.3863, log(4) = 1.3863; 1.5000
    """
    hidden = Hidden(skip, last, mask)
    _check(queries, keys, values, hidden, shards(axis_name))
    check_positive("softmax_sum", inverse_temperature=inverse_temperature)
    check_count("softmax_sum", **given(block_size=block_size))
    precision = chosen_precision("softmax_sum", precision)
    queries, keys, values = floats(queries, keys, jnp.zeros((len(keys), 0), keys.dtype) if values is None else values)
    scale = jnp.asarray(inverse_temperature, accumulation_dtype(queries.dtype))
    most = most_scores(queries) * devices_under(queries)
    chosen = chosen_comparison()
    block_size = chosen.block_size if block_size is None else block_size
    few = block_size is None and len(queries) * len(keys) * shards(axis_name) <= most
    gather = chosen.keys == "gather" or (chosen.keys == "auto" and few)
    if gather or not on_several_devices(axis_name):  # a ring within one device would only copy memory
        keys, values, axis_name = gather_rows(keys, axis_name), gather_rows(values, axis_name), None

    block = len(keys) if few else min(block_size or max(1, most // len(queries)), len(keys))
    if axis_name is None and block == len(keys):
        scores = scores_of(queries, keys, scale, hidden, 0, 0, len(keys), precision=precision)
        return finished(sums_of(scores, values, highest(scores), precision))
    if mask is not None:  # the last block may extend beyond the end
        hidden = hidden._replace(mask=jnp.pad(mask, ((0, 0), (0, block))))
    store = (cut_rows(keys, block), cut_rows(values, block))
    return _streamed(axis_name, len(keys), precision, *varying_together((queries, store, scale, hidden)))


def log_sum_exp(queries: Array, keys: Array, **arguments: Any) -> Array:
    """The first result of `softmax_sum`, `[Q]`; same arguments.

    Args:
      queries, keys: `[Q, D]`, `[K, D]`.
      arguments: the other arguments of `softmax_sum`.

    Example:
      >>> print(f"{log_sum_exp(jnp.zeros((1, 2)), jnp.ones((4, 2)))[0]:.4f}, log(4) = {np.log(4):.4f}")
      1.3863, log(4) = 1.3863
    """
    return softmax_sum(queries, keys, **arguments)[0]


def most_scores(rows: Array) -> int:
    """Scores that a device computes at once when no block size is given."""
    return MOST_SCORES_ON_GPU if platform_of(rows) == "gpu" else MOST_SCORES


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _streamed(
    axis_name: str | None, count: int, precision: Precision, queries: Array, store: Any, scale: Array, hidden: Hidden
) -> Any:
    """`softmax_sum` over a store of blocks, `[K / b, b, D]` and `[K / b, b, E]`, of which `count` keys are real."""
    return _forward(axis_name, count, precision, queries, store, scale, hidden)[0]


def _forward(
    axis_name: str | None, count: int, precision: Precision, queries: Array, store: Any, scale: Array, hidden: Hidden
) -> Any:
    def visit(sums: Sums, shard: Any, store: Any) -> tuple[Sums, None]:
        def read(sums: Sums, numbered: Any) -> tuple[Sums, None]:
            number, (keys, values) = numbered

            def absorb() -> Sums:
                scores = scores_of(queries, keys, scale, hidden, shard, number, count, precision=precision)
                return absorbed(sums, scores, values, precision)

            return _unless_later(hidden, shard * count + number * len(keys), absorb, sums), None

        return lax.scan(read, sums, (jnp.arange(len(store[0])), store))

    start = varying_together((no_sums(queries, store[1]), queries))[0]
    sums, _ = _round(visit, start, None, store, axis_name)
    log_sums, means = finished(sums)
    return (log_sums, means), (queries, store, scale, hidden, log_sums, means)


def _backward(
    axis_name: str | None, count: int, precision: Precision, kept: Any, cotangents: tuple[Array, Array]
) -> tuple[Any, ...]:
    queries, store, scale, hidden, log_sums, means = kept
    of_log_sums, of_means = cotangents
    finite_log_sums = jnp.where(log_sums == -jnp.inf, 0, log_sums)
    einsum = partial(mixed_precision_einsum, precision=precision)
    offset = of_log_sums - jnp.sum(of_means * means, axis=1)

    def visit(of_queries: Array, shard: Any, store: Any) -> tuple[Array, Any]:
        def read(of_queries: Array, numbered: Any) -> tuple[Array, Any]:
            number, (keys, values), keys_transposed = numbered

            def differentiate() -> tuple[Array, Any]:
                # [b, Q] rather than [Q, b]: then no product has to transpose its long side, which takes XLA's CPU code
                # twice as long. Keys are transposed beforehand for the same reason.
                scores = scores_of(
                    queries, keys, scale, hidden, shard, number, count, transposed=True, precision=precision
                )
                weights = jnp.exp(scores - finite_log_sums[None])
                slopes = weights * (offset[None] + einsum("ke,qe->kq", values, of_means))
                of_keys = einsum("kq,qd->kd", slopes, queries) * scale
                of_values = einsum("kq,qe->ke", weights, of_means)
                return of_queries + einsum("dk,kq->dq", keys_transposed, slopes), (of_keys, of_values)

            nothing, _ = varying_together((jax.tree.map(wide_zeros, (keys, values)), of_queries))
            first = shard * count + number * len(keys)
            return _unless_later(hidden, first, differentiate, (of_queries, nothing))

        return lax.scan(read, of_queries, (jnp.arange(len(store[0])), store, store[0].mT))

    start, pending_gradient, _ = varying_together((wide_zeros(queries.T), jax.tree.map(wide_zeros, store), queries))
    of_queries, of_store = _round(visit, start, pending_gradient, store, axis_name)
    of_queries = of_queries.T
    of_scale = jnp.sum(of_queries * queries.astype(scale.dtype))
    of_store = jax.tree.map(lambda result, blocks: result.astype(blocks.dtype), of_store, store)
    return (of_queries * scale).astype(queries.dtype), of_store, of_scale, None


_streamed.defvjp(_forward, _backward)


def _round(
    visit: Callable[..., Any], state: Any, pending_gradient: Any, store: Any, axis_name: str | None
) -> tuple[Any, Any]:
    """`visit(state, shard, store) -> (state, result)` for the store of every shard, as the stores pass through the ring.

    The results are summed, move with their store, and return to the shard that holds it.
    """
    if axis_name is None:
        return visit(state, 0, store)
    count, own = shards(axis_name), lax.axis_index(axis_name)

    def step(carried: Any, distance: Array) -> tuple[Any, None]:
        state, store, pending_gradient = carried
        coming, pending_gradient = pass_on(
            (store, pending_gradient), axis_name
        )  # independent of the computation below: transferred meanwhile
        state, result = visit(state, (own - distance) % count, store)
        return (state, coming, jax.tree.map(jnp.add, pending_gradient, result)), None

    (state, _, pending_gradient), _ = lax.scan(
        step, (state, store, pending_gradient), jnp.arange(count, dtype=own.dtype)
    )
    return state, pass_on(pending_gradient, axis_name)


def _unless_later(hidden: Hidden, first: Any, visit: Callable[[], Any], otherwise: Any) -> Any:
    """`visit()`, or `otherwise` where the last visible keys of all queries come before key `first`."""
    return visit() if hidden.last is None else lax.cond(first <= hidden.last.max(), visit, lambda: otherwise)


def _check(queries: Array, keys: Array, values: Array | None, hidden: Hidden, count: int) -> None:
    check_arrays("softmax_sum", queries=queries, keys=keys, **given(values=values, mask=hidden.mask))
    check_integers("softmax_sum", **given(skip=hidden.skip, last=hidden.last))
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1] or 0 in (*queries.shape, *keys.shape):
        raise ValueError(
            f"softmax_sum: needs queries [Q, D] and keys [K, D], not empty, got {queries.shape} and {keys.shape}"
        )
    if values is not None and (values.ndim != 2 or len(values) != len(keys)):
        raise ValueError(f"softmax_sum: values must be [K, E] with K = {len(keys)}, got {values.shape}")
    if hidden.mask is not None and hidden.mask.dtype != bool:
        raise ValueError(f"softmax_sum: mask must be booleans, got {hidden.mask.dtype}")
    rows, total, expected = (
        len(queries),
        len(keys) * count,
        {"skip": "[Q, S]", "last": "[Q]", "mask": "[Q, N] or [1, N]"},
    )
    fits = {
        "skip": lambda shape: len(shape) == 2 and shape[0] == rows,
        "last": lambda shape: shape == (rows,),
        "mask": lambda shape: shape in ((rows, total), (1, total)),
    }
    for name, array in hidden._asdict().items():
        if array is not None and not fits[name](array.shape):
            raise ValueError(
                f"softmax_sum: {name} must be {expected[name]} with Q = {rows} and N = {total}, got {array.shape}"
            )
