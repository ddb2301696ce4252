"""Gauges that show a collapse before the accuracy does, cheap enough to compute during training.

B: number of embeddings; D: their dimension. Every gauge works under jit and is a float32 scalar, finite also where all
embeddings are equal or zero. All but the rank scale embeddings to unit length first.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.checks import check_arrays, check_positive
from ssl_jax.ops.normalize import power_of_two, unit_length


def diagnostics(embeddings: Array) -> dict[str, Array]:
    """`[B, D]` -> {"std", "effective_rank"}: 0 and 1 where all embeddings are equal, near 1 and D on the whole sphere.

    Args:
      embeddings: `[B, D]`, of one view.

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.

    Example:
      >>> found = diagnostics(jnp.ones((8, 4)))  # collapsed
      >>> print({name: round(float(value), 3) for name, value in found.items()})
      {'std': 0.0, 'effective_rank': 1.0}
    """
    _check("diagnostics", embeddings)
    return {"std": relative_std(embeddings), "effective_rank": effective_rank(embeddings)}


def relative_std(embeddings: Array) -> Array:
    """Standard deviation over the batch, mean over dimensions, over that of the uniform sphere, 1/sqrt(D): from 0 to 1.

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.

    Source: Chen and He 2021 (SimSiam), https://arxiv.org/abs/2011.10566, section 4.1.
    """
    _check("relative_std", embeddings)
    rows = unit_length(embeddings)
    return rows.std(axis=0).mean() * rows.shape[1] ** 0.5


def effective_rank(embeddings: Array) -> Array:
    """RankMe: exponential of the entropy of the normalised singular values, from 1 (one direction) to min(B, D).

    The singular values are those of the matrix itself, to about 1e-7 of the largest. Eigenvalues of a Gram matrix are their
    squares: near a collapse, all that are below 1/1400 of the largest would be lost to rounding. The cost is O(B D min(B, D)).

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.

    Source: Garrido et al. 2023, https://arxiv.org/abs/2210.02885, equation 1.
    """
    _check("effective_rank", embeddings)
    rows = embeddings.astype(jnp.float32)
    size = power_of_two(jnp.abs(rows).max())  # The rank does not depend on the scale, but squares overflow.
    tall = rows if rows.shape[0] >= rows.shape[1] else rows.T
    # The triangle R of tall = Q R has the same singular values and is at most square.
    triangle = jnp.linalg.qr(tall / jnp.where(size > 0, size, 1), mode="r")
    singular = jnp.linalg.svd(triangle, compute_uv=False)
    share = singular / jnp.where(size > 0, singular.sum(), 1)
    return jnp.exp(jax.scipy.special.entr(share).sum())


def alignment(first: Array, second: Array) -> Array:
    """Mean squared distance of positives, two `[B, D]`: from 0 (equal) to 4 (opposite), 2 for unrelated ones.

    Args:
      first, second: embeddings of two views, `[B, D]`; normalised to unit length by this function.

    Raises:
      ValueError: not two matrices of one shape, or fewer than two embeddings.

    Example:
      >>> print(f"{alignment(jnp.eye(2), jnp.eye(2)):.1f} {alignment(jnp.eye(2), -jnp.eye(2)):.1f}")
      0.0 4.0

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1, with exponent 2.
    """
    _check("alignment", first)
    check_arrays("alignment", second=second)
    if first.shape != second.shape:
        raise ValueError(f"alignment: first and second must have one shape, got {first.shape} and {second.shape}.")
    return jnp.sum((unit_length(first) - unit_length(second)) ** 2, axis=-1).mean()


def uniformity(embeddings: Array, *, t: float = 2.0) -> Array:
    """Logarithm of the mean of exp(-t |x - y|^2) over pairs of different rows: 0 at collapse, 2 t^2 / D - 2 t on the
    uniform sphere (for large D).

    Memory is O(B^2): pass a part of a very large batch.

    Args:
      embeddings: `[B, D]`; normalised to unit length by this function.
      t: scale of the Gaussian kernel; above 0.

    Raises:
      ValueError: not a matrix, fewer than two embeddings, or t is not positive.

    Example:
      >>> print(f"{uniformity(jnp.ones((4, 2))):.1f} {uniformity(jnp.array([[1.0, 0.0], [-1.0, 0.0]])):.1f}")
      0.0 -8.0

    Source: Wang and Isola 2020, https://arxiv.org/abs/2005.10242, section 4.1.
    """
    _check("uniformity", embeddings)
    check_positive("uniformity", t=t)
    rows = unit_length(embeddings)
    rows = rows - rows.mean(axis=0, keepdims=True)  # Near a collapse the products below would cancel.
    squares = jnp.sum(rows**2, axis=-1)
    distances = squares[:, None] + squares[None] - 2 * jnp.matmul(rows, rows.T, precision="highest")
    exponents = jnp.where(jnp.eye(len(rows), dtype=bool), -jnp.inf, -t * jnp.maximum(distances, 0))
    return jax.nn.logsumexp(exponents) - jnp.log(len(rows) * (len(rows) - 1.0))


def _check(function: str, embeddings: Array) -> None:
    check_arrays(function, embeddings=embeddings)
    if embeddings.ndim != 2 or len(embeddings) < 2 or embeddings.shape[1] == 0:
        raise ValueError(f"{function}: embeddings must be [B, D] with at least two rows, got {embeddings.shape}.")
