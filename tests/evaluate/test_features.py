"""Features come in order, whatever the batches and the devices; what fills up a batch never comes back."""

from collections import OrderedDict
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.data import ArraySource, Data, in_order
from ssl_jax.evaluate.features import (
    compute_features,
    compute_layers,
    feature_extractor,
    features_of,
    few_of,
    layer_extractor,
    pixels,
)

IMAGES = np.random.default_rng(0).integers(0, 256, size=(21, 4, 4, 1), dtype=np.uint8)
LABELS = np.arange(21, dtype=np.int32) % 3
SOURCE = ArraySource("test", ("a", "b", "c"), IMAGES, LABELS)
EXPECTED = IMAGES.reshape(21, 16).astype(np.float32)


def flat(images):
    return images.reshape(len(images), -1).astype(jnp.bfloat16)  # Integers up to 256 are exact.


def mesh():
    return jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


@pytest.mark.parametrize("batch_size", [4, 21, 50])
@pytest.mark.parametrize("devices", [1, 8])
def test_features_are_in_order_and_complete(batch_size, devices):
    shapes = []

    @jax.jit
    def extract(images):
        shapes.append(images.shape)
        return flat(images)

    sharding = NamedSharding(mesh(), PartitionSpec("data")) if devices == 8 else None
    with jax.transfer_guard("disallow"):
        features, labels = features_of(extract, in_order(SOURCE, batch_size=batch_size), sharding=sharding)
    assert features.dtype == np.float32 and labels.dtype == np.int32
    np.testing.assert_array_equal(features, EXPECTED)
    np.testing.assert_array_equal(labels, LABELS)
    rows = min(batch_size, 21)
    assert shapes == [(rows if devices == 1 else -(-rows // 8) * 8, 4, 4, 1)]  # Compiled once.


def test_both_parts_of_a_data_set():
    def extract(params, state, images):
        return params * flat(images).astype(jnp.float32) + state

    data = Data("test", SOURCE, ArraySource("test", SOURCE.classes, IMAGES[:5], LABELS[:5]))
    weights = jax.device_put((jnp.float32(2), jnp.float32(1)), NamedSharding(mesh(), PartitionSpec()))
    features = compute_features(extract, *weights, data, mesh=mesh(), batch_size=8)
    np.testing.assert_array_equal(features.train, 2 * EXPECTED + 1)
    np.testing.assert_array_equal(features.test, 2 * EXPECTED[:5] + 1)
    np.testing.assert_array_equal(features.test_labels, LABELS[:5])
    assert features.num_classes == 3


def test_of_many_images_those_with_a_label_are_taken():
    labels = np.where(np.arange(21) % 4 == 1, LABELS, -1)
    data = Data("test", ArraySource("test", SOURCE.classes, IMAGES, labels), SOURCE)
    features = compute_features(lambda params, state, images: flat(images), None, None, data, train_images=10)
    np.testing.assert_array_equal(features.train, EXPECTED[1::4])
    np.testing.assert_array_equal(features.train_labels, LABELS[1::4])
    sentence = "test: features of 5 of 21 training images are evaluated; the protocol linear_sgd takes all"
    assert few_of(data, train_images=10) == sentence
    assert few_of(data, train_images=21) is None is few_of(data)


class Doubles:
    """A method whose first layer is the prepared images, and whose features are twice their mean."""

    def backbone(self, params, state):
        return None

    def features(self, params, state, images):
        return {"layer1": images, "features": 2 * images.mean((1, 2))}


def test_a_layer_of_a_method_by_name():
    prepare = partial(jnp.asarray, dtype=jnp.float32)
    features = feature_extractor(Doubles(), prepare)(None, None, jnp.asarray(IMAGES))
    np.testing.assert_allclose(features, 2 * EXPECTED.mean(axis=1, keepdims=True), rtol=1e-6)
    of_places = feature_extractor(Doubles(), prepare, layer="layer1")(None, None, jnp.asarray(IMAGES))
    np.testing.assert_allclose(of_places, EXPECTED.mean(axis=1, keepdims=True), rtol=1e-6)  # The mean over places.
    with pytest.raises(ValueError, match="unknown layer 'feature': did you mean 'features'"):
        feature_extractor(Doubles(), prepare, layer="feature")(None, None, jnp.asarray(IMAGES))


def test_all_layers_in_one_pass():
    passes = []

    class Counted(Doubles):
        def features(self, params, state, images):
            passes.append(images.shape)
            found = super().features(params, state, images)
            return OrderedDict(layer1=found["layer1"], before=found["features"], features=found["features"])

    method, prepare = Counted(), partial(jnp.asarray, dtype=jnp.float32)
    data = Data("test", SOURCE, ArraySource("test", SOURCE.classes, IMAGES[:5], LABELS[:5]))
    layers = compute_layers(layer_extractor(method, prepare, size=4), None, None, data, batch_size=21)
    assert list(layers) == ["layer1", "before", "features"]  # In order of depth.
    assert len(passes) == 2  # Traced once for each size of a batch.
    corners = EXPECTED.reshape(21, 2, 2, 2, 2).mean(axis=(2, 4)).reshape(21, 4)
    np.testing.assert_allclose(layers["layer1"].train, corners, rtol=1e-6)
    np.testing.assert_array_equal(layers["layer1"].test_labels, LABELS[:5])
    one = compute_features(feature_extractor(method, prepare), None, None, data, batch_size=21)
    np.testing.assert_array_equal(layers["features"].test, one.test)
    assert list(compute_layers(layer_extractor(method, prepare, layers=["before"]), None, None, data)) == ["before"]
    with pytest.raises(ValueError, match="unknown layer 'layer2': did you mean 'layer1'"):
        layer_extractor(method, prepare, layers=["layer1", "layer2"])(None, None, jnp.asarray(IMAGES))


def test_pixels_are_grey_levels_at_most_32_wide():
    np.testing.assert_allclose(pixels(None, None, jnp.asarray(IMAGES)), EXPECTED / 255, rtol=1e-6)
    assert pixels(None, None, jnp.full((2, 64, 96, 3), 255, jnp.uint8)).shape == (2, 32 * 48 * 3)


@pytest.mark.parametrize(
    ("extract", "sizes", "sentence"),
    [
        (flat, [], "got no batches"),
        (flat, [2, 3], "a batch of 3 images came after one of 2"),
        (lambda images: images, [2], r"must give \[B, D\], got \(2, 4, 4, 1\)"),
        (lambda images: {"a": flat(images), "b": images}, [2], r"must give \[B, D\], got \(2, 4, 4, 1\)"),
    ],
)
def test_wrong_input_is_one_sentence(extract, sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        features_of(extract, [{"image": IMAGES[:size], "label": LABELS[:size]} for size in sizes])
