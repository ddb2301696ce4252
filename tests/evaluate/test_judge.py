"""The verdict is the judges' own, as JSON numbers; the online k-NN agrees with the one after training."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from blobs import CLASSES, problem
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.data import ArraySource, Data, Synthetic
from ssl_jax.evaluate import few_label_probe, judge, knn_accuracy, linear_probe
from ssl_jax.evaluate.features import Features, compute_features, pixels
from ssl_jax.evaluate.judge import _labelled_part, online_knn, without_labels

PROBLEM = problem(dim=40, spread=6.0)


def test_the_verdict_is_that_of_each_judge():
    verdict = judge(Features(*PROBLEM, CLASSES), seed=3)
    assert json.loads(json.dumps(verdict)) == verdict
    assert verdict["knn"] == pytest.approx(float(knn_accuracy(*PROBLEM, num_classes=CLASSES)))
    assert verdict["linear_probe"] == linear_probe(*PROBLEM, num_classes=CLASSES, seed=3).accuracy
    few = few_label_probe(*PROBLEM, num_classes=CLASSES, seed=3)
    assert (verdict["few_label_probe"], verdict["few_label_probe_std"]) == (few.accuracy, few.deviation)
    for name in ("knn", "linear_probe"):
        low, high = verdict[f"{name}_interval"]
        assert 0 <= low < verdict[name] < high <= 1


def test_without_ten_examples_of_each_class_there_is_no_few_label_probe():
    train, labels, *test = PROBLEM
    verdict = judge(Features(train[:-11], labels[:-11], *test, CLASSES))
    assert verdict["few_label_probe"] is None and verdict["few_label_probe_std"] is None
    assert verdict["linear_probe"] > 1 / CLASSES


NONE = dict.fromkeys(
    ("knn", "knn_interval", "linear_probe", "linear_probe_interval", "few_label_probe", "few_label_probe_std")
)


@pytest.mark.parametrize("part", ["training", "test"])
def test_without_a_label_nothing_is_measured(part):
    train, labels, test, answers = PROBLEM
    labels, answers = (-np.ones_like(labels), answers) if part == "training" else (labels, -np.ones_like(answers))
    features = Features(train, labels, test, answers, CLASSES)
    assert judge(features) == NONE and without_labels(features) == [part]


def test_images_without_a_label_are_left_out():
    train, labels, test, answers = PROBLEM
    some, counted = np.where(np.arange(60) % 3, labels, -1), np.where(np.arange(30) % 2, answers, -1)
    found = judge(Features(train, some, test, counted, CLASSES))
    expected = judge(Features(train[some >= 0], labels[some >= 0], test[1::2], answers[1::2], CLASSES))
    for name in ("knn", "knn_interval", "linear_probe", "linear_probe_interval"):
        assert found[name] == expected[name]
    few = few_label_probe(train, some, test[1::2], answers[1::2], num_classes=CLASSES)  # standardised by all images
    assert found["few_label_probe"] == few.accuracy


@pytest.mark.parametrize("classes", [1, CLASSES])
def test_one_training_image_is_enough_for_knn_alone(classes):
    train, labels, test, answers = PROBLEM
    found = judge(Features(train[:1], labels[:1], test[answers < classes], answers[answers < classes], classes))
    assert found == NONE | {"knn": pytest.approx(1 / classes), "knn_interval": found["knn_interval"]}


def test_one_class_is_always_right():
    train, labels, test, answers = PROBLEM
    found = judge(Features(train, 0 * labels, test[:1], answers[:1], 1))
    assert (found["knn"], found["linear_probe"], found["few_label_probe"]) == (1, 1, 1)


def test_classes_that_are_absent_from_one_part():
    train, labels, test, answers = problem(dim=40, spread=0.1)
    untested = judge(Features(train, labels, test, np.where(answers == 1, -1, answers), CLASSES))
    unseen = judge(Features(train, np.where(labels == 1, 0, labels), test, answers, CLASSES))
    for name in ("knn", "linear_probe", "few_label_probe"):
        assert untested[name] == 1 and unseen[name] == pytest.approx(2 / 3)


MESH = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


def online(data, **options):
    """The accuracy that the trainer's hook returns with pixels for features."""
    nothing = jax.device_put(np.float32(0), NamedSharding(MESH, PartitionSpec()))
    hook = online_knn(pixels, data, mesh=MESH, **options)
    with jax.transfer_guard("disallow"):
        return float(jax.device_get(hook(SimpleNamespace(params=nothing, state=nothing)))["knn"])


def images_of(labels):
    """Images that k-NN by pixels classifies better than by chance, and not without errors."""
    images = np.random.default_rng(0).integers(0, 150, (len(labels), 4, 4, 1))
    return (images + 50 * labels[:, None, None, None] * np.eye(4, dtype=int)[..., None]).astype(np.uint8)


@pytest.mark.parametrize("chunk", [8, 6, 20, 1000])  # of 48 and 24 images, on 8 devices
def test_online_knn_agrees_with_knn_on_features(chunk):
    labels = np.arange(48, dtype=np.int32) % CLASSES
    source = ArraySource("test", ("a", "b", "c"), images_of(labels), labels)
    data = Data("test", source, ArraySource("test", source.classes, source.images[::2], labels[::2]))
    *arrays, _ = compute_features(pixels, None, None, data)
    found = online(data, chunk=chunk)
    assert found == pytest.approx(float(knn_accuracy(*arrays, num_classes=CLASSES)))
    assert 1 / CLASSES < found


@pytest.mark.parametrize(("size", "chunk"), [(400, 256), (35, 16), (5, 256), (1, 2)])
def test_online_knn_counts_every_image_of_sorted_classes(size, chunk):
    """Images of the last two of five classes are without use: 3/5 are right however the images are cut into chunks."""
    labels = (np.arange(size) * 5 // size).astype(np.int32)
    images = np.zeros((size, 1, 5, 1), np.uint8)
    images[np.arange(size), 0, labels, 0] = 255
    broken = np.where(labels[:, None, None, None] >= 3, images[:1], images)
    classes = tuple("abcde")
    data = Data("test", ArraySource("train", classes, images, labels), ArraySource("test", classes, broken, labels))
    assert online(data, chunk=chunk) == pytest.approx((labels < 3).mean())


def test_online_knn_leaves_out_images_without_a_label():
    labels = np.arange(48, dtype=np.int32) % CLASSES
    images, classes = images_of(labels), ("a", "b", "c")
    some, counted = np.where(np.arange(48) % 4, labels, -1), np.where(np.arange(48) % 2, labels, -1)

    def data(keep, train_labels, test_labels):
        train = ArraySource("train", classes, images[keep[0]], train_labels[keep[0]])
        return Data("test", train, ArraySource("test", classes, images[::-1][keep[1]], test_labels[::-1][keep[1]]))

    everything, labelled = (slice(None), slice(None)), (some >= 0, counted[::-1] >= 0)
    assert online(data(everything, some, counted)) == online(data(labelled, labels, labels))
    none = np.full_like(labels, -1)
    assert np.isnan([online(data(everything, none, labels)), online(data(everything, labels, none))]).all()


def test_online_knn_leaves_out_unreadable_images_for_which_others_stand_in():
    class Damaged(Synthetic):
        unreadable = frozenset({0, 5})

    part = _labelled_part(Damaged(size=8, side=4), 8)
    np.testing.assert_array_equal(part["label"], np.array([1, 2, 3, 0, 2, 3]))
    assert len(part["image"]) == 6
