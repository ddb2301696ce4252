"""Rows at unit length, columns at unit variance: what losses do to embeddings before they compare them.

B: rows held here; N: rows of the whole batch; D: size of a row. Everything is computed and returned in float32.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import mean_over_shards


def unit_length(rows: Array, *, epsilon: float = 1e-12) -> Array:
    """Divides each row `[..., D]` by its Euclidean length. A row no longer than `epsilon` becomes zero, with gradient zero."""
    rows = rows.astype(jnp.float32)
    square = jnp.sum(rows**2, axis=-1, keepdims=True)
    has_direction = square > epsilon**2
    # Both branches of a `where` are differentiated: the square root must not see a zero even where it is not used.
    return rows * jnp.where(has_direction, jax.lax.rsqrt(jnp.where(has_direction, square, 1)), 0)


def standardize(rows: Array, *, epsilon: float = 1e-5, axis_name: str | None = None) -> Array:
    """`[B, D]` -> the same with mean 0 and population variance 1 in each column, over all N rows of all shards.

    `epsilon` is added to the variance: a constant column becomes zero.
    """
    rows = rows.astype(jnp.float32)
    mean = mean_over_shards(rows.mean(axis=0, keepdims=True), axis_name)
    centred = rows - mean
    variance = mean_over_shards(jnp.mean(centred**2, axis=0, keepdims=True), axis_name)
    return centred * jax.lax.rsqrt(variance + epsilon)
