"""Results are those of each probe, as JSON numbers, and None where the labels do not suffice."""

import json

import numpy as np
import pytest
from blobs import CLASSES, problem

from ssl_jax.errors import UsageError
from ssl_jax.evaluate import evaluate_features, few_label_probe, knn_accuracy, layer_probes, linear_probe
from ssl_jax.evaluate.features import Features
from ssl_jax.evaluate.protocols import PROTOCOLS, without_labels

PROBLEM = problem(dim=40, spread=6.0)


def accuracies(features):
    return {name: fields["accuracy"] for name, fields in evaluate_features(features).items()}


def test_the_results_are_those_of_each_probe():
    found = evaluate_features(Features(*PROBLEM, CLASSES), seed=3)
    assert json.loads(json.dumps(found)) == found
    assert found["knn"]["accuracy"] == pytest.approx(float(knn_accuracy(*PROBLEM, num_classes=CLASSES)))
    assert found["linear"]["accuracy"] == linear_probe(*PROBLEM, num_classes=CLASSES, seed=3).accuracy
    few = few_label_probe(*PROBLEM, num_classes=CLASSES, seed=3)
    assert found["few_labels"] == {"accuracy": few.accuracy, "deviation": few.deviation, "labels_per_class": 10}
    for name in ("knn", "linear"):
        low, high = found[name]["interval"]
        assert 0 <= low < found[name]["accuracy"] < high <= 1


def test_without_ten_examples_of_each_class_there_is_no_few_label_probe():
    train, labels, *test = PROBLEM
    found = evaluate_features(Features(train[:-11], labels[:-11], *test, CLASSES))
    reason = found["few_labels"].pop("reason")
    assert found["few_labels"] == {"accuracy": None, "deviation": None, "labels_per_class": 10}
    assert reason == f"a class has {np.bincount(labels[:-11]).min()} labelled training images, and 10 of each are drawn"
    assert found["linear"]["accuracy"] > 1 / CLASSES


@pytest.mark.parametrize("part", ["training", "test"])
def test_without_a_label_nothing_is_measured(part):
    train, labels, test, answers = PROBLEM
    labels, answers = (-np.ones_like(labels), answers) if part == "training" else (labels, -np.ones_like(answers))
    features = Features(train, labels, test, answers, CLASSES)
    assert evaluate_features(features) == {} and without_labels(features) == [part]


def test_images_without_a_label_are_left_out():
    train, labels, test, answers = PROBLEM
    some, counted = np.where(np.arange(60) % 3, labels, -1), np.where(np.arange(30) % 2, answers, -1)
    found = evaluate_features(Features(train, some, test, counted, CLASSES))
    expected = evaluate_features(Features(train[some >= 0], labels[some >= 0], test[1::2], answers[1::2], CLASSES))
    for name in ("knn", "linear"):
        assert found[name] == expected[name]
    few = few_label_probe(train, some, test[1::2], answers[1::2], num_classes=CLASSES)  # standardised by all images
    assert found["few_labels"]["accuracy"] == few.accuracy


@pytest.mark.parametrize("classes", [1, CLASSES])
def test_one_training_image_is_enough_for_knn_alone(classes):
    train, labels, test, answers = PROBLEM
    features = Features(train[:1], labels[:1], test[answers < classes], answers[answers < classes], classes)
    assert accuracies(features) == {"knn": pytest.approx(1 / classes), "linear": None, "few_labels": None}


def test_one_class_is_always_right():
    train, labels, test, answers = PROBLEM
    found = accuracies(Features(train, 0 * labels, test[:1], answers[:1], 1))
    assert found == {"knn": 1, "linear": 1, "few_labels": 1}


def test_classes_that_are_absent_from_one_part():
    train, labels, test, answers = problem(dim=40, spread=0.1)
    untested = accuracies(Features(train, labels, test, np.where(answers == 1, -1, answers), CLASSES))
    unseen = accuracies(Features(train, np.where(labels == 1, 0, labels), test, answers, CLASSES))
    for name in ("knn", "linear", "few_labels"):
        assert untested[name] == 1 and unseen[name] == pytest.approx(2 / 3)


def test_each_layer_has_the_results_of_its_features():
    features = Features(*PROBLEM, CLASSES)
    noise = features._replace(train=0 * features.train, test=0 * features.test)
    found = layer_probes({"noise": noise, "features": features}, seed=3)
    assert list(found) == ["noise", "features"] and list(found["noise"]) == ["knn", "linear"]
    assert found["features"] == evaluate_features(features, protocols=["knn", "linear"], seed=3)
    assert found["noise"]["linear"]["accuracy"] == pytest.approx(1 / CLASSES)
    assert found["features"]["linear"]["accuracy"] > 0.5


def test_an_unknown_protocol_is_one_sentence():
    with pytest.raises(UsageError, match="unknown protocol 'lineer': did you mean 'linear'"):
        evaluate_features(Features(*PROBLEM, CLASSES), protocols=["lineer"])


@pytest.mark.parametrize("name", [name for name, protocol in PROTOCOLS.items() if not protocol.needs_network])
def test_no_protocol_chooses_by_test_labels(name):
    """With permuted test labels what was chosen is the same, and only figures on the test images differ."""
    first, other = (
        PROTOCOLS[name].run(Features(*PROBLEM[:3], answers, CLASSES), 0)
        for answers in (PROBLEM[3], np.roll(PROBLEM[3], 10))
    )
    assert first.get("chosen") == other.get("chosen") and first != other


def test_every_figure_has_an_interval_or_a_deviation():
    found = evaluate_features(
        Features(*PROBLEM, CLASSES),
        protocols=[name for name, protocol in PROTOCOLS.items() if not protocol.needs_network],
    )
    for name, fields in found.items():
        assert fields.get("interval") or fields.get("deviation") is not None, name
    assert found["retrieval"]["chance"] == pytest.approx(1 / CLASSES) and found["retrieval"]["recall_1"]["interval"]


def test_a_protocol_that_encodes_images_needs_the_network():
    with pytest.raises(UsageError, match="protocols: linear_sgd encodes images, which these features cannot"):
        evaluate_features(Features(*PROBLEM, CLASSES), protocols=["linear_sgd"])


@pytest.mark.parametrize("name", ["retrieval", "clustering"])
def test_where_a_protocol_cannot_measure_it_has_no_figure(name):
    train, labels, test, answers = PROBLEM
    found = PROTOCOLS[name].run(Features(train[:1], labels[:1], test[answers == 1], answers[answers == 1], CLASSES), 0)
    reasons = {
        "retrieval": "no training image is of a test image's class",
        "clustering": f"there are fewer training images, 1, than classes, {CLASSES}",
    }
    assert found.pop("reason") == reasons[name] and set(found.values()) == {None}
