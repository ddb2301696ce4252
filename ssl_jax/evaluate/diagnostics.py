"""Gauges that show a collapse before the accuracy does, cheap enough to compute during training.

B: number of embeddings; D: their dimension. Every gauge works under jit and is a float32 scalar, finite also where all
embeddings are equal or zero. All but the rank scale embeddings to unit length first.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.checks import check_arrays, check_count, check_one_shape, check_positive
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

    Args:
      embeddings: `[B, D]`, of one view.

    Raises:
      ValueError: not a matrix, or fewer than two embeddings.

    Example:
      >>> print(f"{effective_rank(jnp.eye(8)):.1f} {effective_rank(jnp.ones((8, 4))):.1f}")
      8.0 1.0

    Source: Garrido et al. 2023, https://arxiv.org/abs/2210.02885, equation 1.
    """
    _check("effective_rank", embeddings)
    return effective_number(_singular_values(embeddings.astype(jnp.float32)))


def effective_number(weights: Array) -> Array:
    """Exponential of the entropy of weights `[K]` of at least 0 over their sum: from 1 to K; 1 where all are 0."""
    total = weights.sum()
    return jnp.exp(jax.scipy.special.entr(weights / jnp.where(total > 0, total, 1)).sum())


def eigenvalue_decay(embeddings: Array, *, first: int = 6, last: int = 50) -> Array:
    """alpha-ReQ: exponent a of the power law i^-a that the eigenvalues of the covariance follow, 0 on the whole sphere.

    Least squares of log eigenvalue on log i, with weights 1/i, as in the authors' code. Near 1 is best in the paper; above it
    few directions have the variance, below it many. An eigenvalue counts as at least 1e-12 of the largest, which is rounding.
    The cost is O(B D min(B, D)).

    Args:
      embeddings: `[B, D]`, of one view.
      first, last: range of i, from 1, both included; cut off at min(B - 1, D), the number of eigenvalues that may differ
        from 0, and begun at half of that if it is not above `first`. The exponent is 0 where a single one is left.

    Raises:
      ValueError: not a matrix, fewer than two embeddings, or not 1 <= first < last.

    Example:
      >>> rows = jnp.eye(64) * jnp.arange(1.0, 65.0)[:, None] ** -0.5  # With its negative, eigenvalues of 1 / i.
      >>> print(f"{eigenvalue_decay(jnp.concatenate([rows, -rows])):.2f}")
      1.00

    Source: Agrawal et al. 2022, https://openreview.net/forum?id=ii9X4vtZGTZ, section 3; the weights are those of Stringer et
    al. 2019, https://doi.org/10.1038/s41586-019-1346-5.
    """
    _check("eigenvalue_decay", embeddings)
    check_count("eigenvalue_decay", first=first, last=last)
    if not first < last:
        raise ValueError(f"eigenvalue_decay: needs 1 <= first < last, got {first} and {last}.")
    rows = embeddings.astype(jnp.float32)
    last = min(last, len(rows) - 1, rows.shape[1])
    first = first if first < last else max(1, last // 2)
    rows = rows / _size(rows)
    singular = _singular_values(rows - rows.mean(axis=0, keepdims=True))
    values = 2 * jnp.log(jnp.maximum(singular, jnp.maximum(1e-6 * singular[0], jnp.finfo(jnp.float32).tiny)))
    ranks = jnp.arange(first, last + 1, dtype=jnp.float32)
    across, weights = jnp.log(ranks), 1 / ranks
    across -= (weights * across).sum() / weights.sum()
    square = (weights * across**2).sum()
    return -(weights * across * values[first - 1 : last]).sum() / jnp.where(square > 0, square, 1)


def _singular_values(rows: Array) -> Array:
    """Of float32 rows over a power of two of their size, the largest first: squares would overflow."""
    tall = rows if rows.shape[0] >= rows.shape[1] else rows.T
    # The triangle R of tall = Q R has the same singular values and is at most square.
    triangle = jnp.linalg.qr(tall / _size(rows), mode="r")
    return jnp.linalg.svd(triangle, compute_uv=False)


def _size(rows: Array) -> Array:
    size = power_of_two(jnp.abs(rows).max())
    return jnp.where(size > 0, size, 1)


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
    check_one_shape("alignment", "[B, D]", first=first, second=second)
    _check("alignment", first)
    return jnp.sum((unit_length(first) - unit_length(second)) ** 2, axis=-1).mean()


def uniformity(embeddings: Array, *, t: float = 2.0) -> Array:
    """Logarithm of the mean of `exp(-t |x - y|^2)` over pairs of different rows: 0 at collapse, `2 t^2 / D - 2 t` on the
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
