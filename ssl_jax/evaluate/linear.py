"""Linear probe: multinomial logistic regression on frozen features, with the L2 strength chosen without the test set.

N: training features; M: test features; D: their dimension; K: classes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ssl_jax.evaluate.checks import check_features, labelled_rows
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.evaluate.logistic import (
    block_start,
    blocks,
    logistic_regression,
    no_opinion,
    rotated,
    uncorrelated,
)
from ssl_jax.ops.checks import check_all_positive, check_count, check_range
from ssl_jax.ops.normalize import Rows, power_of_two

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Regression is on the axes of the features' covariance, where it needs a quarter of the steps: pixels of 20,000 images of
# Fashion-MNIST and seven strengths take 22 s on a core instead of 88. Finding the axes takes D^3 operations: features of more
# dimensions stay on their own.
MOST_TURNED = 2048


class ProbeResult(NamedTuple):
    """The fitted probe. Accuracies are in [0, 1]."""

    accuracy: float  # on the test features
    interval: tuple[float, float]  # 95 % Wilson interval of the accuracy
    strength: float  # the L2 strength chosen
    held_out: dict[float, float]  # strength -> accuracy on the training features held out
    weights: NDArray[np.float32]  # [D, K], for features without standardisation: logits are features @ weights + bias
    bias: NDArray[np.float32]  # [K]


def linear_probe(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows,
    *,
    num_classes: int,
    strengths: Sequence[float] = STRENGTHS,
    held_out: float = 0.2,
    seed: int = 0,
) -> ProbeResult:
    """Accuracy of a linear classifier of frozen features. Chance level: 1/K.

    A part of the training set, the same share of each class, chooses the strength: the best one, and the largest among equals.
    Then the probe is fitted on the whole training set, and evaluated once on the test set.

    Args:
      train_features, train_labels: `[N, D]`, standardised by their own statistics, and integers `[N]` below K.
      test_features, test_labels: `[M, D]` and `[M]`. Rows with the label -1, unlabelled ones, are left out of both parts.
      strengths: L2 strengths to choose from, see `logistic_regression`.
      held_out: fraction of each class that is held out to choose the strength.
      seed: seed of the choice of held-out examples.
      num_classes: K.

    Raises:
      ValueError: shapes that do not fit, labels out of range, features that are not finite, a strength that is not
        above 0, a share that is not between 0 and 1, no class with two examples, or no test feature with a label.

    Example:
      >>> features, labels = np.repeat(np.eye(2), 10, axis=0), np.repeat([0, 1], 10)
      >>> print(linear_probe(features, labels, features, labels, num_classes=2).accuracy)
      1.0
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    check_all_positive("linear_probe", strengths=strengths)
    check_range("linear_probe", 0, 1, held_out=held_out)
    check_count("linear_probe", least=0, seed=seed)
    train_features, train_labels = labelled_rows("training", train_features, labels=train_labels)
    test_features, test_labels = labelled_rows("test", test_features, labels=test_labels)
    held = held_out_rows(jax.device_get(train_labels), share=held_out, seed=seed)
    features, labels, tests, answers = jax.device_put((train_features, train_labels, test_features, test_labels))
    mean, scale = moments(features)
    features, tests = standardized(features, mean, scale), standardized(tests, mean, scale)

    axes = variances = None
    if features.shape[1] - 1 <= MOST_TURNED:
        features, axes, variances = uncorrelated(features)
        tests = rotated(tests, axes)
    fit = partial(logistic_regression, features, labels, variances=variances)
    solution, solutions, accuracies = no_opinion(num_classes, features), {}, {}
    for strength in sorted(strengths, reverse=True):  # Each starts from the solution of the next stronger one.
        solution = fit(~held, strength=strength, start=solution, tolerance=1e-3)
        solutions[strength], accuracies[strength] = solution, accuracy(solution, features, labels, rows=held)
    chosen = max(accuracies, key=accuracies.__getitem__)
    solution = fit(np.ones(len(held), bool), strength=chosen, start=solutions[chosen])
    share = accuracy(solution, tests, answers)
    weights, bias = jax.device_get(_unstandardized(solution, mean, scale, axes))
    return ProbeResult(share, wilson_interval(share, len(answers)), chosen, accuracies, weights, bias)


@jax.jit
def moments(features: Array) -> tuple[Array, Array]:
    """Mean `[D]`, and the inverse of the deviation `[D]`: 0 for a feature that is constant up to rounding."""
    features = features.astype(jnp.float32)
    size = power_of_two(
        jnp.abs(features).max(axis=0)
    )  # Values are divided by it before squaring, which might overflow or underflow.
    size = jnp.where(size > 0, size, 1)
    scaled = features / size[None]
    mean = scaled.mean(axis=0)
    deviation = jnp.sqrt(jnp.mean((scaled - mean[None]) ** 2, axis=0))
    varies = deviation > 1e-5 * jnp.abs(mean)
    return mean * size, jnp.where(varies, 1 / jnp.where(varies, deviation, 1), 0) / size


@jax.jit
def standardized(features: Array, mean: Array, scale: Array) -> Array:
    """`[N, D]` -> `[N, D + 1]`, the last column 1."""
    features = (features.astype(jnp.float32) - mean[None]) * scale[None]
    return jnp.pad(features, ((0, 0), (0, 1)), constant_values=1)


@jax.jit
def _unstandardized(solution: Array, mean: Array, scale: Array, axes: Array | None) -> tuple[Array, Array]:
    solution = solution if axes is None else rotated(solution, axes.T)
    weights = (solution[:, :-1] * scale[None]).T
    return weights, solution[:, -1] - jnp.matmul(mean, weights, precision="highest")


def accuracy(solution: Array, features: Array, labels: Array, *, rows: Any = slice(None)) -> float:
    """Fraction of correct predictions, over all examples or over those in the mask `rows`."""
    return float(jax.device_get(_right(solution, features, labels))[rows].mean())


@jax.jit
def _right(solution: Array, features: Array, labels: Array) -> Array:
    size, count = blocks(len(solution), len(features))

    def visit(number: Array, right: Array) -> Array:
        first, _ = block_start(number, size, len(features))
        rows, answers = (lax.dynamic_slice_in_dim(all, first, size) for all in (features, labels))
        chosen = jnp.matmul(solution, rows.T, precision="highest").argmax(axis=0)
        return lax.dynamic_update_slice_in_dim(right, chosen == answers, first, axis=0)

    return lax.fori_loop(0, count, visit, jnp.zeros(len(features), bool))


def held_out_rows(labels: NDArray[Any], *, share: float, seed: int) -> NDArray[np.bool_]:
    """`[N]`, True for `share` of each class: of two examples or more, at least one is held out and one stays."""
    if not 0 < share < 1:
        raise ValueError(f"held_out must be above 0 and below 1, got {share}.")
    generator = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        held[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    if not held.any():
        raise ValueError("held_out: no class has two training features, so that none can be held out: provide more.")
    return held
