"""Linear probe: multinomial logistic regression on frozen features, its L2 strength chosen without the test set.

N: training features; M: test features; D: their size; K: classes; S: strengths; F: folds. The penalised mean loss is convex,
so this finds the probe, not a probe. All folds and strengths are solved at once.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.ops.normalize import Rows

STRENGTHS = tuple(10.0 ** (exponent / 2) for exponent in range(0, -9, -1))  # 1 to 1e-4: strong first, so ties go to it.


class Probe(NamedTuple):
    """accuracy: on the test features. interval: its 95 % Wilson interval. strength: L2 strength chosen.
    held_out: accuracy `[S]` on the held-out training features, for each strength."""

    accuracy: float
    interval: tuple[float, float]
    strength: float
    held_out: tuple[float, ...]


def linear_probe(
    train_features: Rows, train_labels: Rows, test_features: Rows, test_labels: Rows,
    *, num_classes: int, strengths: tuple[float, ...] = STRENGTHS, held_out: float = 0.2, seed: int = 0,
) -> Probe:  # fmt: skip
    """Fits on all training features with the strength that is best on a held-out part of them; tests once.

    Args:
      train_features, train_labels: `[N, D]` and integers `[N]` below K; features are standardised by their statistics.
      test_features, test_labels: `[M, D]` and `[M]`.
      strengths: L2 strengths to choose from, on the mean loss over examples; the bias is free.
      held_out: share of each class that chooses the strength, by `seed`.

    Raises:
      ValueError: shapes that do not fit, labels outside 0 .. K - 1.
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    held = stratified_folds(np.asarray(train_labels), round(1 / held_out), seed=seed)[:1]
    train, test = standardize_by(train_features, train_features, test_features)
    accuracy, chosen, held_accuracies = _probe(
        train,
        jnp.asarray(train_labels),
        held,
        test,
        jnp.asarray(test_labels),
        jnp.asarray(strengths),
        num_classes=num_classes,
    )
    return Probe(
        float(accuracy), wilson(float(accuracy), len(test)), strengths[int(chosen)], tuple(map(float, held_accuracies))
    )


@partial(jax.jit, static_argnames="num_classes")
def _probe(
    train: Array,
    train_labels: Array,
    held: Array,
    test: Array,
    test_labels: Array,
    strengths: Array,
    *,
    num_classes: int,
) -> tuple[Array, Array, Array]:
    """Accuracy on the test set, number of the strength chosen, accuracies `[S]` on the folds `held` `[F, N]`."""
    train, moments, test = principal_coordinates(train, test)
    weights = jnp.concatenate([~held, jnp.ones((1, len(train)), bool)]).astype(
        jnp.float32
    )  # [F + 1, N], the last fits on everything
    solve = partial(_solve, train, train_labels, moments, num_classes=num_classes)
    solutions = jax.vmap(jax.vmap(solve, in_axes=(None, 0)), in_axes=(0, None))(
        weights, strengths
    )  # [F + 1, S, R + 1, K]
    right = jax.vmap(jax.vmap(lambda solution: predict(solution, train) == train_labels))(solutions[:-1])  # [F, S, N]
    held_accuracies = jnp.sum(right & held[:, None], axis=(0, 2)) / held.sum()
    chosen = held_accuracies.argmax()
    accuracy = jnp.mean(predict(solutions[-1, chosen], test) == test_labels, dtype=jnp.float32)
    return accuracy, chosen, held_accuracies


def principal_coordinates(train: Array, test: Array) -> tuple[Array, Array, Array]:
    """Both centred and turned to the principal axes of `train`, R = min(N, D) of them, and the second moments `[R]` there.

    The solution lies in the span of the training rows and the penalty does not see rotations, so the problem is the same;
    but now it is small where labels are few, and its second moments are a diagonal matrix.
    """
    mean = train.mean(axis=0, keepdims=True)
    train, test = train - mean, test - mean
    if train.shape[0] < train.shape[1]:
        square, axes = jnp.linalg.eigh(train @ train.T)
        root = jnp.sqrt(jnp.maximum(square, 1e-6 * square[-1]))[None]
        return axes * root, root[0] ** 2 / len(train), test @ (train.T @ (axes / root))
    square, axes = jnp.linalg.eigh(train.T @ train)
    return train @ axes, jnp.maximum(square, 0) / len(train), test @ axes


