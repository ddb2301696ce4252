"""The linear probe against Newton's method in float64, and its rule: the strength is chosen without the test set."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.evaluate import lbfgs, linear
from ssl_jax.evaluate.linear import STRENGTHS, held_out_rows, linear_probe, wilson_interval
from ssl_jax.evaluate.logistic import logistic_regression, no_opinion, principal_axes, rotated

TRAIN, LABELS, TEST, ANSWERS = problem()
TARGET = np.eye(CLASSES)[LABELS]


def probe(*arrays, **options):
    return linear_probe(*(arrays or (TRAIN, LABELS, TEST, ANSWERS)), num_classes=CLASSES, **options)


def softmax_64(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def objective_64(weights, rows, strength):
    """Definition, for weights `[D + 1, K]` and standardised rows with a last column of ones."""
    picked = np.sum(softmax_64(rows @ weights) * TARGET, axis=1)
    return -np.log(picked).mean() + strength / 2 * np.sum(weights[:-1] ** 2)


def gradient_64(weights, rows, strength):
    penalty = strength * weights
    penalty[-1] = 0
    return rows.T @ (softmax_64(rows @ weights) - TARGET) / len(rows) + penalty


def newton_64(rows, strength):
    """The minimum; a shift of all biases alike changes nothing, so the smallest step is taken."""
    weights = np.zeros((rows.shape[1], CLASSES))
    for _ in range(50):
        share = softmax_64(rows @ weights)
        hessian = np.einsum("nd,ne,nk,kl->dkel", rows, rows, share, np.eye(CLASSES))
        hessian = (hessian - np.einsum("nd,ne,nk,nl->dkel", rows, rows, share, share)) / len(rows)
        hessian = hessian.reshape(weights.size, weights.size)
        hessian += np.diag(np.repeat([strength] * (len(weights) - 1) + [0], CLASSES))
        weights -= (np.linalg.pinv(hessian) @ gradient_64(weights, rows, strength).ravel()).reshape(weights.shape)
    assert np.abs(gradient_64(weights, rows, strength)).max() < 1e-12
    return weights


def standardized_64():
    features = TRAIN.astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    return np.column_stack([(features - mean) / deviation, np.ones(len(TRAIN))]), mean, deviation


def found_in_standard_units(found, mean, deviation):
    weights = found.weights.astype(np.float64) * deviation[:, None]
    return np.vstack([weights, found.bias + mean @ found.weights])


# scikit-learn 1.9.1: LogisticRegression(C=C, tol=1e-12, max_iter=10000).fit(x, y).predict_proba(x)[:3], with
# x = sin(1.3 arange(24)).reshape(12, 2) + 0.3, y = (5 arange(12) // 3) % classes, C = 2 / 1.2 of two classes, 1 / 1.2 of three.
PROBABILITIES = {
    2: [[0.5074432, 0.4925568], [0.4992375, 0.5007625], [0.49352232, 0.50647768]],
    3: [
        [0.33962017, 0.20766363, 0.4527162],
        [0.25168541, 0.5949161, 0.15339849],
        [0.70219799, 0.11117304, 0.18662897],
    ],
}


@pytest.mark.parametrize("classes", PROBABILITIES)
def test_it_is_scikit_learns_regression(classes):
    """The strength 0.1 of 12 examples is their C = 1 / (12 * 0.1), and twice that of two classes."""
    x = np.sin(1.3 * np.arange(24)).reshape(12, 2) + 0.3
    rows = jnp.asarray(np.column_stack([x, np.ones(12)]), jnp.float32)
    labels = jnp.asarray(5 * np.arange(12) // 3 % classes, jnp.int32)
    start = jnp.zeros((classes, 3))
    fitted = logistic_regression(rows, labels, np.ones(12, bool), strength=0.1, start=start, tolerance=1e-6)
    np.testing.assert_allclose(softmax_64(rows[:3] @ fitted.T), PROBABILITIES[classes], atol=2e-5)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_the_scale_of_the_features_does_not_matter(size):
    """Their squares vanish below 1e-19 and overflow above 1.8e19: a feature without deviation would be left out."""
    size = np.float32(size)
    found, scaled = probe(), probe(TRAIN * size, LABELS, TEST * size, ANSWERS)
    assert scaled.accuracy == found.accuracy > 1.5 / CLASSES
    np.testing.assert_allclose(scaled.weights * size, found.weights, rtol=1e-3, atol=1e-4 * np.abs(found.weights).max())


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_the_probe_is_the_minimum_on_all_training_features(strength):
    rows, mean, deviation = standardized_64()
    expected = newton_64(rows, strength)
    weights = found_in_standard_units(probe(strengths=[strength]), mean, deviation)
    assert np.linalg.norm(gradient_64(weights, rows, strength)) < 2e-4
    lowest = objective_64(expected, rows, strength)
    assert -1e-6 < objective_64(weights, rows, strength) - lowest < 1e-4 * max(lowest, 1e-2)
    if strength >= 1e-2:  # Below, the valley is flat.
        np.testing.assert_allclose(weights[:-1], expected[:-1], atol=0.01 * np.abs(expected).max())


def test_the_axes_of_the_features_change_the_way_and_not_the_result(monkeypatch):
    turned = probe()
    monkeypatch.setattr(linear, "MOST_TURNED", 0)
    plain = probe()
    assert turned.strength == plain.strength and turned.accuracy == plain.accuracy
    np.testing.assert_allclose(turned.weights, plain.weights, atol=0.01 * np.abs(plain.weights).max())


def test_features_are_uncorrelated_on_their_principal_axes():
    rows = jnp.asarray(standardized_64()[0], jnp.float32)
    axes = principal_axes(rows)
    turned = rotated(rows, axes.directions)
    covariance = np.asarray(turned[:, :-1].T @ turned[:, :-1]) / len(rows)
    np.testing.assert_allclose(covariance, np.diag(axes.variances), atol=1e-5)
    np.testing.assert_allclose(rotated(turned, axes.directions.T), rows, atol=1e-5)


def test_nearly_dependent_features_take_fewer_steps_on_the_axes(monkeypatch):
    """40 features that are nearly those of 2: after 30 steps on their own axes the gradient is still far from 0."""
    monkeypatch.setattr(lbfgs, "MOST_STEPS", 30)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 2)) @ rng.standard_normal((2, 40)) + 0.01 * rng.standard_normal((400, 40))
    rows = np.column_stack([(rows - rows.mean(axis=0)) / rows.std(axis=0), np.ones(400)])
    labels = rng.integers(0, 3, 400)

    def length(weights):
        error = (softmax_64(rows @ np.asarray(weights.T, np.float64)) - np.eye(3)[labels]) / 400
        penalty = 1e-4 * np.asarray(weights.T, np.float64) * (np.arange(41) < 40)[:, None]
        return np.linalg.norm(rows.T @ error + penalty)

    features = jnp.asarray(rows, jnp.float32)
    fit = functools.partial(
        logistic_regression, features, labels=jnp.asarray(labels, jnp.int32), rows=np.ones(400, bool), strength=1e-4,
        start=no_opinion(3, features), tolerance=1e-6,
    )  # fmt: skip
    assert length(fit(axes=principal_axes(features))) < 1e-4 < 0.1 * length(fit())


def test_weights_and_bias_are_for_features_as_they_come():
    found = probe()
    predicted = (TEST @ found.weights + found.bias).argmax(axis=1)
    assert found.accuracy == pytest.approx(np.mean(predicted == ANSWERS))
    assert 1 / CLASSES < found.accuracy < 1
    assert found.interval == wilson_interval(found.accuracy, len(ANSWERS))


@pytest.mark.slow
def test_the_strength_is_chosen_on_held_out_training_features():
    train, labels, test, answers = problem(dim=40, spread=4.0)
    found = probe(train, labels, test, answers, held_out=0.5)
    assert set(found.held_out) == set(STRENGTHS)
    best = max(found.held_out.values())
    assert found.strength == max(strength for strength, share in found.held_out.items() if share == best)
    assert 1e-6 < found.strength < 1
    other = probe(train, labels, test[::-1], answers, held_out=0.5)  # Another test set, but the same probe.
    assert (other.strength, other.held_out) == (found.strength, found.held_out) and other.accuracy != found.accuracy
    np.testing.assert_array_equal(other.weights, found.weights)


def test_held_out_accuracies_are_of_features_that_were_not_fitted():
    """Labels that say nothing are learned by heart with little penalty; held out, they stay at chance."""
    labels = np.random.default_rng(0).permutation(LABELS)
    wide = np.random.default_rng(1).normal(size=(60, 40)).astype(np.float32)
    found = probe(wide, labels, wide, labels, strengths=[1e-3], held_out=0.5)
    assert found.accuracy == 1 and found.held_out[1e-3] < 0.6


def test_of_equal_strengths_the_strongest_is_taken():
    separate = problem(spread=0.1)
    found = probe(*separate, strengths=[1e-6, 1e-2, 1e-4])
    assert set(found.held_out.values()) == {1.0} and found.strength == 1e-2 and found.accuracy == 1


def test_units_and_constant_features_do_not_matter():
    found = probe(strengths=[1e-2])
    constant = [np.column_stack([1e-6 * features[:, :4], np.full(len(features), 7.1)]) for features in (TRAIN, TEST)]
    without = [np.column_stack([features[:, :4], np.zeros(len(features))]) for features in (TRAIN, TEST)]
    small, plain = (probe(train, LABELS, test, ANSWERS, strengths=[1e-2]) for train, test in (constant, without))
    assert small.accuracy == plain.accuracy != found.accuracy
    np.testing.assert_array_equal(small.weights[4], 0)
    np.testing.assert_allclose(1e-6 * small.weights[:4], plain.weights[:4], rtol=2e-3, atol=2e-4)


def test_held_out_rows_are_the_same_share_of_each_class():
    labels = np.repeat([0, 1, 2, 3], [10, 40, 2, 1])
    held = held_out_rows(labels, share=0.2, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[held], minlength=4), [2, 8, 1, 0])
    assert (held != held_out_rows(labels, share=0.2, seed=1)).any()


@pytest.mark.parametrize(
    ("share", "size", "interval"), [(0.9, 1000, (0.8799, 0.9171)), (0.0, 10, (0.0, 0.2775)), (1.0, 10, (0.7225, 1.0))]
)
def test_wilson_interval(share, size, interval):
    np.testing.assert_allclose(wilson_interval(share, size), interval, atol=1e-4)


def test_only_explicit_transfers():
    with jax.transfer_guard("disallow"):
        probe()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"strengths": []}, r"strengths must be one or more numbers above 0, got \[\]"),
        ({"strengths": 1.0}, "strengths must be one or more numbers above 0, got 1.0"),
        ({"strengths": [1.0, 0.0]}, "strengths must be above 0, got 0.0"),
        ({"strengths": [np.nan]}, "strengths must be above 0, got nan"),
        ({"strengths": [1.0, np.inf]}, "strengths must be above 0 and finite, got inf"),
        ({"seed": 1.5}, "seed must be a whole number of at least 0, got 1.5"),
        ({"held_out": "half"}, r"held_out must be a number in \[0, 1\], got 'half'"),
        ({"held_out": 1.0}, "held_out must be above 0 and below 1, got 1.0"),
    ],
)
def test_wrong_options_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        probe(**options)


def test_wrong_arrays_are_one_sentence():
    with pytest.raises(ValueError, match=r"test labels must be one for each feature, got \(29,\) for \(30, 5\)"):
        probe(TRAIN, LABELS, TEST, ANSWERS[1:])
    with pytest.raises(ValueError, match="no class has two training features"):
        probe(TRAIN[::20], LABELS[::20], TEST, ANSWERS)


@pytest.mark.slow
def test_rows_without_a_label_are_left_out():
    labels, answers = LABELS.copy(), ANSWERS.copy()
    labels[::3], answers[::2] = -1, -1
    found, expected = (
        probe(TRAIN, labels, TEST, answers),
        probe(TRAIN[labels >= 0], LABELS[labels >= 0], TEST[1::2], ANSWERS[1::2]),
    )
    assert found[:4] == expected[:4]
    np.testing.assert_array_equal(found.weights, expected.weights)
    for name, arrays in {"training": (labels * 0 - 1, answers), "test": (labels, answers * 0 - 1)}.items():
        with pytest.raises(ValueError, match=f"{name} labels are all -1, which is no label"):
            probe(TRAIN, arrays[0], TEST, arrays[1])
