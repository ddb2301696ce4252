"""The verdict is the judges' own, as JSON numbers; the online k-NN agrees with the one after training."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from blobs import CLASSES, problem
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.data import ArraySource, Data
from ssl_jax.evaluate import few_label_probe, judge, knn_accuracy, linear_probe
from ssl_jax.evaluate.features import Features, compute_features, pixels
from ssl_jax.evaluate.judge import online_knn

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


@pytest.mark.parametrize("chunk", [8, 6])  # shared by the devices, or copied to each
def test_online_knn_agrees_with_knn_on_features(chunk):
    generator = np.random.default_rng(0)
    labels = np.arange(48, dtype=np.int32) % CLASSES
    images = generator.integers(0, 150, (48, 4, 4, 1))
    images += 50 * labels[:, None, None, None] * np.eye(4, dtype=int)[..., None]
    source = ArraySource("test", ("a", "b", "c"), images.astype(np.uint8), labels)
    data = Data("test", source, ArraySource("test", source.classes, source.images[::2], labels[::2]))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    nothing = jax.device_put(np.float32(0), NamedSharding(mesh, PartitionSpec()))
    hook = online_knn(pixels, data, mesh=mesh, chunk=chunk)
    with jax.transfer_guard("disallow"):
        found = jax.device_get(hook(SimpleNamespace(params=nothing, state=nothing)))["knn"]
    *arrays, _ = compute_features(pixels, None, None, data)
    assert found == pytest.approx(float(knn_accuracy(*arrays, num_classes=CLASSES)))
    assert 1 / CLASSES < found
