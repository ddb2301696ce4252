"""The SGD probe finds what is linearly separable, chooses its rate without the test labels, and follows PyTorch's update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data
from ssl_jax.errors import UsageError
from ssl_jax.evaluate import linear_sgd
from ssl_jax.evaluate.crops import crop_and_flip
from ssl_jax.evaluate.features import Network

CLASSES = 3


def source(size, *, seed, each=None):
    rng = np.random.default_rng(seed)
    labels = (np.arange(size) % CLASSES).astype(np.int32)
    images = rng.integers(0, 120, (size, 4, 4, 1))
    images[np.arange(size), labels] += 110  # The row of the class is lighter.
    labels = labels if each is None else each
    return ArraySource(f"rows:{seed}", ("a", "b", "c"), images.astype(np.uint8), labels)


def extract(params, state, images):
    return params * images.reshape(len(images), -1).astype(jnp.float32) / 255


DATA = Data("rows", source(60, seed=0), source(30, seed=1))
NETWORK = Network(extract, jnp.float32(1), None, DATA)


@pytest.mark.slow
def test_a_sweep_finds_a_rate_that_learns():
    found = linear_sgd(NETWORK, epochs=40, batch_size=12, learning_rates=(1e-6, 1.0))
    assert found.learning_rate == 1.0 and found.accuracy > 0.9 and found.held_out[1.0] > found.held_out[1e-6] + 0.2
    assert found.interval[0] < found.accuracy <= found.interval[1]
    images, labels = DATA.test.images.reshape(30, -1) / 255, DATA.test.labels
    assert ((images @ found.weights + found.bias).argmax(axis=1) == labels).mean() == pytest.approx(found.accuracy)


@pytest.mark.slow
def test_each_rate_of_a_sweep_is_trained_as_if_alone():
    both = linear_sgd(NETWORK, epochs=4, batch_size=12, learning_rates=(0.3, 3.0))
    for rate in (0.3, 3.0):
        alone = linear_sgd(NETWORK, epochs=4, batch_size=12, learning_rates=(rate,))
        assert alone.held_out[rate] == both.held_out[rate]
        if rate == both.learning_rate:
            np.testing.assert_allclose(alone.weights, both.weights, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "lars"])
def test_one_batch_a_step_is_momentum_sgd_in_numpy(optimizer):
    """The whole set in one batch: the order does not matter, and the classifier of all images is plain gradient descent."""
    found = linear_sgd(
        NETWORK, epochs=3, batch_size=60, learning_rates=(0.5,), weight_decay=0.01, momentum=0.8, optimizer=optimizer
    )
    features, labels = DATA.train.images.reshape(60, -1) / 255.0, DATA.train.labels
    start = linear_sgd(NETWORK, epochs=1, batch_size=60, learning_rates=(1e-12,))
    weights, bias = start.weights.astype(np.float64), np.zeros(CLASSES)
    moved, moved_bias = 0 * weights, 0 * bias
    for step in range(3):
        rate = 0.5 * 60 / 256 * (1 + np.cos(np.pi * step / 3)) / 2
        logits = features @ weights + bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (shares / shares.sum(axis=1, keepdims=True) - np.eye(CLASSES)[labels]) / 60
        gradient = features.T @ error + 0.01 * weights
        if optimizer == "lars":  # The ratio is taken before the momentum, and the rate, too.
            gradient *= 1e-3 * np.linalg.norm(weights) / np.linalg.norm(gradient)
        inner = rate if optimizer == "lars" else 1
        moved, moved_bias = 0.8 * moved + inner * gradient, 0.8 * moved_bias + inner * error.sum(axis=0)
        outer = 1 if optimizer == "lars" else rate
        weights, bias = weights - outer * moved, bias - outer * moved_bias
    np.testing.assert_allclose(found.weights, weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_test_labels_choose_nothing_and_held_out_labels_do():
    permuted = source(30, seed=1, each=np.roll(DATA.test.labels, 1))
    first, other = (
        linear_sgd(NETWORK._replace(data=data), epochs=3, batch_size=12, learning_rates=(1e-6, 0.1, 1.0))
        for data in (DATA, Data("rows", DATA.train, permuted))
    )
    assert first.learning_rate == other.learning_rate and first.held_out == other.held_out
    np.testing.assert_array_equal(first.weights, other.weights)
    assert other.accuracy < 0.2 < 0.5 < first.accuracy


def test_unlabelled_images_train_nothing():
    labels = np.where(np.arange(60) % 2, DATA.train.labels, -1).astype(np.int32)
    some = Data("rows", source(60, seed=0, each=labels), DATA.test)
    few = ArraySource("rows:0", DATA.train.classes, DATA.train.images[1::2], DATA.train.labels[1::2])
    options = {"epochs": 3, "batch_size": 30, "learning_rates": (1.0,)}
    found, expected = (
        linear_sgd(NETWORK._replace(data=data), **options) for data in (some, Data("rows", few, DATA.test))
    )
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_crops_and_flips_are_of_the_image():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    whole = crop_and_flip(min_scale=1.0, flip=False)  # The largest box of an allowed ratio: all rows and columns.
    keys = jax.random.split(jax.random.key(0), 16)
    crops = jax.vmap(whole, (0, None))(keys, image)
    assert crops.dtype == jnp.uint8 and crops.shape == (16, 8, 8, 3)
    np.testing.assert_array_equal(crops[0], image)
    flipped = jax.vmap(crop_and_flip(min_scale=1.0), (0, None))(keys, image)
    mirrored = [bool((one == image[:, ::-1]).all()) for one in flipped]
    assert all((one == image).all() or mirror for one, mirror in zip(flipped, mirrored, strict=True))
    assert 0 < sum(mirrored) < 16
    augmented = linear_sgd(NETWORK, epochs=2, batch_size=60, learning_rates=(1.0,), augment=crop_and_flip())
    plain = linear_sgd(NETWORK, epochs=2, batch_size=60, learning_rates=(1.0,))
    assert np.abs(augmented.weights - plain.weights).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"learning_rates": ()}, "learning_rates must be one or more numbers above 0"),
        ({"learning_rates": (0.1, 0.0)}, "learning_rates must be above 0, got 0.0"),
        ({"epochs": float("nan")}, "epochs must be above 0"),
        ({"momentum": 2}, "momentum must be in \\[0, 1\\], got 2"),
        ({"optimizer": "adam"}, "linear_sgd: optimizer must be one of sgd, lars, got 'adam'"),
    ],
)
def test_wrong_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        linear_sgd(NETWORK, **options)


def test_without_labels_to_hold_out_there_is_no_choice():
    data = Data("rows", source(60, seed=0, each=np.full(60, -1, np.int32)), DATA.test)
    with pytest.raises(UsageError, match="held_out: rows has 60 training images of 3 classes, expected labels"):
        linear_sgd(NETWORK._replace(data=data))
