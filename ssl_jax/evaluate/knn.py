"""k-NN classification of frozen features: no training, so nothing to tune but k.

N: training features; M: test features; D: their size; K: classes.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.normalize import Rows, unit_length


def default_neighbors(size: int) -> int:
    """200 of Wu et al. for ImageNet, at most a hundredth of a small training set, and never under 5."""
    return max(1, min(200, max(5, size // 100), size))


@partial(jax.jit, static_argnames=("k", "temperature", "num_classes", "block_size"))
def knn(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    *,
    num_classes: int,
    k: int | None = None,
    temperature: float = 0.07,
    block_size: int = 1024,
) -> Array:
    """Weighted vote of the k training features with the highest cosine similarity, each with exp(similarity / temperature).

    Args:
      train_features, train_labels: `[N, D]` and integers `[N]` from 0 to K - 1.
      test_features: `[M, D]`, compared in blocks of `block_size` rows, so that memory is O(block_size * N).
      k: neighbours; `default_neighbors(N)` when not given, and never more than N.

    Returns:
      Votes `[M, K]`, float32, each row summing to 1. The prediction is their argmax.

    Raises:
      ValueError: shapes that do not fit, k or temperature not positive.

    Source: Wu et al. 2018, https://arxiv.org/abs/1805.01978, section 3.4. Key-value retrieval with labels as values.
    """
    if train_features.ndim != 2 or len(train_features) == 0 or train_features.shape[1:] != test_features.shape[1:]:
        raise ValueError(
            f"knn: features must be [N, D] and [M, D], got {train_features.shape} and {test_features.shape}"
        )
    if train_labels.shape != train_features.shape[:1]:
        raise ValueError(f"knn: one label a training feature, got {train_labels.shape} for {train_features.shape}")
    k = min(default_neighbors(len(train_features)) if k is None else k, len(train_features))
    if k < 1 or temperature <= 0:
        raise ValueError(f"knn: k and temperature must be above 0, got {k} and {temperature}")
    keys, values = unit_length(train_features), jax.nn.one_hot(train_labels, num_classes)

    def vote(query: Array) -> Array:
        similarity, nearest = jax.lax.top_k(keys @ query, k)
        return jax.nn.softmax(similarity / temperature) @ values[nearest]

    return jax.lax.map(vote, unit_length(test_features), batch_size=block_size)


def knn_accuracy(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows,
    *,
    num_classes: int,
    k: int | None = None,
) -> Array:
    """Share of the test features whose k-NN vote is right. Chance level: 1/K."""
    votes = knn(train_features, train_labels, test_features, num_classes=num_classes, k=k)
    return jnp.mean(votes.argmax(axis=-1) == test_labels, dtype=jnp.float32)
