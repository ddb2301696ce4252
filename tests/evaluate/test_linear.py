import numpy as np
import pytest

from ssl_jax.evaluate.few_labels import balanced_draw, few_label_probe
from ssl_jax.evaluate.linear import _solve, linear_probe, principal_coordinates, stratified_folds, wilson

GENERATOR = np.random.default_rng(0)
CENTRES = GENERATOR.normal(size=(3, 8)) * 1.2


def sample(size, generator):
    labels = np.arange(size, dtype=np.int32) % 3
    return (CENTRES[labels] + generator.normal(size=(size, 8))).astype(np.float32), labels


TRAIN, LABELS = sample(150, GENERATOR)
TEST, TEST_LABELS = sample(90, GENERATOR)


def objective(solution, features, labels, weight, strength):
    """The penalised mean loss and its gradient, in float64."""
    scores = features @ solution[:-1] + solution[-1]
    scores -= scores.max(axis=1, keepdims=True)
    log_probability = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    share = weight / weight.sum()
    error = (np.exp(log_probability) - np.eye(3)[labels]) * share[:, None]
    value = -(share * log_probability[np.arange(len(labels)), labels]).sum() + strength / 2 * (solution[:-1] ** 2).sum()
    return value, np.concatenate([features.T @ error + strength * solution[:-1], error.sum(axis=0, keepdims=True)])


@pytest.mark.parametrize("rows", [150, 6], ids=["more rows than columns", "fewer rows than columns"])
@pytest.mark.parametrize("strength", [1.0, 1e-2])
def test_the_solution_is_the_minimum(rows, strength):
    """At the minimum of a convex function the gradient is zero; in float64, on part of the rows."""
    train, moments, _ = principal_coordinates(TRAIN[:rows], TEST)
    weight = (np.arange(rows) % 3 < 2).astype(np.float32)
    solution = _solve(train, LABELS[:rows], moments, weight, np.float32(strength), num_classes=3, tolerance=1e-6)
    _, gradient = objective(np.float64(solution), np.float64(train), LABELS[:rows], np.float64(weight), strength)
    assert np.abs(gradient).max() < 1e-4


@pytest.mark.parametrize("rows", [150, 6])
def test_principal_coordinates_are_a_rotation_of_the_centred_rows(rows):
    train, moments, test = principal_coordinates(TRAIN[:rows], TEST)
    centred = TRAIN[:rows] - TRAIN[:rows].mean(axis=0)
    np.testing.assert_allclose(train @ train.T, centred @ centred.T, atol=1e-3)
    np.testing.assert_allclose(test @ train.T, (TEST - TRAIN[:rows].mean(axis=0)) @ centred.T, atol=1e-2)
    np.testing.assert_allclose(train.T @ train / rows, np.diag(moments), atol=1e-4)


def test_separable_classes_are_separated_and_shuffled_labels_are_not():
    probe = linear_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3)
    assert probe.accuracy > 0.85 and probe.interval[0] < probe.accuracy < probe.interval[1]
    shuffled = np.random.default_rng(0).permutation(LABELS)
    assert linear_probe(TRAIN, shuffled, TEST, TEST_LABELS, num_classes=3).accuracy < 0.6


def test_scale_and_shift_of_a_feature_do_not_matter():
    moved = [rows * np.float32([1, 10, 100, 1, 1, 1, 1, 1]) + 5 for rows in (TRAIN, TEST)]
    first = linear_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3)
    second = linear_probe(moved[0], LABELS, moved[1], TEST_LABELS, num_classes=3)
    assert second.accuracy == pytest.approx(first.accuracy, abs=0.02) and second.strength == first.strength


def test_the_strength_is_chosen_on_training_data_only():
    """Whatever the test labels are, the choice is the same."""
    first = linear_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3)
    second = linear_probe(TRAIN, LABELS, TEST, TEST_LABELS[::-1].copy(), num_classes=3)
    assert first.strength == second.strength and first.held_out == second.held_out
    assert first.accuracy != second.accuracy


def test_few_labels_are_fewer_draws_are_fixed():
    few = few_label_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3, per_class=4, draws=4)
    again = few_label_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3, per_class=4, draws=4)
    assert few == again and len(few.accuracies) == 4 and 0.5 < few.accuracy <= 1
    assert few.deviation == pytest.approx(np.std(few.accuracies, ddof=1), rel=1e-4)


def test_draws_and_folds_are_balanced():
    rows = balanced_draw(LABELS, 7, seed=3)
    assert len(set(rows)) == 21 and (np.bincount(LABELS[rows]) == 7).all()
    assert (rows != balanced_draw(LABELS, 7, seed=4)).any()
    folds = stratified_folds(LABELS, 5, seed=0)
    assert (folds.sum(axis=0) == 1).all() and all((np.bincount(LABELS[fold]) == 10).all() for fold in folds)


def test_wilson_interval():
    np.testing.assert_allclose(wilson(0.9, 100), (0.8256, 0.9448), atol=1e-4)
    assert wilson(1.0, 10)[1] <= 1 and wilson(0.0, 10)[0] >= 0


def test_wrong_input_is_one_sentence():
    with pytest.raises(
        ValueError, match=r"features must be \[N, D\] and \[M, D\], not empty, got \(150, 8\) and \(90, 7\)"
    ):
        linear_probe(TRAIN, LABELS, TEST[:, :7], TEST_LABELS, num_classes=3)
    with pytest.raises(ValueError, match=r"labels must be one for each feature, got \(149,\) and \(90,\)"):
        linear_probe(TRAIN, LABELS[1:], TEST, TEST_LABELS, num_classes=3)
    with pytest.raises(ValueError, match="labels must be from 0 to 1, got 0 to 2"):
        linear_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=2)
    with pytest.raises(ValueError, match="per_class: 60 examples of each class are needed, the smallest has 50"):
        few_label_probe(TRAIN, LABELS, TEST, TEST_LABELS, num_classes=3, per_class=60)
