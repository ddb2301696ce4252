"""Features of the patches of images, and the class of each patch from the masks.

N: images; h x w: cells of a feature map, the patches of a vision transformer or the positions of a convolutional layer; D: size
of their features; H x W: pixels of a mask; K: classes of the masks, the background, class 0, included. A pixel of 255 (`VOID`)
is unknown and counted nowhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.data import Source, in_order, model_inputs, subsample
from ssl_jax.data.source import masks_of
from ssl_jax.errors import UsageError, pick
from ssl_jax.evaluate.features import Extractor, Network, compiled, features_of
from ssl_jax.evaluate.pooling import patch_grid, token_map
from ssl_jax.methods.method import Method
from ssl_jax.ops.checks import check_arrays, check_count, check_integers

VOID = 255
BACKGROUND = "background"
MOST_CELLS = 20_000  # Of training images: the probes' time is proportional to them.
LARGEST_CELL = 8  # Pixels on a side of the cells of the pixels as features.


class Patches(NamedTuple):
    """Feature maps `[N, h, w, D]` float32 and masks `[N, H, W]` uint8 of the same images."""

    maps: NDArray[np.float32]
    masks: NDArray[np.uint8]


def map_extractor(method: Method, prepare: Callable[[Any], Any], *, layer: str = "features") -> Extractor:
    """`(params, state, uint8 images [B, H, W, C]) -> [B, h, w, D]` of that layer in float32, to be jitted.

    Tokens of a vision transformer are its patches, without the tokens before them. "features", which are a vector, stand for
    the last layer that is a map.

    Raises:
      UsageError: when traced, an unknown layer, or one that is no map.
    """

    def extract(params: Any, state: Any, images: Any) -> Array:
        images = jax.vmap(prepare)(images)
        layers = method.features(params, state, images)
        patches = patch_grid(method.backbone(params, state), images)
        maps = {name: token_map(found, patches=patches) for name, found in layers.items()}
        maps = {name: found for name, found in maps.items() if found.ndim == 4}
        if not maps or (layer != "features" and pick("layer", layer, layers) not in maps):
            raise UsageError(f"layer: patches need a map of features, got {layer} of one vector: choose another layer.")
        return maps.get(layer, list(maps.values())[-1]).astype(jnp.float32)

    return extract


def pixel_maps(grid: tuple[int, int]) -> Extractor:
    """The pixels of each cell as its features, `[B, h, w, D]` in [0, 1]; cells above 8 x 8 pixels are reduced to that."""

    def extract(params: Any, state: Any, images: Array) -> Array:
        side = max(1, min(images.shape[1] // grid[0], LARGEST_CELL))
        size = (len(images), grid[0] * side, grid[1] * side, images.shape[-1])
        images = jax.image.resize(images.astype(jnp.float32) / 255, size, "linear", antialias=True)
        cells = images.reshape(len(images), grid[0], side, grid[1], side, -1)
        return cells.transpose(0, 1, 3, 2, 4, 5).reshape(len(images), *grid, -1)

    return extract


def map_shape(network: Network, source: Source) -> tuple[int, int, int]:
    """h, w and D of the network's maps of the images of a source."""
    assert network.maps is not None
    images = jax.tree.map(lambda array: np.asarray(array)[None], model_inputs(source[0]))
    _, *shape = jax.eval_shape(network.maps, network.params, network.state, images).shape
    return (shape[0], shape[1], shape[2])


def read_patches(network: Network, source: Source, *, most: int | None = None) -> Patches:
    """The maps and the masks of the images of a source, or of a representative part with at most `most` images.

    Raises:
      UsageError: the source has no masks.
    """
    source = source if most is None else subsample(source, most)
    masks = masks_of(source)
    if masks is None:
        raise UsageError(_without_masks(source))
    shape, indices = map_shape(network, source), []
    run = compiled(_flattened(network.maps), network.params, network.state)

    def batches() -> Any:
        for batch in in_order(source, batch_size=256):
            indices.extend(batch["index"].tolist())
            yield batch

    rows, _ = features_of(run, batches(), sharding=network.sharding)
    return Patches(rows.reshape(-1, *shape), np.stack([masks(index) for index in indices]))


