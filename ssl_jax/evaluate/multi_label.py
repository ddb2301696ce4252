"""Several labels for each image: a linear classifier with one sigmoid a class, and mean average precision.

N: training features; M: test features; D: their dimension; K: classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike, NDArray

from ssl_jax.evaluate.lbfgs import minimized
from ssl_jax.evaluate.linear import STRENGTHS
from ssl_jax.evaluate.logistic import no_opinion
from ssl_jax.evaluate.standardization import moments, standardized
from ssl_jax.ops.checks import check_all_positive, check_arrays, check_count, check_mask, check_range
from ssl_jax.ops.normalize import Rows


class MultiLabel(NamedTuple):
    """Figures in [0, 1], over the classes that occur among the test targets."""

    average_precision: float  # mean over classes (mAP)
    interval: tuple[float, float]  # 95 % bootstrap interval, over test images
    of_classes: tuple[float, ...]  # average precision of each class; NaN for one that does not occur
    chance: float  # mAP of random scores: the mean share of the classes' images
    strength: float  # the L2 strength chosen on held-out training features


def multi_label_probe(
    train_features: Rows,
    train_targets: Rows,
    test_features: Rows,
    test_targets: Rows,
    *,
    strengths: Sequence[float] = STRENGTHS,
    held_out: float = 0.2,
    seed: int = 0,
) -> MultiLabel:
    """Mean average precision of independent logistic regressions of frozen features, one for each class.

    Args:
      train_features, train_targets: `[N, D]`, standardised by their own statistics, and `[N, K]`, 1 where an image shows a
        class and 0 elsewhere.
      test_features, test_targets: `[M, D]` and `[M, K]`.
      strengths: L2 strengths to choose from, as in `logistic_regression`; all classes share one.
      held_out: share of the training features, drawn at random, that chooses the strength by its mAP.
      seed: seed of the held-out features and of the bootstrap.

    Raises:
      ValueError: shapes that do not fit, features that are not finite, targets other than 0 and 1, a number out of range, or no
        class with an example among the test features.

    Example:
      >>> rows = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
      >>> print(multi_label_probe(rows, rows, rows, rows).average_precision)
      1.0

    Source: Goyal et al. 2019, https://arxiv.org/abs/1905.01235, section 5, with SVMs for VOC07 instead.
    """
    _check(train_features, train_targets, test_features, test_targets)
    check_all_positive("multi_label_probe", strengths=strengths)
    check_range("multi_label_probe", 0.01, 0.99, held_out=held_out)
    check_count("multi_label_probe", least=0, seed=seed)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(train_features))
    held = order < max(1, round(held_out * len(order)))
    train, tests = jax.device_put((train_features, test_features))
    mean, scale = moments(train)
    train, tests = standardized(train, mean, scale), standardized(tests, mean, scale)
    targets = jax.device_put(np.asarray(train_targets, np.float32))

    def fit(rows: NDArray[np.bool_], strength: float) -> Array:
        numbers = jax.device_put(((rows / rows.sum()).astype(np.float32), np.float32(strength)))

        def objective(weights: Array) -> tuple[Array, Array]:
            return _objective(weights, train, targets, *numbers)

        return minimized(objective, no_opinion(targets.shape[1], train), 1e-4)

    def scores(solution: Array, features: Array) -> NDArray[np.float32]:
        return np.asarray(jax.device_get(_logits(solution, features)))

    found = {
        strength: mean_average_precision(scores(fit(~held, strength), train)[held], np.asarray(train_targets)[held])
        for strength in sorted(strengths, reverse=True)
    }
    chosen = max(found, key=lambda strength: np.nan_to_num(found[strength], nan=-1.0))
    predicted, answers = scores(fit(np.ones(len(order), bool), chosen), tests), np.asarray(test_targets)
    drawn = (generator.integers(0, len(answers), len(answers)) for _ in range(200))
    resampled = [mean_average_precision(predicted[rows], answers[rows]) for rows in drawn]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    each = tuple(average_precision(*columns) for columns in zip(predicted.T, answers.T, strict=True))
    shares = answers.mean(axis=0)
    return MultiLabel(
        float(np.nanmean(each)), (float(low), float(high)), each, float(shares[shares > 0].mean()), chosen
    )


def mean_average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Mean of `average_precision` over the columns `[M, K]` that have a target; NaN where none has."""
    each = [average_precision(*columns) for columns in zip(np.asarray(scores).T, np.asarray(targets).T, strict=True)]
    measured = [value for value in each if not np.isnan(value)]
    return float(np.mean(measured)) if measured else float("nan")


def average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """Sum over thresholds of the increase in recall times precision, scores `[M]`; equal scores share a threshold.

    NaN without a target that is 1.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    order = np.argsort(-scores, kind="stable")
    hits = targets[order].cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)  # The last of each group of equal scores.
    counts, found = np.flatnonzero(last) + 1, hits[last]
    if not found[-1]:
        return float("nan")
    return float((np.diff(found, prepend=0) / found[-1] * found / counts).sum())


@jax.jit
@jax.value_and_grad
def _objective(weights: Array, features: Array, targets: Array, share: Array, strength: Array) -> Array:
    logits = _logits(weights, features)
    losses = jnp.sum(jax.nn.softplus(logits) - targets * logits, axis=1)
    return jnp.vdot(share, losses) + strength / 2 * jnp.sum(weights[:, :-1] ** 2)


@jax.jit
def _logits(weights: Array, features: Array) -> Array:
    return jnp.matmul(features, weights.T, precision="highest")


def _check(train_features: Rows, train_targets: Rows, test_features: Rows, test_targets: Rows) -> None:
    arrays = {"train_features": train_features, "train_targets": train_targets, "test_features": test_features}
    check_arrays("multi_label_probe", **arrays, test_targets=test_targets)
    for features, targets in ((train_features, train_targets), (test_features, test_targets)):
        if np.ndim(features) != 2 or np.ndim(targets) != 2 or len(features) != len(targets) or 0 in np.shape(features):
            raise ValueError(
                f"multi_label_probe: needs features [N, D], targets [N, K], got {np.shape(features)}, {np.shape(targets)}."
            )
        if not np.isfinite(np.asarray(features)).all():
            raise ValueError("multi_label_probe: features must be finite, got NaN or infinity.")
        check_mask("multi_label_probe", targets=targets)
    if train_features.shape[1] != test_features.shape[1] or train_targets.shape[1] != test_targets.shape[1]:
        raise ValueError(
            "multi_label_probe: features and targets must have the same columns for training and test, got "
            f"{train_features.shape}, {test_features.shape} and {train_targets.shape}, {test_targets.shape}."
        )
    if len(train_features) < 2 or not np.asarray(test_targets).any():
        raise ValueError(
            "multi_label_probe: needs two training features, and test_targets with an example of a class, got "
            f"{len(train_features)} and {int(np.asarray(test_targets).sum())}."
        )
