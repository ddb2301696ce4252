"""The ridge classifier against its normal equations in float64, and at accuracies that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.evaluate import linear_probe, ridge_accuracy


def ridge_64(train, labels, test, answers, strength):
    """The normal equations, with the constant column among the others and no penalty on it."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    train, test = ((rows.astype(np.float64) - mean) / deviation for rows in (train, test))
    ones = [np.concatenate([rows, np.ones((len(rows), 1))], axis=1) for rows in (train, test)]
    penalty = strength * np.diag([1.0] * train.shape[1] + [0.0])
    weights = np.linalg.solve(
        ones[0].T @ ones[0] / len(train) + penalty, ones[0].T @ np.eye(CLASSES)[labels] / len(train)
    )
    return ((ones[1] @ weights).argmax(axis=1) == answers).mean()


@pytest.mark.parametrize("strength", [0.01, 1.0])
@pytest.mark.parametrize("dim", [8, 200], ids=["tall", "wide"])
def test_accuracy_is_that_of_the_normal_equations(dim, strength):
    train, labels, *tests = problem(dim=dim, spread=4.0)
    arrays = train[:44], labels[:44], *tests  # Of the last class a fifth, so that the constant counts.
    found = jax.jit(lambda *arrays: ridge_accuracy(*arrays, num_classes=CLASSES, strength=strength))(*arrays)
    assert found == pytest.approx(ridge_64(*arrays, strength)) and 1 / CLASSES < found < 1
    scaled = [arrays[0] * 1000 + 5, arrays[1], arrays[2] * 1000 + 5, arrays[3]]
    assert ridge_accuracy(*map(jnp.asarray, scaled), num_classes=CLASSES, strength=strength) == pytest.approx(found)


def test_it_tracks_the_linear_probe():
    for spread in (0.5, 3.0, 12.0):
        arrays = problem(dim=40, spread=spread)
        found = float(ridge_accuracy(*map(jnp.asarray, arrays), num_classes=CLASSES))
        assert abs(found - linear_probe(*arrays, num_classes=CLASSES).accuracy) < 0.15


def test_features_that_are_all_equal_leave_chance():
    _, labels, _, answers = problem(dim=4, spread=1.0)
    rows = [jnp.ones((len(each), 4)) for each in (labels, answers)]
    found = ridge_accuracy(rows[0], jnp.asarray(labels), rows[1], jnp.asarray(answers), num_classes=CLASSES)
    assert found == pytest.approx(1 / CLASSES, abs=0.1)


def test_a_strength_of_zero_is_one_sentence():
    arrays = map(jnp.asarray, problem(dim=4, spread=1.0))
    with pytest.raises(ValueError, match="ridge_accuracy: strength must be above 0, got 0"):
        ridge_accuracy(*arrays, num_classes=CLASSES, strength=0.0)
