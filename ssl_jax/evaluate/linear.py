"""Linear probe: multinomial logistic regression on frozen features, with the L2 strength chosen without the test set.

N: training features; M: test features; D: their dimension; K: classes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.evaluate.checks import check_features
from ssl_jax.evaluate.feature_blocks import Blocks, labelled_blocks, over_blocks, standardized_by, statistics_of
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.evaluate.logistic import block_size, logistic_regression, no_opinion, principal_axes, rows_at
from ssl_jax.ops.checks import check_all_positive, check_count, check_range, given
from ssl_jax.ops.normalize import Rows

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
    memory_budget: int | None = None,
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
      memory_budget: bytes of the device that the features of a part may take, in float32. Larger ones stay where they are, in
        memory or in a file that `numpy.load(file, mmap_mode="r")` has opened, and each step sends them in blocks; the
        result is the same within the tolerance of the fit. None: a quarter of the device's memory, 4 GiB where it states none.

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
    check_count("linear_probe", **given(memory_budget=memory_budget))
    features, classes = labelled_blocks("training", train_features, train_labels, budget=memory_budget)
    tests, answers = labelled_blocks("test", test_features, test_labels, budget=memory_budget)
    held = held_out_rows(classes, share=held_out, seed=seed)
    mean, scale = statistics = statistics_of(features)
    features, tests = standardized_by(features, statistics), standardized_by(tests, statistics)
    labels, answers = jax.device_put((classes, answers))

    axes = principal_axes(features) if features.shape[1] - 1 <= MOST_TURNED else None
    fit = partial(logistic_regression, features, labels, axes=axes)
    solution, solutions, accuracies = no_opinion(num_classes, features), {}, {}
    for strength in sorted(strengths, reverse=True):  # Each starts from the solution of the next stronger one.
        solution = fit(~held, strength=strength, start=solution, tolerance=1e-3)
        solutions[strength], accuracies[strength] = solution, accuracy(solution, features, labels, rows=held)
    chosen = max(accuracies, key=accuracies.__getitem__)
    solution = fit(np.ones(len(held), bool), strength=chosen, start=solutions[chosen])
    share = accuracy(solution, tests, answers)
    weights, bias = jax.device_get(_unstandardized(solution, mean, scale))
    return ProbeResult(share, wilson_interval(share, len(answers)), chosen, accuracies, weights, bias)


@jax.jit
def _unstandardized(solution: Array, mean: Array, scale: Array) -> tuple[Array, Array]:
    weights = (solution[:, :-1] * scale[None]).T
    return weights, solution[:, -1] - jnp.matmul(mean, weights, precision="highest")


def accuracy(solution: Array, features: Blocks, labels: Array, *, rows: NDArray[np.bool_] | None = None) -> float:
    """Fraction of correct predictions, over all examples or over those in the mask `rows`."""
    rows = np.ones(len(features), bool) if rows is None else rows
    nothing, counted = jax.device_put((np.int32(0), rows))
    visit = partial(_add_right, solution, labels, counted)
    right = over_blocks(visit, nothing, features, size=block_size(solution))
    return int(jax.device_get(right)) / int(rows.sum())


@jax.jit
def _add_right(solution: Array, labels: Array, counted: Array, right: Array, rows: Array, place: Array) -> Array:
    is_new, answers, counts = rows_at(place, len(rows), labels, counted)
    chosen = jnp.matmul(solution, rows.T, precision="highest").argmax(axis=0)
    return right + jnp.sum((chosen == answers) & counts & is_new, dtype=right.dtype)


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
