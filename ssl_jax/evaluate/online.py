"""k-NN, a linear probe and nearest neighbours on a part of the data during training.

q: queries; k: neighbours of each.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from ssl_jax.augment.video import sight
from ssl_jax.data import Data, Source, load_into_memory, model_inputs, subsample
from ssl_jax.data.source import Batch, unreadable_in
from ssl_jax.data.subsets import labelled
from ssl_jax.evaluate.features import Extractor, filled_up, round_up
from ssl_jax.evaluate.knn import knn_accuracy
from ssl_jax.evaluate.ridge import ridge_accuracy
from ssl_jax.ops.normalize import unit_length

QUERIES, NEIGHBORS, SIDE = 8, 8, 64  # Shown: q, k, and the pixels of the longer side.
UNLABELLED = 256  # Images among which neighbours are shown without labels, queries included.
UNKNOWN = {"knn": math.nan, "linear": math.nan}


def online_probes(
    extract: Extractor,
    data: Data,
    *,
    mesh: Mesh,
    train_images: int = 2048,
    test_images: int = 512,
    chunk: int = 256,
    draw: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> Callable[[Any], dict[str, Any]]:
    """A hook for the trainer: `train state -> {"knn": accuracy, "linear": accuracy}` on a part of the data.

    The part stays on the devices. One jitted program encodes the images, `chunk` at a time, rounded up to a multiple of the
    devices, for both probes. Images without a label are left out; where no training image or no test image has one, the
    accuracies are NaN. The linear probe is `ridge_accuracy`. Without test images there are no accuracies.

    draw: makes one image, uint8 `[H, W, 3]`, of test images and the training images nearest to each, uint8
      `[q, 1 + k, h, w, C]`; the hook returns it as "neighbors". Where there are no labels, training images take the place of
      the test images.
    """
    train, test, evaluated = _parts(data, train_images, test_images)
    unknown = UNKNOWN if data.test and not evaluated else {}
    if not evaluated and (draw is None or not len(train["label"])):
        return lambda state: dict(unknown)
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

    @partial(jax.jit, out_shardings=copied)
    def measured(params: Any, state: Any, train: tuple[Any, Array], test: tuple[Any, Array]) -> dict[str, Array]:
        keys, queries = features(params, state, *train), features(params, state, *test)
        given, classes, found = (keys, train[1], queries, test[1]), len(data.classes), {}
        if evaluated:
            found["knn"] = knn_accuracy(*given, num_classes=classes)
            found["linear"] = ridge_accuracy(*given, num_classes=classes)
        if draw:
            found["neighbors"] = nearest_images(keys, train[0], queries, test[0])
        return found

    parts = on_devices(train), on_devices(test)

    def hook(state: Any) -> dict[str, Any]:
        found = unknown | measured(state.params, state.method_state, *parts)
        return found | {"neighbors": draw(jax.device_get(found["neighbors"]))} if draw else found

    return hook


def nearest_images(keys: Array, images: Any, queries: Array, query_images: Any) -> Array:
    """Some queries, evenly spaced, each before its nearest images by cosine similarity: uint8 `[q, 1 + k, h, w, C]`.

    Args:
      keys, queries: features `[N, D]` and `[M, D]`.
      images, query_images: inputs in chunks, `[c, B, ...]`, at least N and M of them. A clip is shown by its middle frame.
    """
    rows = np.linspace(0, len(queries) - 1, min(QUERIES, len(queries))).round().astype(np.int32)
    cosines = unit_length(queries[rows]) @ unit_length(keys).T  # [q, N]
    _, nearest = jax.lax.top_k(cosines, min(NEIGHBORS, len(keys)))
    return jnp.concatenate([_shown(query_images, rows[:, None]), _shown(images, nearest)], axis=1)


def _shown(chunks: Any, rows: Any) -> Array:
    """The images `[q, k, h, w, C]` of these rows `[q, k]`, reduced where they are large."""
    images = sight(chunks)
    found = images[rows // images.shape[1], rows % images.shape[1]]
    found = found[:, :, found.shape[2] // 2] if found.ndim == 6 else found
    *before, height, width, channels = found.shape
    if max(height, width) <= SIDE:
        return found
    height, width = (max(1, round(side * SIDE / max(height, width))) for side in (height, width))
    reduced = jax.image.resize(found.astype(jnp.float32), (*before, height, width, channels), "linear")
    return jnp.round(reduced).astype(jnp.uint8)


def _parts(data: Data, train_images: int, test_images: int) -> tuple[Batch, Batch, bool]:
    """Training images, test images, and whether both have labels; else both are training images, without their labels."""
    if data.test:
        train, test = _labelled_part(data.train, train_images), _labelled_part(data.test, test_images)
        if len(train["label"]) and len(test["label"]):
            return train, test, True
    some = _readable_part(subsample(data.train, UNLABELLED))
    count = len(some["label"])
    apart = np.arange(count) % max(2, count // QUERIES) == 0
    return _rows(some, ~apart), _rows(some, apart), False


def _labelled_part(source: Source, size: int) -> Batch:
    part = _readable_part(subsample(labelled(source), size))
    return _rows(part, part["label"] >= 0)


def _readable_part(sample: Source) -> Batch:
    """Without the unreadable images, which other images replace."""
    part = load_into_memory(sample)
    kept = np.ones(len(sample), bool)
    kept[list(unreadable_in(sample))] = False
    return _rows(part, kept)


def _rows(part: Batch, kept: NDArray[np.bool_]) -> Batch:
    return {name: array[kept] for name, array in part.items()}
