"""Rows at unit length, columns at unit variance: what losses do to embeddings before they compare them.

B: rows held here; N: rows of the whole batch; D: size of a row. Everything is computed and returned in float32, whatever
comes in. `axis_name=None` says that the rows held here are the whole batch; a name says that they are one shard of it
under that mapped axis.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.ops.collectives import mean_over_shards

Rows = Array | np.ndarray


def unit_length(rows: Rows, *, epsilon: float = 1e-12) -> Array:
    """Divides each row of `[..., D]` by its Euclidean length.

    A row no longer than `epsilon` has no direction: it becomes zero, and its gradient is zero. All other gradients are
    orthogonal to their row and at most 1 / length times as long as what comes back.
    """
    rows = jnp.asarray(rows, jnp.float32)
    square = jnp.sum(rows**2, axis=-1, keepdims=True)
    has_direction = square > epsilon**2
    # Both branches of a `where` are differentiated: the square root must not see a zero even where it is not used.
    return rows * jnp.where(has_direction, jax.lax.rsqrt(jnp.where(has_direction, square, 1)), 0)


def standardize(rows: Rows, *, axis_name: str | None = None, epsilon: float = 1e-5) -> Array:
    """Takes from each column of `[B, D]` its mean and divides by its population deviation, both over all N rows.

    `epsilon` is added to the variance: a column that is constant becomes zero, with a finite gradient.

    Raises:
      ValueError: the rows are not a matrix with at least one row.
    """
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"standardize: rows must be [B, D] with at least one row, got {rows.shape}")
    rows = jnp.asarray(rows, jnp.float32)
    # Variance from the centred rows: the mean of squares less the square of the mean would cancel far from the origin.
    centred = rows - mean_over_shards(rows.mean(axis=0, keepdims=True), axis_name)
    variance = mean_over_shards(jnp.mean(centred**2, axis=0, keepdims=True), axis_name)
    return centred * jax.lax.rsqrt(variance + epsilon)


def layer_norm(rows: Rows, *, epsilon: float = 1e-5) -> Array:
    """Each row of `[..., D]` with mean 0 and population deviation 1, of itself; no gain, no offset."""
    rows = jnp.asarray(rows, jnp.float32)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + epsilon)
