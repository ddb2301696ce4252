"""Multinomial logistic regression with an L2 penalty, by L-BFGS over the whole batch.

N: features; D: their dimension; K: classes. The loss is convex, so the optimum is unique: no learning rate, no epochs.
Weights and logits are class-major, `[K, ...]`: with few classes and many examples, both products of a gradient are fast in this
layout; `features.T @ error` takes three times as long on CPU. Logits are computed for a block of examples at a time: with
ImageNet's 1.28 million examples of 2,048 features, a fit takes 1.3 GB beside the features' 10.5, and 11.8 in one block.
Features that a device does not hold are sent to it block by block, see `feature_blocks`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ssl_jax.evaluate.feature_blocks import Blocks, over_blocks
from ssl_jax.evaluate.lbfgs import minimized

MOST_LOGITS = 2**26  # Of a block of examples, 256 MiB. Digits and Fashion-MNIST are one block.


class Axes(NamedTuple):
    """The axes of the features' covariance, `[D, D]`, a column each, and the variances along them, `[D]`."""

    directions: Array
    variances: Array


def logistic_regression(
    features: Blocks,
    labels: Array,
    rows: NDArray[np.bool_],
    *,
    strength: float,
    start: Array,
    tolerance: float = 1e-4,
    axes: Axes | None = None,
) -> Array:
    """Weights W `[K, D + 1]` of least mean cross entropy of W x + strength / 2 * |W without its last column|^2.

    L-BFGS over the full batch until the gradient is shorter than `tolerance`. scikit-learn's C is 1 / (examples * strength)
    from three classes on. With two classes it has one weight vector, the difference of our two. At the minimum ours are
    opposite, and its penalty is half as large: C = 2 / (examples * strength).

    Args:
      features: x, standardised, its last column 1, `[N, D + 1]`.
      labels: integers `[N]` below K.
      rows: boolean mask of the examples to fit, `[N]`; one compilation serves all masks.
      start: `[K, D + 1]`; the solution for a stronger penalty saves most of the steps.
      axes: of the features, see `principal_axes`: with weights on them fewer steps are needed. A rotation changes neither the
        penalty nor the optimum, and weights are rotated instead of features.
    """
    share, penalty = jax.device_put(((rows / rows.sum()).astype(np.float32), np.float32(strength)))
    directions, scale = (None, None) if axes is None else (axes.directions, _scale(axes.variances, penalty))

    def objective(weights: Array) -> tuple[Array, Array]:
        sums = cross_entropy(_turned(weights, directions, back=True), features, labels, share)
        return _penalized(*sums, weights, penalty, directions)

    solution = minimized(objective, _turned(start, directions), tolerance, scale=scale)
    return _turned(solution, directions, back=True)


def principal_axes(features: Blocks) -> Axes:
    """Axes on which the features, standardised, `[N, D + 1]`, are uncorrelated: their last column, 1, has none."""
    width = features.shape[1] - 1
    nothing = jax.device_put(np.zeros((width, width), np.float32))
    products = over_blocks(_add_products, nothing, features, size=max(1, MOST_LOGITS // width))
    return Axes(*_eigenvectors(products, len(features)))


@jax.jit
def rotated(rows: Array, directions: Array) -> Array:
    """Rows `[..., D + 1]` with all columns but the last on other axes."""
    return jnp.concatenate([jnp.matmul(rows[:, :-1], directions, precision="highest"), rows[:, -1:]], axis=1)


def cross_entropy(weights: Array, features: Blocks, labels: Array, share: Array) -> tuple[Array, Array]:
    """Sum of the cross entropies of W x, each times its share, and its gradient `[K, D + 1]`, in one visit to each block.

    Args:
      weights: W `[K, D + 1]`.
      features: x, standardised, `[N, D + 1]`.
      labels: integers `[N]` below K.
      share: of the examples in the sum, `[N]`.
    """
    return over_blocks(
        partial(_add_entropies, weights, labels, share), _nothing(weights), features, size=block_size(weights)
    )


def block_size(weights: Array) -> int:
    """Examples that have `MOST_LOGITS` logits."""
    return max(1, MOST_LOGITS // len(weights))


def rows_at(place: Array, size: int, *arrays: Array) -> tuple[Array, ...]:
    """Of a block that `over_blocks` visits: whether each of its rows is new, `[size]`, and its part of arrays of N rows."""
    is_new = place[0] + jnp.arange(size, dtype=place.dtype) >= place[1]
    return is_new, *(lax.dynamic_slice_in_dim(array, place[0], size) for array in arrays)


def no_opinion(num_classes: int, features: Blocks) -> Array:
    """Zeros `[K, D + 1]`: the default initial weights."""
    return jax.device_put(np.zeros((num_classes, features.shape[1]), np.float32))


@jax.jit
def _add_entropies(
    weights: Array, labels: Array, share: Array, sums: tuple[Array, Array], rows: Array, place: Array
) -> tuple[Array, Array]:
    is_new, classes, shares = rows_at(place, len(rows), labels, share)
    shares = jnp.where(is_new, shares, 0)
    is_label = jnp.arange(len(weights), dtype=labels.dtype)[:, None] == classes[None]
    logits = jnp.matmul(weights, rows.T, precision="highest")
    normalizers = jax.nn.logsumexp(logits, axis=0)
    value = jnp.vdot(shares, normalizers - jnp.sum(jnp.where(is_label, logits, 0), axis=0))
    errors = (jnp.exp(logits - normalizers[None]) - is_label.astype(logits.dtype)) * shares[None]
    return sums[0] + value, sums[1] + jnp.matmul(errors, rows, precision="highest")


@jax.jit
def _nothing(weights: Array) -> tuple[Array, Array]:
    return jnp.zeros((), weights.dtype), jnp.zeros_like(weights)


@jax.jit
def _penalized(
    value: Array, gradient: Array, weights: Array, strength: Array, directions: Array | None
) -> tuple[Array, Array]:
    """Value and gradient with the penalty, the gradient on the axes of the weights."""
    penalty = strength * weights.at[:, -1].set(0)
    return value + jnp.vdot(penalty, weights) / 2, _turned(gradient, directions) + penalty


def _turned(weights: Array, directions: Array | None, *, back: bool = False) -> Array:
    """The weights on the axes, or `back` on those of the features."""
    return weights if directions is None else rotated(weights, directions.T if back else directions)


@jax.jit
def _scale(variances: Array, strength: Array) -> Array:
    """The second derivative is about the features' variance times p (1 - p), at most 1/4, plus the strength."""
    return 1 / jnp.sqrt(jnp.append(variances / 4 + strength, 0.25))


@jax.jit
def _add_products(products: Array, rows: Array, place: Array) -> Array:
    (is_new,) = rows_at(place, len(rows))
    rows = jnp.where(is_new[:, None], rows[:, :-1], 0)
    return products + jnp.matmul(rows.T, rows, precision="highest")


@partial(jax.jit, static_argnums=1)
def _eigenvectors(products: Array, examples: int) -> tuple[Array, Array]:
    variances, directions = jnp.linalg.eigh(products / examples)
    return directions, jnp.maximum(variances, 0)
