"""k-NN and a linear probe on a part of the data during training."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import Data, Source, load_into_memory, model_inputs, subsample
from ssl_jax.data.source import Batch, unreadable_in
from ssl_jax.data.subsets import labelled
from ssl_jax.evaluate.features import Extractor, filled_up, round_up
from ssl_jax.evaluate.knn import knn_accuracy
from ssl_jax.evaluate.ridge import ridge_accuracy


def online_probes(
    extract: Extractor, data: Data, *, mesh: Mesh, train_images: int = 2048, test_images: int = 512, chunk: int = 256
) -> Callable[[Any], dict[str, Array | float]]:
    """A hook for the trainer: `train state -> {"knn": accuracy, "linear": accuracy}` on a part of the data.

    The part stays on the devices. One jitted program encodes the images, `chunk` at a time, rounded up to a multiple of the
    devices, for both probes. Images without a label are left out; where no training image or no test image has one, the
    accuracies are NaN. The linear probe is `ridge_accuracy`.
    """
    assert data.test is not None
    parts = [_labelled_part(*part) for part in ((data.train, train_images), (data.test, test_images))]
    if not all(len(part["label"]) for part in parts):
        return lambda state: {"knn": math.nan, "linear": math.nan}
    spread, copied = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((None, "data"), ()))

    def on_devices(part: Batch) -> tuple[Any, Array]:
        """Images in chunks, the last one padded with copies of the last image, and the labels."""
        count = len(part["label"])
        rows = round_up(min(chunk, count), mesh.size)
        fill = partial(filled_up, size=round_up(count, rows))
        images = jax.tree.map(lambda array: fill(array).reshape(-1, rows, *array.shape[1:]), model_inputs(part))
        return jax.device_put(images, spread), jax.device_put(part["label"], copied)

    def features(params: Any, state: Any, chunks: Any, labels: Array) -> Array:
        rows = jax.lax.map(lambda images: extract(params, state, images), chunks)
        return rows.reshape(-1, rows.shape[-1])[: len(labels)]  # Without the padding of the last chunk.

    @jax.jit
    def accuracies(params: Any, state: Any, train: tuple[Any, Array], test: tuple[Any, Array]) -> dict[str, Array]:
        arrays = features(params, state, *train), train[1], features(params, state, *test), test[1]
        classes = len(data.classes)
        return {
            "knn": knn_accuracy(*arrays, num_classes=classes),
            "linear": ridge_accuracy(*arrays, num_classes=classes),
        }

    train, test = map(on_devices, parts)
    return lambda state: dict(accuracies(state.params, state.method_state, train, test))


def _labelled_part(source: Source, size: int) -> Batch:
    sample = subsample(labelled(source), size)
    part = load_into_memory(sample)
    kept = part["label"] >= 0
    kept[list(unreadable_in(sample))] = False  # Other images replace them.
    return {name: array[kept] for name, array in part.items()}
