"""Gauges that show a collapse before the accuracy does. Cheap enough to be read while training goes on.

B: embeddings; D: their size. Embeddings are scaled to unit length first, in float32; every gauge is a float32 scalar.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.normalize import unit_length


def diagnostics(embeddings: Array) -> dict[str, Array]:
    """`[B, D]` -> "std" and "effective_rank": 0 and 1 at collapse, about 1 and D where embeddings fill the sphere."""
    _check(embeddings)
    return {"std": relative_std(embeddings), "effective_rank": effective_rank(embeddings)}


def relative_std(embeddings: Array) -> Array:
    """Standard deviation over the batch, mean over dimensions, over that of the uniform sphere, 1/sqrt(D). Collapse: 0.

    Source: Chen and He 2021 (SimSiam), https://arxiv.org/abs/2011.10566, section 4.1.
    """
    rows = unit_length(embeddings)
    return rows.std(axis=0).mean() * rows.shape[1] ** 0.5


def effective_rank(embeddings: Array) -> Array:
    """RankMe: exponential of the entropy of the normalised singular values; from 1 (one direction) to min(B, D).

    Source: Garrido et al. 2023, https://arxiv.org/abs/2210.02885, equation 1. Its singular values are taken here as square
    roots of eigenvalues of the smaller Gram matrix: much faster, and as exact as a gauge needs.
    """
    rows = unit_length(embeddings)
    gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
    singular = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram), 0))
    share = singular / jnp.maximum(singular.sum(), 1e-12)
    return jnp.exp(jax.scipy.special.entr(share).sum())


def alignment(first: Array, second: Array) -> Array:
    """Mean squared distance of positives, two `[B, D]`: 0 (the same) to 4 (opposite), 2 for unrelated ones.

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1.
    """
    _check(first)
    if first.shape != second.shape:
        raise ValueError(f"alignment: first and second must have one shape, got {first.shape} and {second.shape}")
    return jnp.sum((unit_length(first) - unit_length(second)) ** 2, axis=-1).mean()


def uniformity(embeddings: Array, *, sharpness: float = 2.0) -> Array:
    """Log of the mean over pairs of exp(-sharpness * squared distance): 0 at collapse, near -2 * sharpness at best.

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1.
    """
    _check(embeddings)
    rows = unit_length(embeddings)
    squares = jnp.sum(rows**2, axis=1)
    distances = jnp.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0)
    exponents = jnp.where(jnp.eye(len(rows), dtype=bool), -jnp.inf, -sharpness * distances)
    return jax.nn.logsumexp(exponents) - jnp.log(len(rows) * (len(rows) - 1.0))


def _check(embeddings: Array) -> None:
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f"embeddings must be [B, D] with at least two rows, got {embeddings.shape}")
