"""The verdict on frozen features: k-NN, linear probe, few labels; and k-NN on a part of the data during training."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import Data, Source, at_most, hold, inputs_of
from ssl_jax.evaluate.features import Embed, Features
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.knn import knn_accuracy
from ssl_jax.evaluate.linear import linear_probe, wilson_interval

PER_CLASS = 10


def judge(features: Features, *, seed: int = 0) -> dict[str, Any]:
    """Accuracies in [0, 1] on the test images; chance level 1/K for each.

    "knn" and "linear_probe", each with a 95 % "_interval" [low, high]; "few_label_probe" with 10 labels a class, and
    "few_label_probe_std", its deviation over five draws: both None where a class has fewer than 10 training images.
    """
    train, train_labels, test, test_labels, num_classes = features
    arrays = (train, train_labels, test, test_labels)
    nearest = float(jax.device_get(knn_accuracy(*arrays, num_classes=num_classes)))
    linear = linear_probe(*arrays, num_classes=num_classes, seed=seed)
    few = None
    if np.unique(train_labels, return_counts=True)[1].min() >= PER_CLASS:
        few = few_label_probe(*arrays, num_classes=num_classes, per_class=PER_CLASS, seed=seed)
    return {
        "knn": nearest,
        "knn_interval": list(wilson_interval(nearest, len(test))),
        "linear_probe": linear.accuracy,
        "linear_probe_interval": list(linear.interval),
        "few_label_probe": few and few.accuracy,
        "few_label_probe_std": few and few.deviation,
    }


def online_knn(
    embed: Embed, data: Data, *, mesh: Mesh, train_images: int = 2048, test_images: int = 512, chunk: int = 256
) -> Callable[[Any], dict[str, Array]]:
    """A hook for the trainer: `train state -> {"knn": accuracy}` on a part of the data that stays on the devices.

    One jitted program of `chunk` images at a time.
    """
    assert data.test is not None
    spread = NamedSharding(mesh, PartitionSpec(None, "data") if chunk % mesh.size == 0 else PartitionSpec())
    copied = NamedSharding(mesh, PartitionSpec())

    def on_devices(source: Source, size: int) -> tuple[Any, Array]:
        part = hold(at_most(source, size))
        whole = len(part["label"]) // chunk * chunk or len(part["label"])
        rows = min(chunk, whole)
        images = jax.tree.map(lambda array: array[:whole].reshape(-1, rows, *array.shape[1:]), inputs_of(part))
        where = spread if rows == chunk else copied
        return jax.device_put(images, where), jax.device_put(part["label"][:whole], copied)

    train, train_labels = on_devices(data.train, train_images)
    test, test_labels = on_devices(data.test, test_images)

    @jax.jit
    def accuracy(params: Any, state: Any, train: Any, train_labels: Array, test: Any, test_labels: Array) -> Array:
        train, test = (jax.lax.map(lambda part: embed(params, state, part), images) for images in (train, test))
        train, test = (rows.reshape(-1, rows.shape[-1]) for rows in (train, test))
        return knn_accuracy(train, train_labels, test, test_labels, num_classes=len(data.train.classes))

    return lambda state: {"knn": accuracy(state.params, state.state, train, train_labels, test, test_labels)}
