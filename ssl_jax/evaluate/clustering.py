"""Agreement of clusters with classes: accuracy under the best matching, normalised mutual information, adjusted Rand index.

N: examples; C: clusters; K: classes. The figures do not depend on the numbers of clusters and classes as names.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_jax.evaluate.checks import check_features, labelled_rows
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.ops.checks import check_count
from ssl_jax.ops.kmeans import kmeans
from ssl_jax.ops.normalize import Rows, unit_length


class ClusterScores(NamedTuple):
    """Agreement of clusters of the test images with their classes.

    accuracy: share of examples in the cluster of their class, [0, 1]; about 1/K for random clusters of equal size.
    interval: its 95 % Wilson interval.
    mutual_information: NMI with the arithmetic mean of the entropies, [0, 1]; near 0 for random clusters.
    rand_index: ARI, at most 1; 0 on average for random clusters of the same sizes.
    """

    accuracy: float
    interval: tuple[float, float]
    mutual_information: float
    rand_index: float


def cluster_scores(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows,
    *,
    num_classes: int,
    restarts: int = 5,
    seed: int = 0,
) -> ClusterScores:
    """Spherical k-means with K clusters of the training features, and the agreement of the test images' clusters.

    Of several starts, the one with the least distances is taken; labels play no part. Clusters are matched with classes one to
    one on the training labels, by the Hungarian algorithm; the usual figure matches on the test labels, which is optimistic.

    Args:
      train_features, train_labels: `[N, D]` and integers `[N]` below K, or -1 where there is no label.
      test_features, test_labels: `[M, D]` and `[M]`; rows with the label -1 are not counted.
      num_classes: K, at most N.
      restarts: starts of k-means.
      seed: seed of the starts.

    Raises:
      ValueError: shapes that do not fit, labels out of range, features that are not finite, or fewer features than classes.

    Example:
      >>> rows, labels = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0), np.repeat(np.arange(3), 10)
      >>> print(cluster_scores(rows, labels, rows, labels, num_classes=3).rand_index)
      1.0

    Source: Hubert and Arabie 1985 for ARI; Vinh et al. 2010 for NMI; Kuhn 1955 for the matching.
    """
    check_features(train_features, train_labels, test_features, test_labels, num_classes=num_classes)
    check_count("cluster_scores", restarts=restarts)
    check_count("cluster_scores", least=0, seed=seed)
    points = unit_length(jax.device_put(train_features))
    found = [
        kmeans(key, points, clusters=num_classes, spherical=True)
        for key in jax.random.split(jax.random.key(seed), restarts)
    ]
    best = min(found, key=lambda clusters: float(clusters.inertia))
    test_features, answers = labelled_rows("test", test_features, labels=test_labels)
    nearest = jnp.matmul(unit_length(jax.device_put(test_features)), best.centroids.T, precision="highest").argmax(
        axis=1
    )
    clusters, answers = np.asarray(jax.device_get(nearest)), np.asarray(answers)
    train_clusters, labels = labelled_rows("training", best.labels, labels=train_labels)
    classes = matching(np.asarray(train_clusters), np.asarray(labels), size=num_classes)
    share = float((classes[clusters] == answers).mean())
    return ClusterScores(
        share,
        wilson_interval(share, len(answers)),
        mutual_information(clusters, answers),
        rand_index(clusters, answers),
    )


def matching(clusters: NDArray[np.integer], labels: NDArray[np.integer], *, size: int) -> NDArray[np.intp]:
    """The class of each of `size` clusters, one to one, so that most examples are in the cluster of their class."""
    # Half a second to import, which other commands need not wait for.
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    counts = np.zeros((size, size), int)
    np.add.at(counts, (clusters, labels), 1)
    return linear_sum_assignment(-counts)[1]


def mutual_information(clusters: ArrayLike, labels: ArrayLike) -> float:
    """NMI: mutual information over the arithmetic mean of the two entropies; 1 where both have one value only."""
    joint = _contingency(clusters, labels) / len(np.asarray(labels))
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropies = [-float((share * np.log(share)).sum()) for share in (rows, columns)]
    filled = joint > 0
    information = float((joint[filled] * np.log(joint[filled] / np.outer(rows, columns)[filled])).sum())
    return information / (sum(entropies) / 2) if sum(entropies) > 0 else 1.0


def rand_index(clusters: ArrayLike, labels: ArrayLike) -> float:
    """ARI: agreement on pairs of examples, less its expectation; 1 where all pairs agree."""
    counts = _contingency(clusters, labels)
    together, rows, columns = (
        sum(math.comb(int(count), 2) for count in part.ravel())
        for part in (counts, counts.sum(axis=1), counts.sum(axis=0))
    )
    pairs = math.comb(int(counts.sum()), 2)
    expected = rows * columns / pairs if pairs else 0.0
    most = (rows + columns) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0


def _contingency(clusters: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Counts of examples by cluster and class, of those that occur."""
    (_, rows), (_, columns) = (np.unique(np.asarray(each), return_inverse=True) for each in (clusters, labels))
    counts = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts
