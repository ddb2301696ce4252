"""The results of frozen features: k-NN, linear probe, few labels; and k-NN on a part of the data during training."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import Data, Source, at_most, hold, inputs_of
from ssl_jax.data.source import Batch, unreadable_in
from ssl_jax.evaluate.features import Embed, Features, filled_up, round_up
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.knn import knn_accuracy
from ssl_jax.evaluate.linear import linear_probe, wilson_interval

PER_CLASS = 10


def judge(features: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracies in [0, 1] on the test images with a label; chance level 1/K for each.

    "knn" and "linear_probe", each with a 95 % "_interval" [low, high]; "few_label_probe" with 10 labels a class, and
    "few_label_probe_std", its deviation over five draws. None is what cannot be measured: all without a labelled training
    image or a labelled test image, "linear_probe" where no class has two training images, since one of them chooses its
    strength, "few_label_probe" where a class has fewer than 10.
    """
    train, train_labels, test, test_labels, num_classes = features
    arrays = (train, train_labels, test, test_labels)
    results = dict.fromkeys(
        ("knn", "knn_interval", "linear_probe", "linear_probe_interval", "few_label_probe", "few_label_probe_std")
    )
    if without_labels(features):
        return results
    examples = np.unique(train_labels[train_labels >= 0], return_counts=True)[1]
    nearest = float(jax.device_get(knn_accuracy(*arrays, num_classes=num_classes)))
    results |= {"knn": nearest, "knn_interval": list(wilson_interval(nearest, int((test_labels >= 0).sum())))}
    if examples.max() > 1:
        linear = linear_probe(*arrays, num_classes=num_classes, seed=seed)
        results |= {"linear_probe": linear.accuracy, "linear_probe_interval": list(linear.interval)}
    if examples.min() >= PER_CLASS:
        few = few_label_probe(*arrays, num_classes=num_classes, per_class=PER_CLASS, seed=seed)
        results |= {"few_label_probe": few.accuracy, "few_label_probe_std": few.deviation}
    return results


def without_labels(features: Features) -> list[str]:
    """The parts in which no image has a label: "training", "test", both or none of them."""
    parts = {"training": features.train_labels, "test": features.test_labels}
    return [part for part, labels in parts.items() if not (labels >= 0).any()]


def online_knn(
    embed: Embed, data: Data, *, mesh: Mesh, train_images: int = 2048, test_images: int = 512, chunk: int = 256
) -> Callable[[Any], dict[str, Array | float]]:
    """A hook for the trainer: `train state -> {"knn": accuracy}` on a part of the data that stays on the devices.

    One jitted program, `chunk` images at a time, rounded up to a multiple of the devices. Images without a label are left
    out; where no training or no test image has one, the accuracy is NaN.
    """
    assert data.test is not None
    parts = [_labelled_part(*part) for part in ((data.train, train_images), (data.test, test_images))]
    if not all(len(part["label"]) for part in parts):
        return lambda state: {"knn": math.nan}
    spread, copied = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((None, "data"), ()))

    def on_devices(part: Batch) -> tuple[Any, Array]:
        """Images in chunks, the last one filled up with copies of the last image, and the labels."""
        count = len(part["label"])
        rows = round_up(min(chunk, count), mesh.size)
        fill = partial(filled_up, size=round_up(count, rows))
        images = jax.tree.map(lambda array: fill(array).reshape(-1, rows, *array.shape[1:]), inputs_of(part))
        return jax.device_put(images, spread), jax.device_put(part["label"], copied)

    def features(params: Any, state: Any, chunks: Any, labels: Array) -> Array:
        rows = jax.lax.map(lambda images: embed(params, state, images), chunks)
        return rows.reshape(-1, rows.shape[-1])[: len(labels)]  # Without what fills up the last chunk.

    @jax.jit
    def accuracy(params: Any, state: Any, train: tuple[Any, Array], test: tuple[Any, Array]) -> Array:
        arrays = features(params, state, *train), train[1], features(params, state, *test), test[1]
        return knn_accuracy(*arrays, num_classes=len(data.classes))

    train, test = map(on_devices, parts)
    return lambda state: {"knn": accuracy(state.params, state.state, train, test)}


def _labelled_part(source: Source, size: int) -> Batch:
    sample = at_most(source, size)
    part = hold(sample)
    kept = part["label"] >= 0
    kept[list(unreadable_in(sample))] = False  # Others stand in for them.
    return {name: array[kept] for name, array in part.items()}
