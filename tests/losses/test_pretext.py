"""Cross-entropy against its definition: hard, soft and smoothed labels, labels that are missing or wrong, shards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.pretext import accuracy, cross_entropy, weighted_cross_entropy

run = jax.jit(cross_entropy, static_argnames="label_smoothing")
LABELS = jnp.array([0, 3, 2, -1, 1, -1, -1, 3])


def logits(seed=0, shape=(8, 4)):
    return 3 * jax.random.normal(jax.random.key(seed), shape)


def by_loop(logits, labels, smoothing=0.0):
    losses = []
    for row, label in zip(np.asarray(logits, np.float64), np.asarray(labels), strict=True):
        if np.ndim(label) or label >= 0:
            target = np.asarray(label, np.float64) if np.ndim(label) else np.eye(len(row))[label]
            target = (1 - smoothing) * target + smoothing / len(row)
            losses.append(-np.sum(target * (row - np.log(np.sum(np.exp(row))))))
    return np.mean(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [LABELS, jax.nn.softmax(logits(1))], ids=["hard", "soft"])
def test_value_and_gradient_are_those_of_the_definition(labels, smoothing):
    loss = functools.partial(cross_entropy, label_smoothing=smoothing)
    value, gradient = jax.jit(jax.value_and_grad(loss))(logits(), labels)
    definition = functools.partial(by_loop, smoothing=smoothing)
    np.testing.assert_allclose(value, definition(logits(), labels), rtol=1e-5)
    expected = numerical_gradient(definition, (logits(), labels), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)


def test_chance_and_perfection():
    np.testing.assert_allclose(run(jnp.zeros((8, 4)), LABELS), np.log(4), rtol=1e-6)
    assert run(1e4 * jax.nn.one_hot(LABELS, 4), LABELS) == 0


def test_weighted_labels_below_zero_are_not_counted_and_too_large_ones_are_refused():
    logits, weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32), jnp.array([1.0, 2.0, 3.0])
    some = weighted_cross_entropy(logits, jnp.array([0, -1, 2, -1]), weights)
    np.testing.assert_allclose(some, weighted_cross_entropy(logits[::2], jnp.array([0, 2]), weights), rtol=1e-6)
    assert weighted_cross_entropy(logits, jnp.full(4, -1), weights) == 0
    for loss in (cross_entropy, functools.partial(weighted_cross_entropy, weights=weights)):
        with pytest.raises(ValueError, match="labels must be below 3, got 0 to 3"):
            loss(logits, jnp.array([0, 1, 2, 3]))
        assert np.isnan(jax.jit(loss)(logits, jnp.array([0, 1, 2, 3])))


def test_any_leading_axes():
    rows, labels = np.asarray(logits()), np.asarray(LABELS)
    np.testing.assert_allclose(run(rows.reshape(2, 4, 4), labels.reshape(2, 4)), run(rows, labels), rtol=1e-6)


def test_nothing_labelled_is_zero_and_a_label_that_does_not_exist_is_nan():
    value, gradient = jax.jit(jax.value_and_grad(cross_entropy))(logits(), jnp.full(8, -1))
    assert value == 0 and not gradient.any()
    assert jnp.isnan(run(logits(), LABELS.at[0].set(4)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_and_huge_logits_stay_finite(dtype):
    rows = (1e4 * logits()).astype(dtype)
    value = run(rows, LABELS)
    assert value.dtype == jnp.float32
    assert jnp.isfinite(value)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_shards_with_different_numbers_of_labels_average_as_the_whole_batch(way, shards):
    assert_same_in_pieces(cross_entropy, way, shards, (logits(), LABELS), cut=(0, 0))


def test_accuracy_counts_what_is_right_over_all_shards():
    rows = 9 * jax.nn.one_hot(jnp.array([0, 3, 2, 1, 1, 0, 0, 3]), 4) + logits() / 9
    labels = jnp.array([0, 3, 2, 2, 2, 2, 0, 3])
    assert accuracy(rows, labels) == 5 / 8
    by_shard = jax.vmap(lambda *shard: accuracy(*shard, axis_name="data"), axis_name="data")
    np.testing.assert_array_equal(by_shard(rows.reshape(4, 2, 4), labels.reshape(4, 2)), np.full(4, 5 / 8))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (jnp.zeros(7, jnp.int32), r"got \(8, 4\) and int32 \(7,\)"),
        (jnp.zeros((8, 3)), r"got \(8, 4\) and float32 \(8, 3\)"),
        (jnp.zeros(8), r"cross_entropy: needs logits \[..., K\].*got \(8, 4\) and float32 \(8,\)"),
    ],
)
def test_labels_that_do_not_fit_are_one_sentence(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        cross_entropy(logits(), labels)


def test_other_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match=r"not empty.*got \(0, 4\)"):
        cross_entropy(jnp.zeros((0, 4)), jnp.zeros(0, jnp.int32))
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got 1.0"):
        cross_entropy(logits(), LABELS, label_smoothing=1.0)


WEIGHTS = jnp.array([0.5, 1.0, 0.0, 2.0])
CLASSES = jnp.maximum(LABELS, 0)


def weighted_by_loop(logits, labels, weights):
    """Equation 2 of the paper, over the sum of the weights."""
    losses = [by_loop(row[None], [label]) for row, label in zip(np.asarray(logits), np.asarray(labels), strict=True)]
    of_rows = np.asarray(weights, np.float64)[np.asarray(labels)]
    return np.sum(of_rows * losses) / np.sum(of_rows)


def test_weighted_value_and_gradient_are_those_of_the_definition():
    value, gradient = jax.jit(jax.value_and_grad(weighted_cross_entropy))(logits(), CLASSES, WEIGHTS)
    np.testing.assert_allclose(value, weighted_by_loop(logits(), CLASSES, WEIGHTS), rtol=1e-5)
    expected = numerical_gradient(weighted_by_loop, (logits(), CLASSES, WEIGHTS), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_weighted_with_equal_weights_is_the_cross_entropy_and_its_chance_level_is_log_k():
    everywhere = weighted_cross_entropy(logits(), CLASSES, 3 * jnp.ones(4))
    np.testing.assert_allclose(everywhere, cross_entropy(logits(), CLASSES), rtol=1e-6)
    np.testing.assert_allclose(weighted_cross_entropy(jnp.zeros((8, 4)), CLASSES, WEIGHTS), np.log(4), rtol=1e-6)
    with pytest.raises(ValueError, match="weighted_cross_entropy: needs logits"):
        weighted_cross_entropy(logits(), CLASSES, jnp.ones(3))


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_weighted_of_shards_is_that_of_the_whole(way, shards):
    def loss(logits, labels, axis_name=None):
        return weighted_cross_entropy(logits, labels, WEIGHTS, axis_name=axis_name)

    assert_same_in_pieces(loss, way, shards, (logits(), CLASSES), cut=(0, 0))