def _solve(
    features: Array,
    labels: Array,
    moments: Array,
    weight: Array,
    strength: Array,
    *,
    num_classes: int,
    tolerance: float = 1e-4,
) -> Array:
    """Weights `[R + 1, K]`, bias last, that minimise the penalised mean loss over the rows with `weight` 1.

    The Hessian of a softmax is at most 1/2 (Boehning 1992), that of the loss at most moments / 2 + strength, which is
    diagonal here. In coordinates scaled by its root, gradient steps of length 1 descend: accelerated (Nesterov), restarted
    where the momentum points uphill (O'Donoghue and Candes 2015). No line search, so all lanes of a vmap keep in step.
    """
    share = weight / weight.sum()
    rows = len(features) / weight.sum()  # A part's moments are at most this many times those of the whole.
    bound = jnp.append(rows * moments / 2 + strength, rows / 2)
    scale = jax.lax.rsqrt(jnp.maximum(bound, 1e-12))[:, None]
    penalty = jnp.append(jnp.full_like(moments, strength), 0)[:, None]
    target = jax.nn.one_hot(labels, num_classes)

    def gradient_at(point: Array) -> Array:
        solution = scale * point
        error = (jax.nn.softmax(logits(solution, features)) - target) * share[:, None]
        return scale * (jnp.concatenate([features.T @ error, error.sum(axis=0, keepdims=True)]) + penalty * solution)

    def going_on(carry: tuple) -> Array:
        return (carry[-1] < 500) & (carry[-2] > tolerance)

    def update(carry: tuple) -> tuple:
        point, ahead, age, _, step = carry
        gradient = gradient_at(ahead)
        new = ahead - gradient
        age = jnp.where(jnp.sum(gradient * (new - point)) > 0, 0.0, age + 1)
        return new, new + age / (age + 3) * (new - point), age, jnp.abs(gradient).max(), step + 1

    start = jnp.zeros((len(moments) + 1, num_classes))
    carry = (start, start, jnp.float32(0), jnp.float32(jnp.inf), 0)
    return scale * jax.lax.while_loop(going_on, update, carry)[0]


def logits(solution: Array, features: Array) -> Array:
    """`[R + 1, K]` and `[N, R]` -> `[N, K]`."""
    return features @ solution[:-1] + solution[-1:]


def predict(solution: Array, features: Array) -> Array:
    """`[R + 1, K]` and `[N, R]` -> class numbers `[N]`."""
    return logits(solution, features).argmax(axis=-1)


def standardize_by(reference: Rows, *features: Rows) -> list[Array]:
    """Each of `features` with the mean of `reference` taken away and divided by its standard deviation, in float32."""
    reference = jnp.asarray(reference, jnp.float32)
    mean, deviation = reference.mean(axis=0, keepdims=True), reference.std(axis=0, keepdims=True)
    scale = jnp.where(deviation > 1e-6, 1 / jnp.maximum(deviation, 1e-6), 0)  # A constant feature says nothing.
    return [(jnp.asarray(rows, jnp.float32) - mean) * scale for rows in features]


def stratified_folds(labels: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """`[folds, N]` booleans: each row is in one fold, each class spread evenly over the folds."""
    number = np.zeros(len(labels), int)
    generator = np.random.default_rng(seed)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        number[rows] = np.arange(len(rows)) % folds
    return number[None] == np.arange(folds)[:, None]


def wilson(accuracy: float, size: int) -> tuple[float, float]:
    """95 % interval of a share seen in `size` trials (Wilson 1927): right also near 0 and 1."""
    z = 1.96
    middle = (accuracy + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(accuracy * (1 - accuracy) / size + z**2 / (4 * size**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def check_features(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows,
    *,
    num_classes: int,
) -> None:
    """One sentence about the first thing that does not fit."""
    shapes = [np.shape(part) for part in (train_features, train_labels, test_features, test_labels)]
    if len(shapes[0]) != 2 or shapes[0][1:] != shapes[2][1:] or 0 in shapes[0] or 0 in shapes[2]:
        raise ValueError(f"features must be [N, D] and [M, D], not empty, got {shapes[0]} and {shapes[2]}")
    if shapes[1] != shapes[0][:1] or shapes[3] != shapes[2][:1]:
        raise ValueError(
            f"labels must be one for each feature, got {shapes[1]} and {shapes[3]} for {shapes[0]} and {shapes[2]}"
        )
    labels = np.concatenate([np.asarray(train_labels), np.asarray(test_labels)])
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"labels must be from 0 to {num_classes - 1}, got {labels.min()} to {labels.max()}")