def most_images(network: Network) -> int:
    """The number of training images with `MOST_CELLS` cells in all, at least ten."""
    height, width, _ = map_shape(network, network.data.train)
    return max(10, MOST_CELLS // (height * width))


def checked_maps(network: Network, *, prepare: Callable[[Any], Any]) -> tuple[int, int]:
    """The cells h and w of the network's maps, after checks that masks fit the images that it sees.

    Raises:
      UsageError: no masks, clips, or an evaluation view that leaves out the border of the images, which the masks have.
    """
    source = network.data.train
    if len(source.image_shape) != 3 or masks_of(source) is None:
        raise UsageError(_without_masks(source))
    black = np.zeros(source.image_shape, np.uint8)
    frame = black.copy()
    frame[[0, -1]], frame[:, [0, -1]] = 255, 255
    shown = jax.jit(jax.vmap(prepare))(np.stack([black, frame]))
    if np.array_equal(*jax.device_get(shown)):
        raise UsageError(
            "protocols: the run's evaluation view is a crop, whose patches the masks of whole images do not fit: leave "
            "stored_size out of its recipe."
        )
    return map_shape(network, source)[:2]


def _without_masks(source: Source) -> str:
    return f"protocols: patches are evaluated with masks, which {source.name} has not: choose data with masks, such as scenes."


def cell_labels(masks: NDArray[np.integer], grid: tuple[int, int], *, num_classes: int) -> NDArray[np.int32]:
    """The class of most of the pixels of each cell, `[N, H, W]` -> `[N, h, w]`; the smallest among equals, -1 for void alone.

    Row i of the pixels belongs to the row of cells floor(i h / H).

    Example: `cell_labels(np.array([[[0, 2], [2, 1]]]), (1, 1), num_classes=3)` is `[[[2]]]`.
    """
    starts = [-(-np.arange(cells) * length // cells) for cells, length in zip(grid, masks.shape[1:], strict=True)]
    counts = [
        np.add.reduceat(np.add.reduceat(masks == label, starts[0], axis=1, dtype=np.int32), starts[1], axis=2)
        for label in range(num_classes)
    ]
    stacked = np.stack(counts, axis=-1)
    return np.where(stacked.any(axis=-1), stacked.argmax(axis=-1), -1).astype(np.int32)


def check_patches(
    function: str,
    train_maps: NDArray[Any],
    train_masks: NDArray[Any],
    test_maps: NDArray[Any],
    test_masks: NDArray[Any],
    *,
    num_classes: int,
) -> None:
    """Maps and masks of one number of images each, no mask smaller than its map, and classes below K."""
    check_count(function, least=2, num_classes=num_classes)
    for maps, masks in ((train_maps, train_masks), (test_maps, test_masks)):
        check_arrays(function, maps=maps)
        check_integers(function, masks=masks)
        if not np.isfinite(maps).all():
            raise ValueError(f"{function}: maps must be finite, got NaN or infinity.")
        sizes = len(maps.shape) == 4 and len(masks.shape) == 3 and 0 not in maps.shape and len(maps) == len(masks)
        if not sizes or masks.shape[1] < maps.shape[1] or masks.shape[2] < maps.shape[2]:
            raise ValueError(
                f"{function}: needs maps [N, h, w, D] and masks [N, H, W] of at least h x w pixels, got {maps.shape} and "
                f"{masks.shape}."
            )
        known = masks[masks != VOID]
        if not known.size or known.min() < 0 or known.max() >= num_classes:
            raise ValueError(
                f"{function}: masks must be from 0 to {num_classes - 1}, or {VOID}, and not all of them {VOID}, got "
                f"{masks.min()} to {masks.max()}."
            )
    if train_maps.shape[1:] != test_maps.shape[1:]:
        raise ValueError(
            f"{function}: maps must be of one shape, got {train_maps.shape[1:]} and {test_maps.shape[1:]}."
        )


def _flattened(extract: Extractor | None) -> Extractor:
    """The maps of an image as one row, which `features_of` takes."""
    assert extract is not None
    return lambda params, state, images: (maps := extract(params, state, images)).reshape(len(maps), -1)
