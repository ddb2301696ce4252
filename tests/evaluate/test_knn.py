"""k-NN against a loop over test rows in numpy, and where it could go wrong: ties of scale, k, blocks, temperature."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.evaluate.knn import default_neighbors, knn, knn_accuracy, knn_votes

TRAIN, LABELS, TEST, ANSWERS = problem(spread=0.5)


def votes_64(*, k, temperature):
    """Definition: each of the k most similar votes for its class with exp(cosine / temperature)."""
    rows = []
    for query in TEST.astype(np.float64):
        cosine = TRAIN @ query / np.linalg.norm(TRAIN.astype(np.float64), axis=1) / np.linalg.norm(query)
        votes = np.zeros(CLASSES)
        for neighbor in np.argsort(-cosine)[:k]:
            votes[LABELS[neighbor]] += np.exp(cosine[neighbor] / temperature)
        rows.append(votes / votes.sum())
    return np.stack(rows)


@pytest.mark.parametrize(("k", "temperature"), [(7, 0.07), (60, 1.0)])
def test_votes_are_those_of_the_definition(k, temperature):
    votes = knn_votes(TRAIN, LABELS, TEST, num_classes=CLASSES, k=k, temperature=temperature)
    np.testing.assert_allclose(votes, votes_64(k=k, temperature=temperature), rtol=1e-4, atol=1e-6)


def test_predictions_and_accuracy_follow_from_the_votes():
    expected = votes_64(k=5, temperature=0.07).argmax(axis=1)
    np.testing.assert_array_equal(knn(TRAIN, LABELS, TEST, num_classes=CLASSES), expected)
    accuracy = knn_accuracy(TRAIN, LABELS, TEST, ANSWERS, num_classes=CLASSES)
    np.testing.assert_allclose(accuracy, np.mean(expected == ANSWERS))
    assert 1 / CLASSES < accuracy < 1


def test_k_is_capped_at_the_training_set():
    every = knn_votes(TRAIN, LABELS, TEST, num_classes=CLASSES, k=60)
    np.testing.assert_array_equal(knn_votes(TRAIN, LABELS, TEST, num_classes=CLASSES, k=1000), every)


def test_default_k_grows_with_the_examples_of_a_class():
    sizes = {(100, 10): 5, (4000, 10): 6, (1_281_167, 1000): 20, (10**7, 10): 200}
    assert {size: default_neighbors(*size) for size in sizes} == sizes


def test_block_size_and_jit_change_nothing():
    whole = knn_votes(TRAIN, LABELS, TEST, num_classes=CLASSES)
    blocks = jax.jit(lambda *arrays: knn_votes(*arrays, num_classes=CLASSES, block_size=7))(TRAIN, LABELS, TEST)
    np.testing.assert_allclose(blocks, whole, rtol=1e-6)


def test_low_temperature_leaves_the_nearest_alone():
    votes = knn_votes(TRAIN, LABELS, TEST, num_classes=CLASSES, k=5, temperature=1e-6)
    nearest = votes_64(k=1, temperature=1)
    np.testing.assert_allclose(votes, nearest, atol=0.05)


def test_zero_features_are_finite():
    votes = knn_votes(np.zeros_like(TRAIN), LABELS, np.zeros_like(TEST), num_classes=CLASSES)
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)


def test_half_precision_features_are_compared_in_float32():
    half = jnp.asarray(TRAIN, jnp.bfloat16)
    votes = knn_votes(half, LABELS, TEST, num_classes=CLASSES)
    assert votes.dtype == jnp.float32
    np.testing.assert_allclose(votes, knn_votes(half.astype(jnp.float32), LABELS, TEST, num_classes=CLASSES))


def test_only_explicit_transfers():
    with jax.transfer_guard("disallow"):
        knn_accuracy(TRAIN, LABELS, TEST, ANSWERS, num_classes=CLASSES)
        knn_accuracy(*jax.device_put((TRAIN, SOME_LABELS, TEST, SOME_ANSWERS)), num_classes=CLASSES)


SOME_LABELS, SOME_ANSWERS = LABELS.copy(), ANSWERS.copy()
SOME_LABELS[::2], SOME_ANSWERS[1::3] = -1, -1
LABELLED = TRAIN[1::2], LABELS[1::2], TEST[SOME_ANSWERS >= 0], ANSWERS[SOME_ANSWERS >= 0]


@pytest.mark.parametrize("k", [7, 50])  # 50 neighbours are more than the 30 that have a label
def test_rows_without_a_label_are_neither_neighbours_nor_counted(k):
    """Also under jit, where their number is not known."""
    expected = knn_accuracy(*LABELLED, num_classes=CLASSES, k=k)
    whole = TRAIN, SOME_LABELS, TEST, SOME_ANSWERS
    accuracy = partial(knn_accuracy, num_classes=CLASSES, k=k)
    assert accuracy(*whole) == jax.jit(accuracy)(*whole) == expected
    votes = partial(knn_votes, num_classes=CLASSES, k=k)
    for found in (votes(*whole[:3]), jax.jit(votes)(*whole[:3])):
        np.testing.assert_allclose(found, votes(*LABELLED[:2], TEST), rtol=1e-5, atol=1e-7)


def test_without_a_label_there_is_no_accuracy():
    none = np.full_like(LABELS, -1)
    accuracy = jax.jit(partial(knn_accuracy, num_classes=CLASSES))
    assert np.isnan(accuracy(TRAIN, none, TEST, ANSWERS)) and np.isnan(accuracy(TRAIN, LABELS, TEST, none[: len(TEST)]))
    with pytest.raises(ValueError, match="test labels are all -1, which is no label"):
        knn_accuracy(TRAIN, LABELS, TEST, none[: len(TEST)], num_classes=CLASSES)


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        ((TRAIN[:, :4], LABELS, TEST), {}, r"features must be \[N, D\] and \[M, D\].*\(60, 4\).*\(30, 5\)"),
        ((TRAIN[:0], LABELS[:0], TEST), {}, r"not empty, got \(0, 5\)"),
        ((TRAIN, LABELS[:-1], TEST), {}, r"training labels must be one for each feature, got \(59,\) for \(60, 5\)"),
        ((TRAIN, LABELS.astype(np.float32), TEST), {}, "training labels must be integers, got float32"),
        ((TRAIN, LABELS - 2, TEST), {}, "training labels must be from 0 to 2, or -1 for no label, got -2 to 0: raise"),
        ((TRAIN, LABELS + 1, TEST), {}, "training labels must be from 0 to 2, or -1 for no label, got 1 to 3"),
        (
            (TRAIN, np.full_like(LABELS, -1), TEST),
            {},
            "training labels are all -1, which is no label: give at least one",
        ),
        ((TRAIN, LABELS, np.where(TEST > 3, np.nan, TEST)), {}, "test features must be finite, got NaN"),
        ((TRAIN.astype(np.float64) * 1e300, LABELS, TEST), {}, "training features must be finite, got NaN"),
        ((TRAIN + 1j, LABELS, TEST), {}, "evaluation: train_features must hold real numbers, got complex64"),
        ((TRAIN, LABELS, TEST.tolist()), {}, "test_features must be an array, got a list: convert it with jnp.asarray"),
        ((TRAIN, LABELS.tolist(), TEST), {}, "train_labels must be an array, got a list"),
        ((TRAIN, LABELS, TEST), {"k": 0}, "knn: k must be a whole number of at least 1, got 0"),
        ((TRAIN, LABELS, TEST), {"k": "3"}, "knn: k must be a whole number of at least 1, got '3'"),
        ((TRAIN, LABELS, TEST), {"temperature": 0.0}, "knn: temperature must be above 0, got 0.0"),
        ((TRAIN, LABELS, TEST), {"temperature": np.inf}, "knn: temperature must be above 0 and finite, got inf"),
        ((TRAIN, LABELS, TEST), {"block_size": 0}, "knn: block_size must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arrays, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        knn(*arrays, num_classes=CLASSES, **options)


def test_wrong_test_labels_are_named():
    with pytest.raises(ValueError, match="test labels must be from 0 to 2, or -1 for no label, got 0 to 3"):
        knn_accuracy(TRAIN, LABELS, TEST, np.where(ANSWERS == 2, 3, ANSWERS), num_classes=CLASSES)


def test_as_the_temperature_falls_the_nearest_neighbour_decides():
    """Once all votes were NaN at 1e-30, and the first class was predicted."""
    nearest = knn(TRAIN, LABELS, TEST, num_classes=CLASSES, k=1)
    assert len(set(nearest.tolist())) > 1
    for temperature in (1e-4, 1e-30):
        found = knn(TRAIN, LABELS, TEST, num_classes=CLASSES, k=5, temperature=temperature)
        np.testing.assert_array_equal(found, nearest)


@pytest.mark.parametrize("classes", [2.5, "3", 0])
def test_classes_are_a_whole_number(classes):
    with pytest.raises(ValueError, match="evaluation: num_classes must be a whole number of at least 1, got "):
        knn(TRAIN, LABELS, TEST, num_classes=classes)
