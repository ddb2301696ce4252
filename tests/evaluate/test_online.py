"""The online probes agree with those of the features computed after training."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import CLASSES
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.data import ArraySource, Data, Synthetic
from ssl_jax.evaluate import knn_accuracy, ridge_accuracy
from ssl_jax.evaluate.features import compute_features, pixels
from ssl_jax.evaluate.online import _labelled_part, _shown, online_probes

MESH = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def online(data, **options):
    """The k-NN accuracy that the trainer's hook returns with pixels for features."""
    return both(data, **options)["knn"]


def both(data, **options):
    """The accuracies of both probes."""
    return {name: float(value) for name, value in measured(data, **options).items()}


def measured(data, **options):
    """All that the trainer's hook returns with pixels for features."""
    nothing = jax.device_put(np.float32(0), NamedSharding(MESH, PartitionSpec()))
    hook = online_probes(pixels, data, mesh=MESH, **options)
    with jax.transfer_guard("disallow"):
        return jax.device_get(hook(SimpleNamespace(params=nothing, method_state=nothing)))


def as_they_are(images):
    return images


def nearest_by_pixels(queries, keys):
    """Each query before the eight keys of the highest cosine similarity, in float64."""
    flat = [images.reshape(len(images), -1).astype(float) for images in (queries, keys)]
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in flat)
    return np.concatenate([queries[:, None], keys[np.argsort(-first @ second.T, axis=1)[:, :8]]], axis=1)


def images_of(labels):
    """Images that k-NN by pixels classifies better than by chance, and not without errors."""
    images = np.random.default_rng(0).integers(0, 150, (len(labels), 4, 4, 1))
    return (images + 50 * labels[:, None, None, None] * np.eye(4, dtype=int)[..., None]).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [8, 6, 20, 1000])  # of 48 and 24 images, on 8 devices
def test_they_agree_with_the_probes_of_features(chunk):
    labels = np.arange(48, dtype=np.int32) % CLASSES
    source = ArraySource("test", ("a", "b", "c"), images_of(labels), labels)
    data = Data("test", source, ArraySource("test", source.classes, source.images[::2], labels[::2]))
    *arrays, _ = compute_features(pixels, None, None, data)
    found = both(data, chunk=chunk)
    assert found["knn"] == pytest.approx(float(knn_accuracy(*arrays, num_classes=CLASSES)))
    assert found["linear"] == pytest.approx(float(ridge_accuracy(*map(jnp.asarray, arrays), num_classes=CLASSES)))
    assert 1 / CLASSES < min(found.values()) and list(found) == ["knn", "linear"]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "chunk"), [(400, 256), (35, 16), (5, 256), (1, 2)])
def test_online_probes_counts_every_image_of_sorted_classes(size, chunk):
    """Images of the last two of five classes are without use: 3/5 are right however the images are cut into chunks."""
    labels = (np.arange(size) * 5 // size).astype(np.int32)
    images = np.zeros((size, 1, 5, 1), np.uint8)
    images[np.arange(size), 0, labels, 0] = 255
    broken = np.where(labels[:, None, None, None] >= 3, images[:1], images)
    classes = tuple("abcde")
    data = Data("test", ArraySource("train", classes, images, labels), ArraySource("test", classes, broken, labels))
    assert online(data, chunk=chunk) == pytest.approx((labels < 3).mean())


@pytest.mark.slow
def test_online_probes_leaves_out_images_without_a_label():
    labels = np.arange(48, dtype=np.int32) % CLASSES
    images, classes = images_of(labels), ("a", "b", "c")
    some, counted = np.where(np.arange(48) % 4, labels, -1), np.where(np.arange(48) % 2, labels, -1)

    def data(keep, train_labels, test_labels):
        train = ArraySource("train", classes, images[keep[0]], train_labels[keep[0]])
        return Data("test", train, ArraySource("test", classes, images[::-1][keep[1]], test_labels[::-1][keep[1]]))

    everything, labelled = (slice(None), slice(None)), (some >= 0, counted[::-1] >= 0)
    assert online(data(everything, some, counted)) == online(data(labelled, labels, labels))
    none = np.full_like(labels, -1)
    for parts in ((none, labels), (labels, none)):
        assert np.isnan(list(both(data(everything, *parts)).values())).all()


def test_online_probes_leaves_out_unreadable_images_for_which_others_stand_in():
    class Damaged(Synthetic):
        unreadable = frozenset({0, 5})

    part = _labelled_part(Damaged(size=8, side=4), 8)
    np.testing.assert_array_equal(part["label"], np.array([1, 2, 3, 0, 2, 3]))
    assert len(part["image"]) == 6


def test_online_probes_finds_the_few_images_with_a_label():
    """The sample is one of images with a label, not of all."""
    labels = np.full(3000, -1, np.int32)
    labels[-48:] = np.arange(48) % CLASSES
    images, classes = images_of(np.maximum(labels, 0)), ("a", "b", "c")
    test = ArraySource("test", classes, images[-48::2], labels[-48::2])
    few = Data("few", ArraySource("train", classes, images[-48:], labels[-48:]), test)
    assert online(Data("all", ArraySource("train", classes, images, labels), test)) == online(few) > 1 / CLASSES


def test_queries_are_shown_before_their_nearest_training_images():
    labels = np.arange(48, dtype=np.int32) % CLASSES
    train = ArraySource("train", ("a", "b", "c"), images_of(labels), labels)
    test = ArraySource("test", train.classes, images_of(labels)[::-1][:22], labels[::-1][:22])
    found = measured(Data("test", train, test), chunk=16, draw=as_they_are)
    assert list(found) == ["knn", "linear", "neighbors"]
    np.testing.assert_array_equal(found["neighbors"], nearest_by_pixels(test.images[::3], train.images))


def test_without_labels_some_training_images_are_the_queries():
    images = images_of(np.zeros(48, np.int32))
    unlabelled = Data("test", ArraySource("train", (), images, np.full(48, -1, np.int32)), None)
    assert measured(unlabelled) == {}
    found = measured(unlabelled, draw=as_they_are)
    assert list(found) == ["neighbors"]
    others = np.delete(images, np.s_[::6], axis=0)
    np.testing.assert_array_equal(found["neighbors"], nearest_by_pixels(images[::6], others))


def test_a_single_image_has_no_neighbours():
    alone = ArraySource("train", (), images_of(np.zeros(1, np.int32)), np.full(1, -1, np.int32))
    assert measured(Data("test", alone, None), draw=as_they_are) == {}


def test_large_images_are_shown_smaller_and_clips_by_their_middle_frame():
    clips = np.zeros((2, 4, 3, 96, 128, 2), np.uint8)
    clips[1, 3, 1] = 200
    found = jax.jit(_shown)({"image": clips, "audio": np.zeros((2, 4, 8))}, np.array([[7, 6]]))
    assert found.shape == (1, 2, 48, 64, 2) and found.dtype == np.uint8
    assert (found[0, 0] == 200).all() and not found[0, 1].any()
