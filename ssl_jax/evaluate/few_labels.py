"""Few-label probe: the linear probe with a handful of labels a class, over several fixed, class-balanced draws."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.evaluate.linear import STRENGTHS, _probe, check_features, standardize_by, stratified_folds
from ssl_jax.ops.normalize import Rows


class FewLabels(NamedTuple):
    """Mean and standard deviation over draws of the accuracy on the test features; accuracies: of each draw."""

    accuracy: float
    deviation: float
    accuracies: tuple[float, ...]


def few_label_probe(
    train_features: Rows, train_labels: Rows, test_features: Rows, test_labels: Rows,
    *, num_classes: int, per_class: int = 10, draws: int = 5, seed: int = 0, strengths: tuple[float, ...] = STRENGTHS,
) -> FewLabels:  # fmt: skip
    """Fits on `per_class` labelled features of each class, `draws` times; the L2 strength by five folds within each draw.

    Features are standardised by all training features, whose labels that does not need. The draws are decided by the
    labels and the seed alone, so that all features of one data set are judged by the same ones. Chance level: 1/K.

    Raises:
      ValueError: shapes that do not fit, a class with fewer than `per_class` features.
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    labels = np.asarray(train_labels)
    rows = np.stack([balanced_draw(labels, per_class, seed=seed + draw) for draw in range(draws)])
    folds = np.stack([stratified_folds(labels[draw], min(5, per_class), seed=seed) for draw in rows])
    train, test = standardize_by(train_features, train_features, test_features)
    probe = jax.vmap(partial(_probe, num_classes=num_classes), in_axes=(0, 0, 0, None, None, None))
    accuracies, _, _ = probe(train[rows], labels[rows], folds, test, jnp.asarray(test_labels), jnp.asarray(strengths))
    return FewLabels(
        float(accuracies.mean()), float(accuracies.std(ddof=1 if draws > 1 else 0)), tuple(map(float, accuracies))
    )


def balanced_draw(labels: np.ndarray, per_class: int, *, seed: int) -> np.ndarray:
    """Numbers of `per_class` examples of each class that occurs, in class order."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.flatnonzero(labels == label))[:per_class] for label in np.unique(labels)]
    if min(map(len, rows)) < per_class:
        raise ValueError(
            f"per_class: {per_class} examples of each class are needed, the smallest has {min(map(len, rows))}"
        )
    return np.concatenate(rows)
