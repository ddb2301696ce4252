"""Average precision and recall@k are those of their definitions, and scikit-learn's."""

import numpy as np
import pytest

from ssl_jax.evaluate import retrieval

RNG = np.random.default_rng(0)
GALLERY, LABELS = RNG.normal(size=(12, 4)), np.arange(12) % 3
QUERIES, ANSWERS = RNG.normal(size=(3, 4)), np.arange(3)


def test_mean_average_precision_is_scikit_learns():
    """average_precision_score of scikit-learn 1.9.1 on the cosine similarities of each query: 0.6, 0.381 and 0.408."""
    found = retrieval(GALLERY, LABELS, QUERIES, ANSWERS, num_classes=3, block_size=2)
    assert found.average_precision == pytest.approx(0.46314033189033194, rel=1e-6)
    assert found.chance == pytest.approx(1 / 3) and found.interval[0] < found.average_precision < found.interval[1]


def test_recall_is_the_share_of_queries_with_a_hit_among_the_nearest():
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (GALLERY, QUERIES)]
    order = np.argsort(-(unit[1] @ unit[0].T), axis=1)
    found = retrieval(GALLERY, LABELS, QUERIES, ANSWERS, num_classes=3, ranks=(1, 2, 12))
    for rank in (1, 2, 12):
        hits = [answer in LABELS[row[:rank]] for row, answer in zip(order, ANSWERS, strict=True)]
        assert found.recall[rank] == pytest.approx(np.mean(hits))
        assert found.chance_recall[rank] == pytest.approx(1 - (2 / 3) ** rank)
    assert found.recall[12] == 1 and found.recall_intervals[12][1] == 1


def test_unlabelled_images_and_queries_without_their_class_are_left_out():
    labels, answers = np.append(LABELS, -1), np.append(ANSWERS, [-1, 3])
    gallery, queries = np.concatenate([GALLERY, QUERIES[:1]]), np.concatenate([QUERIES, QUERIES[:2]])
    found = retrieval(gallery, labels, queries, answers, num_classes=4)
    assert found.average_precision == retrieval(GALLERY, LABELS, QUERIES, ANSWERS, num_classes=3).average_precision
    with pytest.raises(ValueError, match="no query's class is in the gallery"):
        retrieval(GALLERY, LABELS, QUERIES, np.full(3, 3), num_classes=4)
    with pytest.raises(ValueError, match="ranks must be a whole number of at least 1, got 0"):
        retrieval(GALLERY, LABELS, QUERIES, ANSWERS, num_classes=3, ranks=(0,))
