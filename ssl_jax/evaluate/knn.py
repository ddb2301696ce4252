"""k-NN classification of frozen features: no training, and no hyperparameters except k.

It is a look-up in a key-value store, `ops.key_value_lookup`: training features are the keys, their labels the values. The
label -1 means unlabelled: such a training feature is no neighbour, and such a test feature is not counted.

N: training features with a label; M: test features; D: their size; K: classes. All of it works under jit too, where N counts
the training features without a label as well.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.evaluate.checks import check_features, is_concrete, labelled_rows
from ssl_jax.ops.blocks import cut_rows
from ssl_jax.ops.checks import check_count, check_positive, given
from ssl_jax.ops.energy import key_value_lookup
from ssl_jax.ops.normalize import Rows, unit_length

UNLABELLED = -1e9  # Added to the cosine similarity of a training feature without a label.


def knn(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    *,
    num_classes: int,
    k: int | None = None,
    temperature: float = 0.07,
    block_size: int = 256,
) -> Array:
    """Predicted classes, integers `[M]`: the class with most of the `knn_votes`, which explains the arguments.

    Args:
      train_features, train_labels: `[N, D]`, and integers `[N]` from 0 to K - 1, or -1 where there is no label.
      test_features: `[M, D]`.
      num_classes: K.
      k: neighbours that vote; `default_neighbors(N, K)` when None.
      temperature: temperature of the votes' weights; above 0.
      block_size: test features compared at once.

    Example:
      >>> features, labels = jnp.eye(4), jnp.array([0, 1, 2, 0])
      >>> print(knn(features, labels, features[1:3], num_classes=3, k=1))
      [1 2]
    """
    votes = knn_votes(
        train_features, train_labels, test_features,
        num_classes=num_classes, k=k, temperature=temperature, block_size=block_size,
    )  # fmt: skip
    return _largest(votes)


def knn_accuracy(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows,
    *,
    num_classes: int,
    k: int | None = None,
    temperature: float = 0.07,
    block_size: int = 256,
) -> Array:
    """Share of the labelled test features whose label k-NN predicts, a scalar. Chance level: 1/K.

    Args:
      test_labels: integers `[M]`, -1 for a test feature without a label.
      train_features, train_labels, test_features, num_classes, k, temperature, block_size: as in `knn_votes`.

    Raises:
      ValueError: as in `knn_votes`; no training or no test feature has a label. Under jit the result is NaN instead.

    Example:
      >>> features, labels = jnp.eye(4), jnp.array([0, 1, 2, 0])
      >>> print(knn_accuracy(features, labels, features[:2], jnp.array([0, 2]), num_classes=3, k=1))
      0.5
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    if is_concrete(test_labels):
        test_features, test_labels = labelled_rows("test", test_features, labels=test_labels)
    predictions = knn(
        train_features, train_labels, test_features,
        num_classes=num_classes, k=k, temperature=temperature, block_size=block_size,
    )  # fmt: skip
    return _share(predictions, *jax.device_put((train_labels, test_labels)))


def knn_votes(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    *,
    num_classes: int,
    k: int | None = None,
    temperature: float = 0.07,
    block_size: int = 256,
) -> Array:
    """Vote of the k training features of highest cosine similarity, each with weight exp(similarity / temperature).

    Args:
      train_features, train_labels: `[N, D]`, of images without augmentation, and integers `[N]` from 0 to K - 1, or -1
        where there is no label.
      test_features: `[M, D]`, compared `block_size` rows at a time, so that memory is O(block_size N).
      k: neighbours; `default_neighbors(N, K)` when None, and never more than N.
      temperature: above 0; the lower it is, the more the nearest of the k decide.

    Returns:
      Shares of the vote `[M, K]`, float32, each row summing to 1.

    Raises:
      ValueError: shapes that do not fit, labels out of range, no training feature with a label, features that are not
        finite, or a k, temperature or block_size that is not above 0.

    Source: Wu et al. 2018, https://arxiv.org/abs/1805.01978, section 3.4.
    """
    check_features(train_features, train_labels, test_features, num_classes=num_classes)
    check_count("knn", block_size=block_size, **given(k=k))
    check_positive("knn", temperature=temperature)
    if is_concrete(train_labels):
        train_features, train_labels = labelled_rows("training", train_features, labels=train_labels)
    size = len(train_features)
    k = min(default_neighbors(size, num_classes) if k is None else k, size)
    arrays = jax.device_put((train_features, train_labels, test_features))
    return _votes(*arrays, num_classes=num_classes, k=k, temperature=temperature, block_size=block_size)


def default_neighbors(size: int, num_classes: int) -> int:
    """k for N training features of K classes: N / (64 K), clipped to [5, 200].

    The best k grows with the examples of a class. MNIST digits, 50 to 400 a class, as pixels and as features of an
    untrained and a trained encoder: best between 3 and 7, and 40 costs 1.2 to 9 points. ImageNet, 1,280 a class: 20
    (Caron et al. 2021, https://arxiv.org/abs/2104.14294, section 3.2). Wu et al. took 200, as many tables still do.
    """
    return min(200, max(5, size // (64 * num_classes)))


@partial(jax.jit, static_argnames=("num_classes", "k", "temperature", "block_size"))
def _votes(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    *,
    num_classes: int,
    k: int,
    temperature: float,
    block_size: int,
) -> Array:
    # A further coordinate, 1 in each query, so that a key without a label is further away than all with one.
    penalty = jnp.where(train_labels < 0, UNLABELLED, 0.0)[:, None]
    keys = jnp.concatenate([unit_length(train_features), penalty], axis=1)
    queries = jnp.pad(unit_length(test_features), ((0, 0), (0, 1)), constant_values=1)
    read = partial(
        key_value_lookup,
        keys=keys,
        values=train_labels,
        num_classes=num_classes,
        inverse_temperature=1 / temperature,
        top=k,
    )
    blocks = cut_rows(queries, min(block_size, len(queries)))
    return jax.lax.map(read, blocks).reshape(-1, num_classes)[: len(test_features)]


@jax.jit
def _largest(votes: Array) -> Array:
    return votes.argmax(axis=-1)


@jax.jit
def _share(predictions: Array, train_labels: Array, labels: Array) -> Array:
    """NaN without a labelled training feature, whose votes are all 0, and without a labelled test feature."""
    share = jnp.mean(predictions == labels, dtype=jnp.float32, where=labels >= 0)
    return jnp.where(jnp.any(train_labels >= 0), share, jnp.nan)
