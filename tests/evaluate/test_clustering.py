"""Scores of clusters equal scikit-learn's, and matching is the best of all one-to-one assignments."""

from itertools import permutations

import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.evaluate import cluster_scores
from ssl_jax.evaluate.clustering import matching, mutual_information, rand_index

CLUSTERS, LABELS = [0, 0, 0, 1, 1, 2, 2, 2, 2, 1], [1, 1, 0, 0, 0, 2, 2, 1, 2, 2]


def test_scores_are_scikit_learns():
    """normalized_mutual_info_score and adjusted_rand_score of scikit-learn 1.9.1 on these lists."""
    assert mutual_information(CLUSTERS, LABELS) == pytest.approx(0.44270128334605, rel=1e-9)
    assert rand_index(CLUSTERS, LABELS) == pytest.approx(0.20454545454545456, rel=1e-9)


def test_scores_do_not_depend_on_the_numbers_of_the_clusters():
    renamed = [{0: 7, 1: 0, 2: 3}[cluster] for cluster in CLUSTERS]
    for score in (mutual_information, rand_index):
        assert score(renamed, LABELS) == pytest.approx(score(CLUSTERS, LABELS))
        assert score(LABELS, LABELS) == pytest.approx(1) and score([0] * 10, [0] * 10) == 1
        assert score([0] * 10, LABELS) == pytest.approx(0)


def test_the_matching_is_the_best_of_all():
    rng = np.random.default_rng(0)
    clusters, labels = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    best = max((np.array(order)[clusters] == labels).sum() for order in permutations(range(4)))
    assert (matching(clusters, labels, size=4)[clusters] == labels).sum() == best


@pytest.mark.slow
def test_separate_classes_are_found_and_test_labels_choose_nothing():
    train, labels, test, answers = problem(dim=8, spread=0.1)
    mean = train.mean(axis=0)  # Directions from the mean: k-means is spherical.
    found = cluster_scores(train - mean, labels, test - mean, answers, num_classes=CLASSES)
    assert found.accuracy == 1 and found.mutual_information == pytest.approx(1) and found.rand_index == 1
    other = cluster_scores(train - mean, labels, test - mean, (answers + 1) % CLASSES, num_classes=CLASSES)
    assert other.accuracy == 0 and other.rand_index == 1  # Matched on training labels; the clusters are the same.
