"""Gauges that show a collapse before the accuracy does, cheap enough to be read while training goes on.

B: embeddings; D: their size. Every gauge works under jit and is a float32 scalar, finite also where all embeddings are
equal or zero. All but the rank scale embeddings to unit length first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.ops.normalize import unit_length

# Eigenvalues of a float32 Gram matrix that are below this part of the largest may be rounding and nothing else.
RESOLUTION = 4 * np.finfo(np.float32).eps


def diagnostics(embeddings: Array) -> dict[str, Array]:
    """`[B, D]` -> {"std", "effective_rank"}: 0 and 1 where all embeddings are equal, near 1 and D on the whole sphere.

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.
    """
    _check("diagnostics", embeddings)
    return {"std": relative_std(embeddings), "effective_rank": effective_rank(embeddings)}


def relative_std(embeddings: Array) -> Array:
    """Standard deviation over the batch, mean over dimensions, over that of the uniform sphere, 1/sqrt(D): from 0 to 1.

    Source: Chen and He 2021 (SimSiam), https://arxiv.org/abs/2011.10566, section 4.1.
    """
    rows = unit_length(embeddings)
    return rows.std(axis=0).mean() * rows.shape[1] ** 0.5


def effective_rank(embeddings: Array) -> Array:
    """RankMe: exponential of the entropy of the normalised singular values, from 1 (one direction) to min(B, D).

    The singular values are square roots of eigenvalues of the smaller Gram matrix, which costs O(B D min(B, D)) and
    little of an accelerator's time; those below 1/1400 of the largest are not resolved and count as 0.

    Source: Garrido et al. 2023, https://arxiv.org/abs/2210.02885, equation 1.
    """
    rows = embeddings.astype(jnp.float32)
    rows = rows / jnp.maximum(jnp.abs(rows).max(), 1e-30)  # The rank has no scale, but squares overflow.
    tall = rows if rows.shape[0] >= rows.shape[1] else rows.T
    eigenvalues = jnp.linalg.eigvalsh(jnp.matmul(tall.T, tall, precision="highest"))
    singular = jnp.sqrt(jnp.where(eigenvalues > RESOLUTION * eigenvalues[-1], eigenvalues, 0))
    share = singular / jnp.maximum(singular.sum(), 1e-30)
    return jnp.exp(jax.scipy.special.entr(share).sum())


def alignment(first: Array, second: Array) -> Array:
    """Mean squared distance of positives, two `[B, D]`: from 0 (equal) to 4 (opposite), 2 for unrelated ones.

    Raises:
      ValueError: not two matrices of one shape, or fewer than two embeddings.

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1, with exponent 2.
    """
    _check("alignment", first)
    if first.shape != second.shape:
        raise ValueError(f"alignment: first and second must have one shape, got {first.shape} and {second.shape}.")
    return jnp.sum((unit_length(first) - unit_length(second)) ** 2, axis=-1).mean()


def uniformity(embeddings: Array, *, t: float = 2.0) -> Array:
    """Logarithm of the mean of exp(-t |x - y|^2) over pairs of different rows: 0 at collapse, 2 t^2 / D - 2 t on the
    uniform sphere (for large D).

    Memory is O(B^2): of a very large batch, give a part.

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1.
    """
    _check("uniformity", embeddings)
    rows = unit_length(embeddings)
    squares = jnp.sum(rows**2, axis=-1)  # 1, but 0 for a row without direction
    distances = squares[:, None] + squares[None] - 2 * jnp.matmul(rows, rows.T, precision="highest")
    exponents = jnp.where(jnp.eye(len(rows), dtype=bool), -jnp.inf, -t * jnp.maximum(distances, 0))
    return jax.nn.logsumexp(exponents) - jnp.log(len(rows) * (len(rows) - 1.0))


def _check(function: str, embeddings: Array) -> None:
    if embeddings.ndim != 2 or len(embeddings) < 2 or embeddings.shape[1] == 0:
        raise ValueError(f"{function}: embeddings must be [B, D] with at least two rows, got {embeddings.shape}.")
