import numpy as np
import pytest

from ssl_jax.evaluate.knn import default_neighbors, knn, knn_accuracy

GENERATOR = np.random.default_rng(0)
TRAIN, TEST = (GENERATOR.normal(size=(size, 6)).astype(np.float32) for size in (40, 11))
LABELS = GENERATOR.integers(0, 3, 40).astype(np.int32)


def naive(train, labels, test, *, k, temperature, classes):
    train, test = (rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
    votes = np.zeros((len(test), classes))
    for row, query in zip(votes, test, strict=True):
        similarity = train @ query
        for neighbor in np.argsort(-similarity)[:k]:
            row[labels[neighbor]] += np.exp(similarity[neighbor] / temperature)
    return votes / votes.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("block_size", [4, 11, 64])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_it_is_the_weighted_vote(k, block_size):
    votes = knn(TRAIN, LABELS, TEST, num_classes=3, k=k, temperature=0.2, block_size=block_size)
    np.testing.assert_allclose(votes, naive(TRAIN, LABELS, TEST, k=k, temperature=0.2, classes=3), rtol=1e-4, atol=1e-6)


def test_more_neighbors_than_there_are_means_all():
    np.testing.assert_array_equal(
        knn(TRAIN, LABELS, TEST, num_classes=3, k=99), knn(TRAIN, LABELS, TEST, num_classes=3, k=40)
    )


def test_every_training_feature_finds_itself():
    assert float(knn_accuracy(TRAIN, LABELS, 3 * TRAIN, LABELS, num_classes=3, k=1)) == 1


def test_default_neighbors_follow_the_size():
    assert [default_neighbors(size) for size in (3, 100, 4_000, 20_000, 1_281_167)] == [3, 5, 40, 200, 200]


def test_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match=r"knn: features must be \[N, D\] and \[M, D\], got \(40, 6\) and \(11, 5\)"):
        knn(TRAIN, LABELS, TEST[:, :5], num_classes=3)
    with pytest.raises(ValueError, match=r"knn: one label a training feature, got \(39,\) for \(40, 6\)"):
        knn(TRAIN, LABELS[1:], TEST, num_classes=3)
    with pytest.raises(ValueError, match=r"knn: k and temperature must be above 0, got 0 and 0\.07"):
        knn(TRAIN, LABELS, TEST, num_classes=3, k=0)
