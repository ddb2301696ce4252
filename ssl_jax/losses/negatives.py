"""Contrastive losses with negatives from outside the batch, or from within the image: queue, memory bank, patch grid.

B: examples of this shard; N: examples of the whole batch; K: negatives; D: size of an embedding.

With `axis_name=None` the arrays hold the whole batch. With a name they are one shard of it under that mapped
axis, and the loss is the mean over the whole batch. `block_size` is the number of keys compared at once; None chooses by
size.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ssl_jax.ops.blocks import mixed_precision_einsum
from ssl_jax.ops.checks import check_arrays, check_count, check_positive, check_range, given
from ssl_jax.ops.collectives import max_over_shards, mean_over_shards
from ssl_jax.ops.energy import free_energy
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length
from ssl_jax.ops.streaming import log_sum_exp


@on_explicit_axes
def info_nce(
    query: Array,
    positive: Array,
    negatives: Array,
    *,
    temperature: float | Array = 0.07,
    axis_name: str | None = None,
    negatives_axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """Cross-entropy of the positive among itself and K negatives, in nats (MoCo; most methods with memory banks).

    Chance level is log(K + 1). Gradients flow into all three; keys from a queue or another encoder are
    constants if the caller does not differentiate them.

    Args:
      query, positive: `[B, D]`.
      negatives: `[K, D]`, shared by all queries, or `[B, K, D]`. All are normalised to unit length in float32.
      temperature: divides cosine similarities; above 0.
      negatives_axis_name: axis over which shared negatives are sharded, as a queue may be: queries are then gathered. None
        where every shard holds all K.
      block_size: shared negatives compared at once.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the N queries, a scalar.

    Raises:
      ValueError: the shapes do not fit, something is empty, or the temperature or block is not positive.

    Example:
      >>> query, queue = jnp.eye(8)[:2], jnp.eye(8)[2:]
      >>> print(f"{info_nce(query, query, queue, temperature=0.5):.3f}, chance level {np.log(6 + 1):.3f}")
      0.594, chance level 1.946

    Source: He et al. 2019, https://arxiv.org/abs/1911.05722, equation 1; van den Oord et al. 2018,
    https://arxiv.org/abs/1807.03748, equation 4.
    """
    _check("info_nce", query, positive, negatives)
    check_positive("info_nce", temperature=temperature)
    check_count("info_nce", **given(block_size=block_size))
    query, positive, negatives = unit_length(query), unit_length(positive), unit_length(negatives)
    right = jnp.sum(query * positive, axis=1) / temperature
    if negatives.ndim == 3:
        wrong = jax.nn.logsumexp(mixed_precision_einsum("bd,bkd->bk", query, negatives) / temperature, axis=1)
    else:
        energy = free_energy(
            query,
            negatives,
            inverse_temperature=1 / temperature,
            axis_name=negatives_axis_name,
            block_size=block_size,
        )
        wrong = -energy / temperature
    return mean_over_shards(jax.nn.softplus(wrong - right).mean(), axis_name)


@on_explicit_axes
def nce(
    query: Array,
    positive: Array,
    negatives: Array,
    *,
    log_partition: float | Array,
    temperature: float | Array = 0.07,
    axis_name: str | None = None,
) -> Array:
    """Noise-contrastive estimation with a memory bank (NPID, PIRL, AVID), in nats.

    Each pair is classified separately as data or noise: with a probability exp(s / temperature) / (L Z) of entry i of a
    bank of L, against K draws from a uniform noise, the log-odds of data are s / temperature - log Z - log K, in which L
    cancels. Where all odds are even, log Z being right, the loss is log(K + 1) + K log(1 + 1/K).

    PIRL is a weighted sum of two calls, with the bank entry as positive and, as query, the image or its patches.

    Args:
      query, positive: `[B, D]`.
      negatives: entries drawn from the bank, `[K, D]` or `[B, K, D]`. All are normalised to unit length in float32.
      log_partition: log Z, the logarithm of the mean of exp(s / temperature) over the bank; measured with
        `estimate_log_partition` on the first batch and constant afterwards.
      temperature: divides cosine similarities; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the N queries, of the sum over 1 + K pairs; a scalar.

    Raises:
      ValueError: the shapes do not fit, something is empty, or the temperature is not positive.

    Example:
      >>> query, bank = jnp.eye(8)[:2], jnp.eye(8)[2:]
      >>> even = np.log(7) + 6 * np.log(7 / 6)
      >>> print(f"{nce(query, query, bank, log_partition=0.0, temperature=0.5):.3f}, at even odds {even:.3f}")
      1.519, at even odds 2.871

    Source: Wu et al. 2018, https://arxiv.org/abs/1805.01978, equations 4 to 8; Misra and van der Maaten 2019,
    https://arxiv.org/abs/1912.01991, equation 4; Morgado et al. 2021, https://arxiv.org/abs/2004.12943, section 3.1.
    """
    _check("nce", query, positive, negatives)
    check_positive("nce", temperature=temperature)
    check_range("nce", -math.inf, log_partition=log_partition)
    right, wrong = _scores(query, positive, negatives, temperature)
    offset = log_partition + math.log(wrong.shape[1])
    nats = jax.nn.softplus(offset - right) + jax.nn.softplus(wrong - offset).sum(axis=1)
    return mean_over_shards(nats.mean(), axis_name)


@on_explicit_axes
def estimate_log_partition(
    query: Array, negatives: Array, *, temperature: float | Array = 0.07, axis_name: str | None = None
) -> Array:
    """Logarithm of the mean of exp(s / temperature) over all pairs of a query and a negative: `nce`'s constant.

    Args:
      query, negatives: as in `nce`; many reduce the variance of the constant, which is kept for the whole run.
      temperature: divides cosine similarities; above 0; that of `nce`.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      A scalar, without gradient.

    Example:
      >>> query, bank = jnp.eye(8)[:2], jnp.eye(8)[2:]
      >>> print(f"{estimate_log_partition(query, bank, temperature=0.5):.3f}")  # all scores are 0: log(mean(exp(0)))
      0.000
    """
    _check("estimate_log_partition", query, query, negatives)
    check_positive("estimate_log_partition", temperature=temperature)
    _, scores = _scores(query, query, negatives, temperature)
    scores = lax.stop_gradient(scores)
    top = max_over_shards(scores.max(), axis_name)
    return top + jnp.log(mean_over_shards(jnp.exp(scores - top).mean(), axis_name))


@on_explicit_axes
def cpc(
    predictions: Array,
    targets: Array,
    *,
    first_step: int = 1,
    temperature: float | Array = 1.0,
    axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """Contrastive predictive coding on a grid of patches, in nats: the context above is the query for a patch some rows below.

    Negatives are all patches of all images of the batch. Chance level is log(N H W). Scores are plain inner products: their
    scale is learned by the weights of the prediction. For sequences, W is 1.

    Args:
      predictions: `[S, B, H, W, D]`; entry s at row h is predicted from context at or above row h, for the patch at row
        `h + first_step + s`. Predictions of rows below the grid are ignored.
      targets: embeddings of the patches, `[B, H, W, D]`.
      first_step: rows between context and the first prediction; at least 1.
      temperature: divides scores; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: patches compared at once, to bound memory; None chooses by size.

    Returns:
      Mean over the S steps of the mean over their positions, a scalar.

    Raises:
      ValueError: the shapes do not fit, something is empty, a step reaches over the whole grid, or the temperature or
        block is not positive; the axis is not bound.

    Example:
      >>> grid = jnp.eye(9).reshape(1, 3, 3, 9)  # one image of 3 x 3 patches
      >>> below = jnp.roll(grid, -1, axis=1)[None] * 5  # predictions of the next row
      >>> print(f"{cpc(below, grid):.3f}, chance level {np.log(9):.3f}")
      0.053, chance level 2.197

    Source: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, equation 4 and section 3.3; Henaff et al. 2019,
    https://arxiv.org/abs/1905.09272, section 3.1.
    """
    check_arrays("cpc", predictions=predictions, targets=targets)
    check_count("cpc", first_step=first_step, **given(block_size=block_size))
    check_positive("cpc", temperature=temperature)
    if predictions.ndim != 5 or predictions.shape[1:] != targets.shape or predictions.size == 0:
        raise ValueError(
            "cpc: needs predictions [S, B, H, W, D] and targets [B, H, W, D], not empty, got "
            f"{predictions.shape} and {targets.shape}"
        )
    steps, height, dim = range(first_step, first_step + len(predictions)), targets.shape[1], targets.shape[3]
    if steps[-1] >= height:
        raise ValueError(
            f"cpc: steps must be from 1 to {height - 1} on a grid of {height} rows, got {steps[0]} to {steps[-1]}"
        )
    targets = targets.astype(jnp.float32)
    made = [row[:, : height - step].reshape(-1, dim) for step, row in zip(steps, predictions, strict=True)]
    meant = [targets[:, step:].reshape(-1, dim) for step in steps]
    queries = jnp.concatenate(made).astype(jnp.float32)

    arguments = {"inverse_temperature": 1 / temperature, "axis_name": axis_name, "block_size": block_size}
    nats = log_sum_exp(queries, targets.reshape(-1, dim), **arguments)
    nats = nats - jnp.sum(queries * jnp.concatenate(meant), axis=1) / temperature
    weights = np.concatenate([np.full(len(rows), 1 / len(rows) / len(made), jnp.float32) for rows in made])
    return mean_over_shards(jnp.sum(nats * weights), axis_name)


def _scores(query: Array, positive: Array, negatives: Array, temperature: float | Array) -> tuple[Array, Array]:
    """Cosine similarities over temperature, with the positive `[B]` and the negatives `[B, K]`."""
    query, positive, negatives = unit_length(query), unit_length(positive), unit_length(negatives)
    equation = "bd,bkd->bk" if negatives.ndim == 3 else "bd,kd->bk"
    return jnp.sum(query * positive, axis=1) / temperature, mixed_precision_einsum(
        equation, query, negatives
    ) / temperature


def _check(function: str, query: Array, positive: Array, negatives: Array) -> None:
    check_arrays(function, query=query, positive=positive, negatives=negatives)
    fits = query.ndim == 2 and positive.shape == query.shape and negatives.shape[-1:] == query.shape[1:]
    fits = fits and negatives.ndim > 1 and negatives.shape[:-2] in ((), query.shape[:1])
    if not fits or 0 in (query.size, negatives.size):
        raise ValueError(
            f"{function}: needs query and positive [B, D] and negatives [K, D] or [B, K, D], not empty, got "
            f"{query.shape}, {positive.shape} and {negatives.shape}"
        )
