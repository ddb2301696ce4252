"""Frozen features of a data set, computed once; every judge then works on the same arrays.

N: training images; M: test images; D: size of a feature; K: classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import Data, Source, in_order
from ssl_jax.methods.method import Method

MOST_TRAINING_IMAGES = 60_000  # Probes of all strengths are solved at once: this is what they have memory for.
Embed = Callable[[Any, Any, Array], Array]


class Features(NamedTuple):
    """float32 `[N, D]`, int32 `[N]`, `[M, D]`, `[M]`, and the number of classes; numpy arrays."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    num_classes: int


class Subset:
    """Some of a source's images, evenly spaced over it."""

    def __init__(self, source: Source, size: int):
        self._source, self._rows = source, np.linspace(0, len(source) - 1, size).astype(int)
        self.name, self.classes, self.image_shape = source.name, source.classes, source.image_shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._source[int(self._rows[index])]


def at_most(source: Source, size: int) -> Source:
    """The source, or an evenly spaced part of it."""
    return source if len(source) <= size else Subset(source, size)


def embedding_of(method: Method, prepare: Callable[[Array], Array]) -> Embed:
    """`(params, state, uint8 images [B, H, W, C]) -> "features" [B, D]` in float32, to be jitted."""

    def embed(params: Any, state: Any, images: Array) -> Array:
        return method.embed(params, state, jax.vmap(prepare)(images))["features"].astype(jnp.float32)

    return embed


def pixels(params: Any, state: Any, images: Array) -> Array:
    """The images themselves as features, `[B, D]`: grey levels in [0, 1], the shorter side reduced to 32 if it is longer."""
    size, height, width, channels = images.shape
    images = images.astype(jnp.float32) / 255
    if min(height, width) > 32:
        scale = 32 / min(height, width)
        shape = (size, round(height * scale), round(width * scale), channels)
        images = jax.image.resize(images, shape, "linear", antialias=True)
    return images.reshape(size, -1)


def compute_features(
    embed: Embed, params: Any, state: Any, data: Data, *, mesh: Mesh | None = None, batch_size: int = 512
) -> Features:
    """Features of the training images (at most 60,000, evenly spaced) and of the test images.

    Args:
      embed: pure; jitted here. params, state: its first arguments, on the devices of `mesh`.
      data: with a labelled test part.
      mesh: the images of a batch are spread over its axis "data"; on the default device when None.
    """
    assert data.test is not None
    run = jax.jit(embed)
    sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
    batch_size = batch_size if mesh is None else -(-batch_size // mesh.size) * mesh.size

    def features(source: Source) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = [], []
        for batch in in_order(source, batch_size=batch_size):
            missing = batch_size - len(batch["image"])  # The last batch is filled up, so that one program serves all.
            images = np.pad(batch["image"], [(0, missing), *[(0, 0)] * 3])
            embedded = run(params, state, jax.device_put(images, sharding))
            rows.append(jax.device_get(embedded)[: batch_size - missing])
            labels.append(batch["label"])
        return np.concatenate(rows), np.concatenate(labels)

    train, test = features(at_most(data.train, MOST_TRAINING_IMAGES)), features(data.test)
    return Features(*train, *test, len(data.train.classes))
