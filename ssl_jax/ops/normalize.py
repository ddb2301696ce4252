"""Rows at unit length, columns at unit variance: what losses do to embeddings before they compare them.

B: rows held here; N: rows of the whole batch; D: size of a row. Everything is computed and returned in float32.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import mean_over_shards


def unit_length(rows: Array, *, epsilon: float = 1e-12) -> Array:
    """Divides each row `[..., D]` by its Euclidean length; shorter ones than `epsilon` by `epsilon`.

    A zero row stays zero, with a finite gradient: the square root is never taken of zero.
    """
    rows = rows.astype(jnp.float32)
    square = jnp.sum(rows**2, axis=-1, keepdims=True)
    return rows * jax.lax.rsqrt(jnp.maximum(square, epsilon**2))


def standardize(rows: Array, *, epsilon: float = 1e-5, axis_name: str | None = None) -> Array:
    """`[B, D]` -> the same with mean 0 and population variance 1 in each column, over all N rows of all shards.

    `epsilon` is added to the variance: a constant column becomes zero.
    """
    rows = rows.astype(jnp.float32)
    mean = mean_over_shards(rows.mean(axis=0, keepdims=True), axis_name)
    centred = rows - mean
    variance = mean_over_shards(jnp.mean(centred**2, axis=0, keepdims=True), axis_name)
    return centred * jax.lax.rsqrt(variance + epsilon)
