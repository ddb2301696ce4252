"""Ridge regression onto the classes: a linear classifier of frozen features in closed form, cheap enough for training.

N: training features; M: test features; D: their dimension; K: classes.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.evaluate.checks import check_features
from ssl_jax.evaluate.standardization import moments, standardized
from ssl_jax.ops.checks import check_positive


def ridge_accuracy(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    *,
    num_classes: int,
    strength: float = 0.01,
) -> Array:
    """Accuracy of the least-squares linear classifier with an L2 penalty. Works under jit. Chance level: 1/K.

    One linear solve instead of the hundreds of steps of `linear_probe`, whose accuracy it tracks: it has no choice of the
    strength, and a squared loss. Its use is the curve of a run; the result of a run is `linear_probe`. The cost is
    O(N D^2 + D^3), the memory O(D^2).

    Args:
      train_features, train_labels: `[N, D]`, standardised by their own statistics, and integers `[N]` below K.
      test_features, test_labels: `[M, D]` and `[M]`.
      num_classes: K.
      strength: weight of the squared weights, where the mean squared error of the K outputs has weight 1; above 0.

    Raises:
      ValueError: shapes that do not fit, labels out of range, features that are not finite, or a strength not above 0.

    Example:
      >>> features, labels = jnp.repeat(jnp.eye(2), 10, axis=0), jnp.repeat(jnp.arange(2), 10)
      >>> print(ridge_accuracy(features, labels, features, labels, num_classes=2))
      1.0

    Source: Hoerl and Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634.
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    check_positive("ridge_accuracy", strength=strength)
    mean, scale = moments(train_features)
    train, test = (standardized(rows, mean, scale)[:, :-1] for rows in (train_features, test_features))
    targets = jax.nn.one_hot(train_labels, num_classes)
    centre = targets.mean(axis=0, keepdims=True)
    gram = jnp.matmul(train.T, train, precision="highest") / len(train)
    products = jnp.matmul(train.T, targets - centre, precision="highest") / len(train)
    weights = jax.scipy.linalg.solve(gram + strength * jnp.eye(len(gram)), products, assume_a="pos")
    scores = jnp.matmul(test, weights, precision="highest") + centre
    return (scores.argmax(axis=1) == test_labels).mean()
