"""Frozen features of a data set, computed once; every protocol then works on the same arrays.

N: training images; M: test images; B: images in a batch; D: size of a feature; K: classes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from numpy.typing import NDArray

from ssl_jax.augment.audio import log_spectrogram
from ssl_jax.data import Data, in_order, model_inputs, subsample
from ssl_jax.data.subsets import labelled
from ssl_jax.errors import pick
from ssl_jax.methods.method import Method

MOST_TRAINING_IMAGES = 60_000  # More change the accuracies little, and the probes' time is proportional to them.
Extractor = Callable[[Any, Any, Any], Array]


class Features(NamedTuple):
    """float32 `[N, D]`, int32 `[N]`, `[M, D]`, `[M]`, and the number of classes, in numpy; the label -1 means unlabelled."""

    train: NDArray[np.float32]
    train_labels: NDArray[np.int32]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int32]
    num_classes: int


def feature_extractor(method: Method, prepare: Callable[[Any], Any], *, layer: str = "features") -> Extractor:
    """`(params, state, uint8 images [B, H, W, C]) -> [B, D]` of that layer in float32, to be jitted.

    Spatial layers `[B, ..., D]` are mean-pooled. "Images" are the inputs that `model_inputs` takes from a batch, as
    everywhere in this file.
    """

    def extract(params: Any, state: Any, images: Any) -> Array:
        layers = method.features(params, state, jax.vmap(prepare)(images))
        features = layers[pick("layer", layer, layers)].astype(jnp.float32)
        return features.mean(axis=tuple(range(1, features.ndim - 1))) if features.ndim > 2 else features

    return extract


def pixels(params: Any, state: Any, images: Any) -> Array:
    """The images themselves as features, `[B, D]`: in [0, 1], the shorter side reduced to 32 if it is longer.

    For clips, every frame, and the spectrogram of their sound in 32 steps.
    """
    if isinstance(images, dict):
        audio = jax.vmap(partial(log_spectrogram, window=128, hop=images["audio"].shape[1] // 32))(images["audio"])
        return jnp.concatenate([pixels(params, state, images["image"]), audio.reshape(len(audio), -1)], axis=1)
    *before, height, width, channels = images.shape
    images = images.astype(jnp.float32) / 255
    if min(height, width) > 32:
        scale = 32 / min(height, width)
        shape = (*before, round(height * scale), round(width * scale), channels)
        images = jax.image.resize(images, shape, "linear", antialias=True)
    return images.reshape(len(images), -1)


def compute_features(
    extract: Extractor, params: Any, state: Any, data: Data, *, mesh: Mesh | None = None, batch_size: int = 512
) -> Features:
    """Features of the training images and of the test images.

    At most 60,000 training images are used, labelled ones only where any has a label.

    Args:
      extract: pure; jitted by this function. params, state: the first arguments of `extract`, on the devices of `mesh`.
      data: data with a test part.
      mesh: the images of a batch are spread over its axis "data"; on the default device when None.
    """
    assert data.test is not None
    run = partial(jax.jit(extract), params, state)
    sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
    train = data.train if len(data.train) <= MOST_TRAINING_IMAGES else labelled(data.train)
    sources = subsample(train, MOST_TRAINING_IMAGES), data.test
    of_train, of_test = (
        features_of(run, in_order(source, batch_size=batch_size), sharding=sharding) for source in sources
    )
    return Features(*of_train, *of_test, len(data.classes))


def features_of(
    extract: Callable[[Any], Array], batches: Iterable[Mapping[str, NDArray[Any]]], *, sharding: Sharding | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Features `[N, D]` and labels `[N]` of all images of the batches, in their order, in host memory.

    Args:
      extract: jitted, images `[B, ...]` -> `[B, D]`.
      batches: `{"image": [B, ...], "label": [B], ...}` in numpy. `extract` is compiled for the size of the first; a
        smaller one is padded to it, and the padding is removed from the result.
      sharding: sharding of the images, their leading axis over the devices; the default device when None.

    Raises:
      ValueError: no batch, a batch that is larger than the first, or an output that is not `[B, D]`.
    """
    sharding = sharding or SingleDeviceSharding(jax.local_devices()[0])
    features, labels, waiting = [], [], deque[tuple[Array, int]]()
    size = 0
    for batch in batches:
        count = len(batch["image"])
        size = size or round_up(count, len(sharding.device_set))
        images = jax.tree.map(partial(filled_up, size=size), model_inputs(batch))
        rows = extract(jax.device_put(images, sharding))
        if rows.ndim != 2:
            raise ValueError(f"features_of: extract must give [B, D], got {rows.shape}: pool the spatial axes.")
        waiting.append((rows, count))
        labels.append(np.asarray(batch["label"], np.int32))
        if len(waiting) > 1:  # Fetch one batch while the next is computed.
            features.append(_fetch(*waiting.popleft()))
    if not waiting:
        raise ValueError("features_of: got no batches, expected at least one: give a source that has images.")
    features.append(_fetch(*waiting.popleft()))
    return np.concatenate(features), np.concatenate(labels)


def round_up(count: int, pieces: int) -> int:
    """The next multiple of `pieces`, `count` itself where it is one."""
    return -(-count // pieces) * pieces


def filled_up(images: NDArray[Any], *, size: int) -> NDArray[Any]:
    """The images, and copies of the last one up to `size`."""
    missing = size - len(images)
    if missing < 0:
        raise ValueError(
            f"features_of: a batch of {len(images)} images came after one of {size}: put the largest first."
        )
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def _fetch(rows: Array, count: int) -> NDArray[np.float32]:
    return np.asarray(jax.device_get(rows)[:count], np.float32)
