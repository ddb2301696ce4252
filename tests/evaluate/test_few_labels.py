"""The few-label probe: fixed, balanced draws, and a fit on the features drawn and no others."""

import jax
import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.evaluate.few_labels import balanced_draw, few_label_probe

TRAIN, LABELS, TEST, ANSWERS = problem()


def probe(*arrays, **options):
    return few_label_probe(*(arrays or (TRAIN, LABELS, TEST, ANSWERS)), num_classes=CLASSES, **options)


def test_draws_are_balanced_distinct_and_decided_by_labels_and_seed():
    draws = [balanced_draw(LABELS, 4, seed=(0, draw)) for draw in range(3)]
    for rows in draws:
        np.testing.assert_array_equal(np.bincount(LABELS[rows]), [4] * CLASSES)
        assert len(set(rows)) == len(rows)
    assert (draws[0] != draws[1]).any() and (draws[0] != balanced_draw(LABELS, 4, seed=(1, 0))).any()
    np.testing.assert_array_equal(draws[2], balanced_draw(LABELS, 4, seed=(0, 2)))


def test_mean_and_deviation_are_over_the_draws():
    found = probe(per_class=4, draws=4)
    assert len(found.accuracies) == 4 and len(set(found.accuracies)) > 1
    assert found.accuracy == pytest.approx(np.mean(found.accuracies))
    assert found.deviation == pytest.approx(np.std(found.accuracies, ddof=1))
    assert probe(per_class=4, draws=1)[:2] == (found.accuracies[0], 0)
    assert probe(per_class=4, draws=4, seed=1).accuracies != found.accuracies


def test_nothing_is_learned_from_labels_outside_the_draw():
    outside = np.setdiff1d(np.arange(60), balanced_draw(LABELS, 4, seed=(0, 0)))
    train = TRAIN.copy()
    train[outside] = train[outside][::-1]  # the same features, so the same moments, but other labels
    moved = probe(train, LABELS, TEST, ANSWERS, per_class=4, draws=1)
    assert moved.accuracies == probe(per_class=4, draws=1).accuracies


def test_rows_without_a_label_are_neither_drawn_nor_counted():
    labels, answers = LABELS.copy(), ANSWERS.copy()
    labels[::3], answers[::2] = -1, -1
    found = probe(TRAIN, labels, TEST, answers, per_class=4, draws=2)
    assert found == probe(TRAIN, labels, TEST[1::2], ANSWERS[1::2], per_class=4, draws=2)
    for name, arrays in {"training": (labels * 0 - 1, answers), "test": (labels, answers * 0 - 1)}.items():
        with pytest.raises(ValueError, match=f"{name} labels are all -1, which is no label"):
            probe(TRAIN, arrays[0], TEST, arrays[1], per_class=4)


def test_few_labels_are_enough_for_separate_classes():
    assert probe(*problem(spread=0.1), per_class=4, draws=2).accuracy == 1


def test_only_explicit_transfers():
    with jax.transfer_guard("disallow"):
        probe(per_class=4, draws=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"per_class": 21}, "per_class: 21 features of each class are needed, but one class has 20"),
        ({"per_class": 0}, "few_label_probe: per_class must be a whole number of at least 1, got 0"),
        ({"per_class": 2.5}, "per_class must be a whole number of at least 1, got 2.5"),
        ({"draws": 0}, "draws must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"strength": 0.0}, "strength must be above 0, got 0.0"),
        ({"strength": np.nan}, "strength must be above 0, got nan"),
    ],
)
def test_wrong_options_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        probe(**options)
