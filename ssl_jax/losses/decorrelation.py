"""Redundancy reduction: views of one example agree, dimensions of the embedding do not repeat each other; no negatives.

B: examples of this shard; N: examples of the whole batch; D: size of an embedding; V: views.

With `axis_name=None` the arrays hold the whole batch, so N = B. With a name the caller runs once per shard
under that mapped axis: mean, deviation and correlation are then those of the whole batch. Standardising each shard
separately and averaging the correlations, as is often done, is another loss: the statistics of a shard hide differences
between shards.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_key, check_one_shape, check_range
from ssl_jax.ops.collectives import mean_over_shards, shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import standardize
from ssl_jax.ops.off_diagonal import diagonal, off_diagonal_squares


@on_explicit_axes
def barlow_twins(
    first: Array, second: Array, *, off_diagonal_weight: float = 5e-3, axis_name: str | None = None
) -> Array:
    """Squared distance of the cross-correlation of two views from the identity, summed over the matrix.

    0 means that views agree and dimensions do not correlate. Collapsed embeddings give D, identical standardised dimensions
    give `off_diagonal_weight * D (D - 1)`.

    Args:
      first, second: embeddings of the two views, `[B, D]`; standardised over the whole batch, with N in the variance.
      off_diagonal_weight: weight of the off-diagonal (redundancy) term; at least 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Raises:
      ValueError: the views are not two matrices of one shape, the whole batch has fewer than two examples, or the weight is
        negative.

    Example:
      >>> views = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # two dimensions that do not correlate
      >>> print(f"{barlow_twins(views, views):.3f}, of collapsed embeddings {barlow_twins(0 * views, 0 * views):.3f}")
      0.000, of collapsed embeddings 2.000

    Source: Zbontar et al. 2021, https://arxiv.org/abs/2103.03230, equations 1 and 2.
    """
    _check("barlow_twins", first, second, axis_name)
    check_range("barlow_twins", 0, off_diagonal_weight=off_diagonal_weight)
    first, second = standardize(first, axis_name=axis_name), standardize(second, axis_name=axis_name)
    agreement = jnp.sum((1 - diagonal(first, second, axis_name)) ** 2)
    return agreement + off_diagonal_weight * off_diagonal_squares(first, second, axis_name)


@on_explicit_axes
def vicreg(
    first: Array,
    second: Array,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    axis_name: str | None = None,
) -> Array:
    """Variance-invariance-covariance regularisation: the weighted sum of the three terms below.

    The variance term is the mean over both views, the covariance term their sum, as in the authors' code. Collapsed
    embeddings give `0.99 * variance`.

    Args:
      first, second: embeddings of the two views, `[B, D]`, not normalised.
      invariance, variance, covariance: weights of the terms; at least 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Raises:
      ValueError: the views are not two matrices of one shape, the whole batch has fewer than two examples, or a weight is
        negative.

    Example:
      >>> views = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
      >>> print(f"{vicreg(views, views):.3f}, of collapsed embeddings {vicreg(0 * views, 0 * views):.3f}")
      0.000, of collapsed embeddings 24.750

    Source: Bardes et al. 2021, https://arxiv.org/abs/2105.04906, section 4.1.
    """
    _check("vicreg", first, second, axis_name)
    check_range("vicreg", 0, invariance=invariance, variance=variance, covariance=covariance)
    spread = (variance_term(first, axis_name=axis_name) + variance_term(second, axis_name=axis_name)) / 2
    redundancy = covariance_term(first, axis_name=axis_name) + covariance_term(second, axis_name=axis_name)
    agreement = invariance_term(first, second, axis_name=axis_name)
    return invariance * agreement + variance * spread + covariance * redundancy


def lejepa_prediction(views: Array, *, large: int = 2, axis_name: str | None = None) -> Array:
    """Mean squared distance of views `[V, B, D]` from the mean of the first `large` ones: LeJEPA's prediction.

    Two views that do not agree at all, of variance 1 each, give 0.5.

    Raises:
      ValueError: the views are not `[V, B, D]` with at least `large` of them.

    Example:
      >>> print(lejepa_prediction(jnp.stack([jnp.ones((4, 3)), -jnp.ones((4, 3))])))
      1.0

    Source: Balestriero and LeCun 2025, https://arxiv.org/abs/2511.08544, section 5.1.
    """
    check_arrays("lejepa_prediction", views=views)
    check_count("lejepa_prediction", large=large)
    if views.ndim != 3 or views.size == 0 or not 1 <= large <= len(views):
        raise ValueError(f"lejepa_prediction: views must be [V, B, D] with V of at least {large}, got {views.shape}")
    views = views.astype(jnp.float32)
    return mean_over_shards(jnp.mean((views - views[:large].mean(axis=0, keepdims=True)) ** 2), axis_name)


@on_explicit_axes
def sigreg(rng: Array, views: Array, *, directions: int = 256, axis_name: str | None = None) -> Array:
    """SIGReg: distance of the N embeddings of a view from a standard normal, in random directions (Epps-Pulley test).

    In each direction the squared difference of the characteristic functions, weighted with exp(-t^2 / 2), is integrated
    over t in [-5, 5] by 17 points, and multiplied by N. Normal samples give 1.06 on average for any N; a collapse to 0
    gives 0.41 N. The cost is O(B D directions), and the communication does not depend on N or D.

    Args:
      rng: key of the directions; the same on all shards.
      views: `[V, B, D]`.
      directions: number of random unit vectors.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over directions and views, a scalar.

    Raises:
      ValueError: the views are not `[V, B, D]`, or there is no direction.

    Example:
      >>> rng = jax.random.key(0)
      >>> views = jax.random.normal(rng, (2, 512, 8))
      >>> print(f"{sigreg(rng, views):.1f}, of embeddings at 0 {sigreg(rng, 0 * views):.0f}")
      1.0, of embeddings at 0 209

    Source: Balestriero and LeCun 2025, https://arxiv.org/abs/2511.08544, section 4.2 and algorithm 1.
    """
    check_key("sigreg", rng=rng)
    check_one_shape("sigreg", "[V, B, D]", views=views)
    check_count("sigreg", directions=directions)
    total, dim = views.shape[1] * shards(axis_name), views.shape[2]
    axes = jax.random.normal(rng, (directions, dim), jnp.float32)
    axes = axes / jnp.linalg.norm(axes, axis=1, keepdims=True)
    along = jnp.einsum("vbd,md->vbm", views.astype(jnp.float32), axes, precision="highest")
    points = np.linspace(-5, 5, 17, dtype=jnp.float32)
    normal = np.exp(-(points**2) / 2)
    ends = np.where(np.abs(points) == 5, 0.5, 1).astype(jnp.float32)
    weights = normal * ends * (points[1] - points[0])  # trapezoidal rule

    def add(summed: Array, at: tuple[Array, Array, Array]) -> tuple[Array, None]:
        """One point after the other, so that memory is O(B M) and not 17 times as much."""
        point, expected, weight = at
        waves = jnp.cos(point * along).mean(axis=1), jnp.sin(point * along).mean(axis=1)
        real, imaginary = mean_over_shards(waves, axis_name)
        return summed + weight * jnp.mean((real - expected) ** 2 + imaginary**2), None

    summed, _ = lax.scan(jax.checkpoint(add), jnp.float32(0), (points, normal, weights))
    return total * summed


def invariance_term(first: Array, second: Array, *, axis_name: str | None = None) -> Array:
    """Mean square of the difference of two views `[B, D]`, over examples and dimensions.

    Example:
      >>> print(invariance_term(jnp.zeros((4, 3)), jnp.full((4, 3), 2.0)))
      4.0
    """
    difference = first.astype(jnp.float32) - second.astype(jnp.float32)
    return mean_over_shards(jnp.mean(difference**2), axis_name)


def variance_term(rows: Array, *, axis_name: str | None = None) -> Array:
    """Hinge loss on the deviations of the D dimensions of `[B, D]`: mean of max(0, 1 - sqrt(var + 1e-4)).

    Example:
      >>> print(round(float(variance_term(jnp.zeros((4, 3)))), 3))
      0.99
    """
    centred, total = _centred(rows, axis_name), _total(rows, axis_name)
    variances = diagonal(centred, centred, axis_name) * total / (total - 1)
    return jnp.mean(jax.nn.relu(1 - jnp.sqrt(variances + 1e-4)))


def covariance_term(rows: Array, *, axis_name: str | None = None) -> Array:
    """Sum of the squared covariances of different dimensions of `[B, D]`, over D.

    Example:
      >>> rows = jnp.array([[1.0, 1.0], [-1.0, -1.0]])
      >>> print(covariance_term(rows))
      4.0
    """
    centred, total = _centred(rows, axis_name), _total(rows, axis_name)
    return off_diagonal_squares(centred, centred, axis_name) * (total / (total - 1)) ** 2 / rows.shape[1]


def _centred(rows: Array, axis_name: str | None) -> Array:
    """Rows minus their mean over the whole batch, float32."""
    rows = rows.astype(jnp.float32)
    return rows - mean_over_shards(rows.mean(axis=0, keepdims=True), axis_name)


def _total(rows: Array, axis_name: str | None) -> int:
    """N, the examples of all shards."""
    return len(rows) * shards(axis_name)


def _check(name: str, first: Array, second: Array, axis_name: str | None) -> None:
    check_one_shape(name, "[B, D]", first=first, second=second)
    if _total(first, axis_name) < 2:
        raise ValueError(f"{name}: needs at least 2 examples in the whole batch to correlate dimensions, got 1")
