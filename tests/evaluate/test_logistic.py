"""The regression's loss in blocks of examples: its definition in float64, value and gradient, whatever the block."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.evaluate import linear, logistic

EXAMPLES, DIM, CLASSES = 11, 4, 3


def entropy_64(weights, features, labels, share):
    logits = np.asarray(features, np.float64) @ np.asarray(weights, np.float64).T
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    value = -(share * log_probabilities[np.arange(len(labels)), labels]).sum()
    errors = (np.exp(log_probabilities) - np.eye(weights.shape[0])[labels]) * share[:, None]
    return value, errors.T @ features


@pytest.fixture
def numbers():
    generator = np.random.default_rng(0)
    weights, features = generator.normal(size=(CLASSES, DIM)), 3 * generator.normal(size=(EXAMPLES, DIM))
    share = generator.random(EXAMPLES) * (np.arange(EXAMPLES) % 3 > 0)
    return (
        *(np.float32(each) for each in (weights, features)),
        generator.integers(CLASSES, size=EXAMPLES),
        np.float32(share),
    )


# One example, parts that do not divide the examples, parts that do, all of them, and more than there are.
@pytest.mark.parametrize("size", [1, 3, 4, EXAMPLES, 50])
def test_value_and_gradient_do_not_depend_on_the_block(monkeypatch, numbers, size):
    monkeypatch.setattr(logistic, "MOST_LOGITS", size * CLASSES)
    value, gradient = logistic.cross_entropy(*map(jnp.asarray, numbers))
    expected, expected_gradient = entropy_64(*numbers)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=2e-6)


def test_a_large_logit_is_no_overflow(numbers):
    weights, features, labels, share = map(jnp.asarray, numbers)
    value, gradient = logistic.cross_entropy(weights * 1e4, features, labels, share)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("size", [3, EXAMPLES])
def test_the_share_that_is_right_does_not_depend_on_the_block(monkeypatch, numbers, size):
    monkeypatch.setattr(logistic, "MOST_LOGITS", size * CLASSES)
    weights, features, labels, _ = map(jnp.asarray, numbers)
    right = (numbers[1] @ numbers[0].T).argmax(axis=1) == numbers[2]
    assert linear.accuracy(weights, features, labels) == right.mean()
    some = np.arange(EXAMPLES) % 3 < 2
    assert linear.accuracy(weights, features, labels, rows=some) == right[some].mean()
