"""Sinkhorn-Knopp: soft assignments that share the batch equally among the prototypes.

B: examples held here; N: examples of the whole batch; K: prototypes. `axis_name=None` says that the scores hold the
whole batch; a name says that they are one shard of it under that mapped axis.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_positive
from ssl_jax.ops.collectives import max_over_shards, mean_over_shards


def sinkhorn(scores: Array, *, epsilon: float = 0.05, iterations: int = 3, axis_name: str | None = None) -> Array:
    """Assignments nearest to `softmax(scores / epsilon)` that use every prototype equally often.

    Works on logarithms, so that no epsilon and no input type overflows. No gradient flows through it.

    Args:
      scores: similarity of each example to each prototype, `[B, K]`.
      epsilon: weight of the entropy, above 0; small gives hard assignments, large uniform ones.
      iterations: rounds of scaling prototypes, then examples; with 0 rounds it is the softmax.

    Returns:
      `[B, K]` float32. Rows sum to 1; over all shards columns come near N/K, and the nearer the more rounds. Equal
      scores give 1/K everywhere.

    Raises:
      ValueError: the scores are not a matrix with rows and columns, epsilon is not positive, or iterations is negative.

    Source: Cuturi 2013, https://arxiv.org/abs/1306.0895;
    Caron et al. 2020, https://arxiv.org/abs/2006.09882, section 3.1.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"sinkhorn: scores must be [B, K] with at least one row and column, got {scores.shape}")
    check_positive("sinkhorn", epsilon=epsilon)
    if iterations < 0:
        raise ValueError(f"sinkhorn: iterations must be 0 or more, got {iterations}")
    logits = lax.stop_gradient(scores).astype(jnp.float32) / epsilon

    def scale(_, logits):
        return jax.nn.log_softmax(logits - _log_mean_over_batch(logits, axis_name))

    # A loop, not unrolled: XLA would fuse each round into all later ones, and take minutes to compile a hundred.
    return jax.nn.softmax(lax.fori_loop(0, iterations, scale, logits))


def _log_mean_over_batch(logits: Array, axis_name: str | None) -> Array:
    """Logarithm of each column's mean of exponentials over the whole batch: `[B, K]` -> `[1, K]`."""
    top = max_over_shards(logits.max(axis=0, keepdims=True), axis_name)
    return top + jnp.log(mean_over_shards(jnp.exp(logits - top).mean(axis=0, keepdims=True), axis_name))
