"""Frozen features of a data set, computed once; every protocol then works on the same arrays.

N: training images; M: test images; B: images in a batch; D: size of a feature; K: classes.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from numpy.typing import NDArray

from ssl_jax.augment.audio import log_spectrogram
from ssl_jax.data import Data, Source, in_order, model_inputs, subsample
from ssl_jax.data.subsets import labelled
from ssl_jax.errors import pick
from ssl_jax.evaluate.crops import Augmentation
from ssl_jax.evaluate.pooling import POOLED, patch_grid, pool_layer
from ssl_jax.methods.method import Method
from ssl_jax.ops.convolution import compiler_options

MOST_TRAINING_IMAGES = 60_000  # More change the accuracies little, and the probes' time is proportional to them.
Extractor = Callable[[Any, Any, Any], Array]
LayerExtractor = Callable[[Any, Any, Any], dict[str, Array]]
Encode = Callable[..., tuple[Any, NDArray[np.int32]]]  # `encode`, or a function of the same arguments.


class Features(NamedTuple):
    """float32 `[N, D]`, int32 `[N]`, `[M, D]`, `[M]`, and the number of classes, in numpy; the label -1 means unlabelled."""

    train: NDArray[np.float32]
    train_labels: NDArray[np.int32]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int32]
    num_classes: int


class Network(NamedTuple):
    """A frozen network and its data, for protocols that need more than features.

    extract: `(params, state, uint8 images) -> [B, D]`, as `feature_extractor` makes it. params, state: its first arguments, on
      the devices of `mesh`.
    data: data with a test part.
    mesh: batches are sharded over its axis "data"; the default device when None.
    augment, epochs: of training on the images, where a protocol trains; None for images without augmentation.
    maps: `(params, state, uint8 images) -> [B, h, w, D]`, as `ssl_jax.evaluate.patches.map_extractor` makes it, for protocols
      about patches.
    """

    extract: Extractor
    params: Any
    state: Any
    data: Data
    mesh: Mesh | None = None
    augment: Augmentation | None = None
    epochs: float = 100
    maps: Extractor | None = None

    @property
    def sharding(self) -> Sharding | None:
        """Of a batch; None for the default device."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec("data"))

    def batch_size(self, images: int) -> int:
        """The largest multiple of the devices that is at most this number of images, but at least one for each device."""
        devices = 1 if self.mesh is None else self.mesh.size
        return max(1, images // devices) * devices


def feature_extractor(method: Method, prepare: Callable[[Any], Any], *, layer: str = "features") -> Extractor:
    """`(params, state, uint8 images [B, H, W, C]) -> [B, D]` of that layer in float32, to be jitted.

    Spatial layers `[B, ..., D]` are mean-pooled. "Images" are the inputs that `model_inputs` takes from a batch, as
    everywhere in this file.

    Example:
      >>> net = as_encoder((lambda rng: {}, lambda params, images: images.mean((1, 2))), image_shape=(8, 8, 3))
      >>> extract = feature_extractor(EncoderOnly(net), lambda image: image / 255)
      >>> print(extract({"encoder": {}}, {"encoder": {}}, jnp.zeros((2, 8, 8, 3), jnp.uint8)).shape)
      (2, 3)
    """

    def extract(params: Any, state: Any, images: Any) -> Array:
        layers = method.features(params, state, jax.vmap(prepare)(images))
        features = layers[pick("layer", layer, layers)].astype(jnp.float32)
        return features.mean(axis=tuple(range(1, features.ndim - 1))) if features.ndim > 2 else features

    return extract


def layer_extractor(
    method: Method, prepare: Callable[[Any], Any], *, layers: Sequence[str] = (), size: int = POOLED
) -> LayerExtractor:
    """`(params, state, uint8 images [B, H, W, C]) -> {layer: [B, D]}` in order of depth, to be jitted.

    Args:
      layers: names of layers; all when empty.
      size: largest number of values of a layer; larger ones are pooled to a grid, see `pool_layer`.

    Example:
      >>> net = as_encoder((lambda rng: {}, lambda params, images: {"colors": images}), image_shape=(8, 8, 3))
      >>> extract = layer_extractor(EncoderOnly(net), lambda image: image / 255)
      >>> layers = extract({"encoder": {}}, {"encoder": {}}, jnp.zeros((2, 8, 8, 3), jnp.uint8))
      >>> print({name: layer.shape for name, layer in layers.items()})
      {'colors': (2, 192), 'features': (2, 3)}
    """

    def extract(params: Any, state: Any, images: Any) -> dict[str, Array]:
        images = jax.vmap(prepare)(images)
        found = method.features(params, state, images)
        names = {pick("layer", name, found) for name in layers} or found.keys()
        patches = patch_grid(method.backbone(params, state), images)
        pool = partial(pool_layer, patches=patches, size=size)
        return OrderedDict((name, pool(layer)) for name, layer in found.items() if name in names)

    return extract


def pixels(params: Any, state: Any, images: Any) -> Array:
    """The images themselves as features, `[B, D]`: in [0, 1], the shorter side reduced to 32 if it is longer.

    For clips, every frame, and the spectrogram of their sound in 32 steps.

    Example:
      >>> print(pixels(None, None, jnp.zeros((2, 8, 8, 3), jnp.uint8)).shape)
      (2, 192)
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


def encode(
    extract: Callable[[Any, Any, Any], Any],
    params: Any,
    state: Any,
    source: Source,
    *,
    mesh: Mesh | None = None,
    batch_size: int = 512,
) -> tuple[Any, NDArray[np.int32]]:
    """Features and labels of the readable examples of a source, in their order, as `features_of` returns them.

    Args:
      extract, params, state, mesh, batch_size: as in `compute_features`; `extract` may also return a dict of layers.

    Example:
      >>> source = as_source((np.zeros((5, 8, 8, 3), np.uint8), np.arange(5)))
      >>> features, labels = encode(pixels, None, None, source)
      >>> print(features.shape, labels)
      (5, 192) [0 1 2 3 4]
    """
    run = compiled(extract, params, state)
    sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
    return features_of(run, in_order(source, batch_size=batch_size), sharding=sharding)


def compute_features(
    extract: Extractor,
    params: Any,
    state: Any,
    data: Data,
    *,
    mesh: Mesh | None = None,
    batch_size: int = 512,
    encode: Encode = encode,
    train_images: int = MOST_TRAINING_IMAGES,
) -> Features:
    """Features of the training images and of the test images; without these, those of the training images are both.

    Host memory: 4 bytes for each value of each image.

    Args:
      extract: pure; jitted by this function. params, state: the first arguments of `extract`, on the devices of `mesh`.
      data: the images.
      mesh: the images of a batch are spread over its axis "data"; on the default device when None.
      encode: as the function of this name; one that keeps what it computed may take its place.
      train_images: the largest number of training images that are used. Of more, labelled ones only where any has a label,
        in proportion to the classes.

    Example:
      >>> data = open_data("synthetic", image_size=8)
      >>> print(compute_features(pixels, None, None, data).train.shape)
      (512, 192)
    """
    sources = _evaluated(data, train_images)
    parts = [encode(extract, params, state, part, mesh=mesh, batch_size=batch_size) for part in sources]
    (train, train_labels), (test, test_labels) = parts[0], parts[-1]
    return Features(train, train_labels, test, test_labels, len(data.classes))


def compute_layers(
    extract: LayerExtractor,
    params: Any,
    state: Any,
    data: Data,
    *,
    mesh: Mesh | None = None,
    batch_size: int = 512,
    encode: Encode = encode,
    train_images: int = MOST_TRAINING_IMAGES,
) -> dict[str, Features]:
    """The features of each layer that `extract` returns, in one pass over the images; otherwise as `compute_features`.

    Host memory: 4 bytes for each value of each layer and image.

    Example:
      >>> data = open_data("synthetic", image_size=8)
      >>> layers = compute_layers(lambda params, state, images: {"pixels": pixels(params, state, images)}, None, None, data)
      >>> print(layers["pixels"].test.shape)
      (256, 192)
    """
    sources = _evaluated(data, train_images)
    parts = [encode(extract, params, state, part, mesh=mesh, batch_size=batch_size) for part in sources]
    (of_train, train_labels), (of_test, test_labels) = parts[0], parts[-1]
    classes = len(data.classes)
    return {name: Features(of_train[name], train_labels, of_test[name], test_labels, classes) for name in of_train}


def few_of(data: Data, train_images: int = MOST_TRAINING_IMAGES) -> str | None:
    """A sentence where the features of only a part of the training images are computed; None where it is all of them.

    Example:
      >>> print(few_of(open_data("synthetic", image_size=8)))
      None
    """
    used = len(_evaluated(data, train_images)[0])
    if used == len(data.train):
        return None
    count = f"{used:,} of {len(data.train):,}"
    return f"{data.name}: features of {count} training images are evaluated; the protocol linear_sgd takes all"


def _evaluated(data: Data, train_images: int) -> list[Source]:
    """The training images and the test images, if there are any, whose features are computed."""
    train = data.train if len(data.train) <= train_images else labelled(data.train)
    return [subsample(train, train_images), *([data.test] if data.test else [])]


def compiled(extract: Callable[[Any, Any, Any], Any], params: Any, state: Any) -> Callable[[Any], Any]:
    """`images -> extract(params, state, images)`, jitted with the compiler's options for a network of these parameters.

    Example:
      >>> extract = compiled(pixels, None, None)
      >>> print(extract(jnp.zeros((2, 8, 8, 3), jnp.uint8)).shape)
      (2, 192)
    """
    return partial(jax.jit(extract, compiler_options=compiler_options(params)), params, state)


def features_of(
    extract: Callable[[Any], Any], batches: Iterable[Mapping[str, NDArray[Any]]], *, sharding: Sharding | None = None
) -> tuple[Any, NDArray[np.int32]]:
    """Features `[N, D]` and labels `[N]` of all images of the batches, in their order, in host memory.

    Args:
      extract: jitted, images `[B, ...]` -> `[B, D]`, or a dict of such arrays, which makes the features a dict.
      batches: `{"image": [B, ...], "label": [B], ...}` in numpy. `extract` is compiled for the size of the first; a
        smaller one is padded to it, and the padding is removed from the result.
      sharding: sharding of the images, their leading axis over the devices; the default device when None.

    Raises:
      ValueError: no batch, a batch that is larger than the first, or an output that is not `[B, D]`.

    Example:
      >>> batches = [{"image": np.ones((2, 3), np.float32), "label": np.array([0, 1])}]
      >>> features, labels = features_of(jax.jit(lambda images: 2 * images), batches)
      >>> print(features, labels)
      [[2. 2. 2.]
       [2. 2. 2.]] [0 1]
    """
    sharding = sharding or SingleDeviceSharding(jax.local_devices()[0])
    features, labels, waiting = [], [], deque[tuple[Any, int]]()
    size = 0
    for batch in batches:
        count = len(batch["image"])
        size = size or round_up(count, len(sharding.device_set))
        images = jax.tree.map(partial(filled_up, size=size), model_inputs(batch))
        rows = extract(jax.device_put(images, sharding))
        for leaf in jax.tree.leaves(rows):
            if leaf.ndim != 2:
                raise ValueError(f"features_of: extract must give [B, D], got {leaf.shape}: pool the spatial axes.")
        waiting.append((rows, count))
        labels.append(np.asarray(batch["label"], np.int32))
        if len(waiting) > 1:  # Fetch one batch while the next is computed.
            features.append(_fetch(*waiting.popleft()))
    if not waiting:
        raise ValueError("features_of: got no batches, expected at least one: give a source that has images.")
    features.append(_fetch(*waiting.popleft()))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *features), np.concatenate(labels)


def round_up(count: int, pieces: int) -> int:
    """The next multiple of `pieces`, `count` itself where it is one.

    Example:
      >>> print(round_up(5, 4), round_up(8, 4))
      8 8
    """
    return -(-count // pieces) * pieces


def filled_up(images: NDArray[Any], *, size: int) -> NDArray[Any]:
    """The images, and copies of the last one up to `size`.

    Example:
      >>> print(filled_up(np.arange(3), size=5))
      [0 1 2 2 2]
    """
    missing = size - len(images)
    if missing < 0:
        raise ValueError(
            f"features_of: a batch of {len(images)} images came after one of {size}: put the largest first."
        )
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def _fetch(rows: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf[:count], np.float32), jax.device_get(rows))
