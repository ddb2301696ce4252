"""Corruptions grow with their strength, and accuracies are those of the clean probe on corrupted images."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data
from ssl_jax.errors import UsageError
from ssl_jax.evaluate import linear_probe, robustness
from ssl_jax.evaluate import robustness as package_function
from ssl_jax.evaluate.features import Network, compute_features
from ssl_jax.evaluate.protocols import PROTOCOLS

CORRUPTIONS = package_function.__globals__["CORRUPTIONS"]
corrupted = package_function.__globals__["corrupted"]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_stronger_corruption_changes_an_image_more(name):
    """Of a smooth image, whose middle is light."""
    y, x = np.mgrid[:16, :16]
    image = (255 * np.exp(-((y - 5) ** 2 + (x - 8) ** 2) / 12)).astype(np.uint8)[None, :, :, None]
    change, amounts = CORRUPTIONS[name]
    found = [np.asarray(corrupted(change, amount, jnp.asarray(image))) for amount in amounts]
    assert all(each.dtype == np.uint8 and each.shape == image.shape for each in found)
    distances = [np.square(each.astype(float) - image).mean() for each in found]
    assert distances == sorted(distances) and 0 < distances[0] < distances[-1]


def test_accuracies_are_those_of_the_clean_probe_on_corrupted_images(monkeypatch):
    monkeypatch.setitem(package_function.__globals__, "CORRUPTIONS", {
        "none": (lambda image, amount: image, (0.0,)), "inverted": (lambda image, amount: amount - image, (1.0,)),
    })  # fmt: skip
    labels = np.arange(40, dtype=np.int32) % 2
    images = (np.random.default_rng(0).integers(0, 100, (40, 4, 4, 1)) + 150 * labels[:, None, None, None]).astype(
        np.uint8
    )
    train, test = (
        ArraySource("shades", ("dark", "light"), images[part], labels[part]) for part in (slice(24), slice(24, 40))
    )
    data = Data("shades", train, test)

    def extract(params, state, images):
        return images.reshape(len(images), -1).astype(jnp.float32)

    network = Network(extract, None, None, data)
    features = compute_features(extract, None, None, data)
    found = robustness(network, features)
    probe = linear_probe(*features[:4], num_classes=2)
    assert found.clean == probe.accuracy == 1 and found.corruptions == {"none": [1.0], "inverted": [0.0]}
    assert found.accuracy == 0.5 and found.strength == probe.strength
    assert found.interval == pytest.approx((0.5, 0.5))  # Each image is right once of two times.
    fields = PROTOCOLS["robustness"].run(features, 0, network)
    assert fields["accuracy"] == 0.5 and fields["chosen"] == {"strength": probe.strength}


def test_nothing_is_chosen_on_the_test_labels(monkeypatch):
    """Labels that are permuted among the test images change the accuracy and no choice."""
    monkeypatch.setitem(package_function.__globals__, "CORRUPTIONS", {"none": (lambda image, amount: image, (0.0,))})
    rng = np.random.default_rng(0)
    labels = np.arange(160, dtype=np.int32) % 2
    images = rng.integers(0, 100, (160, 4, 4, 1)) + 40 * labels[:, None, None, None]

    def extract(params, state, images):
        return images.reshape(len(images), -1).astype(jnp.float32)

    def found_with(test_labels):
        parts = (ArraySource("shades", ("dark", "light"), images[:80].astype(np.uint8), labels[:80]),
                 ArraySource("shades", ("dark", "light"), images[80:].astype(np.uint8), test_labels))  # fmt: skip
        data = Data("shades", *parts)
        return robustness(Network(extract, None, None, data), compute_features(extract, None, None, data))

    found, permuted = found_with(labels[80:]), found_with(rng.permutation(labels[80:]))
    assert permuted.strength == found.strength and found.accuracy > 0.8 and 0.3 < permuted.accuracy < 0.7


def test_clips_are_refused():
    clips = type("Clips", (), {"image_shape": (3, 4, 4, 1)})()
    with pytest.raises(UsageError, match="robustness corrupts images, but x holds clips"):
        robustness(Network(None, None, None, Data("x", clips, clips)), None)
