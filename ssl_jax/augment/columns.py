"""Views of photographs for one image at a time on a CPU: crops by the few pixels that have a weight, and branches.

`geometry.crop_and_resize` multiplies by matrices that are mostly zeros, which is what accelerators are good at. Here whole rows
of the image are added, one for each tap of the kernel, in a loop of as many taps as the box needs: two where it is enlarged.
Loops separate the passes over the image, which XLA would otherwise fuse, and compute again for each tap of the next.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.augment.blur import random_blur_of_rows
from ssl_jax.augment.chance import Range, Size
from ssl_jax.augment.color import random_color_jitter, random_grayscale, random_solarize
from ssl_jax.augment.geometry import Kernel, keys_cubic, sample_crop_box

FLIP = 0.5  # The probability of `random_flip`.

BLOCK = 32  # Rows that are transposed at once.


def crop_by_columns(
    image: Array,
    box: Array,
    mirrored: Array,
    *,
    size: Size,
    kernel: Kernel = "linear",
    antialias: bool = True,
) -> Array:
    """`crop_and_resize`, flipped horizontally where `mirrored`, as `[width, C, height]`: columns of channels.

    The axes are in the order in which the last pass makes them. It suits colour operations, whose channels are then vectors;
    `to_image` makes it an image again.

    Args:
      image: float32 `[H, W, C]`.
      box, size, kernel, antialias: as in `crop_and_resize`.
      mirrored: a boolean.

    Example:
      >>> image = jnp.arange(16.0).reshape(4, 4, 1)
      >>> box, mirrored = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array(True)
      >>> columns = crop_by_columns(image, box, mirrored, size=(2, 2))
      >>> print(to_image(columns)[..., 0])
      [[1. 0.]
       [5. 4.]]
    """
    height, width, channels = image.shape
    down, across = (_centers(box[axis], box[axis + 2], size[axis]) for axis in range(2))
    rows = _resample(image.reshape(height, -1), down, box[0], box[2], kernel=kernel, antialias=antialias)
    columns = _transposed(rows).reshape(width, channels * size[0])
    across = jnp.where(mirrored, across[::-1], across)
    columns = _resample(columns, across, box[1], box[3], kernel=kernel, antialias=antialias)
    return columns.reshape(size[1], channels, size[0])


def column_view(
    rng: Array,
    image: Array,
    *,
    size: Size,
    scale: Range,
    ratio: Range,
    strengths: Mapping[str, Any],
    jitter_probability: float,
    grayscale: float,
    blur: float,
    kernel_size: int,
    solarize: float,
    flip: bool,
    resampling: Kernel,
    antialias: bool,
) -> Array:
    """A view of `photo_views`, before its standardisation, with the same draws.

    Args:
      image: float32 `[H, W, C]`.
      strengths: those of `random_color_jitter`.
      kernel_size: of the blur.
      size, scale, ratio, jitter_probability, grayscale, blur, solarize, flip, resampling, antialias: as in `photo_views`.

    Example:
      >>> strengths = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
      >>> options = {"jitter_probability": 0.8, "grayscale": 0.2, "blur": 0.5, "kernel_size": 3, "solarize": 0.0}
      >>> crop = {"size": (32, 32), "scale": (0.2, 1.0), "ratio": (0.75, 1.33), "resampling": "linear", "antialias": True}
      >>> view = partial(column_view, strengths=strengths, flip=True, **options, **crop)
      >>> print(view(jax.random.key(0), jnp.ones((48, 48, 3))).shape)
      (32, 32, 3)
    """
    crop_rng, flip_rng, jitter_rng, grayscale_rng, blur_rng, solarize_rng = jax.random.split(rng, 6)
    box = sample_crop_box(crop_rng, image_size=image.shape[:2], scale=scale, ratio=ratio)
    mirrored = (jax.random.uniform(flip_rng) < FLIP) & flip
    image = crop_by_columns(image, box, mirrored, size=size, kernel=resampling, antialias=antialias)
    image = jnp.clip(image, 0, 1) if resampling == "cubic" else image
    image = random_color_jitter(jitter_rng, image, **strengths, probability=jitter_probability, axis=1, branches=True)
    blurred = partial(random_blur_of_rows, blur_rng, kernel_size=kernel_size, probability=blur)
    if grayscale:
        image = random_grayscale(grayscale_rng, image, probability=grayscale, axis=1, branches=True)
    image = blurred(image) if blur else image
    image = to_image(image)
    image = blurred(image) if blur else image
    return random_solarize(solarize_rng, image, probability=solarize, branches=True) if solarize else image


def to_image(columns: Array) -> Array:
    """`[width, C, height]` -> `[height, width, C]`.

    Example:
      >>> print(to_image(jnp.zeros((8, 3, 6))).shape)
      (6, 8, 3)
    """
    width, channels, height = columns.shape
    return _transposed(columns.reshape(-1, height)).reshape(height, width, channels)


def _transposed(rows: Array) -> Array:
    """`[A, B]` -> `[B, A]`, some rows at a time, whose lines stay in the cache until all of their numbers are read."""
    block = min(BLOCK, len(rows))

    def place(number: Array, columns: Array) -> Array:
        start = jnp.minimum(number * block, len(rows) - block)
        part = lax.dynamic_slice_in_dim(rows, start, block)
        return lax.dynamic_update_slice_in_dim(columns, part.T, start, axis=1)

    return lax.fori_loop(0, -(-len(rows) // block), place, jnp.zeros(rows.shape[::-1], rows.dtype))


def _centers(start: Array, length: Array, outputs: int) -> Array:
    return start + (jnp.arange(outputs, dtype=jnp.float32) + 0.5) * (length / outputs)


def _resample(rows: Array, centers: Array, start: Array, length: Array, *, kernel: Kernel, antialias: bool) -> Array:
    """`[I, X]` -> `[P, X]`: for each centre, the rows in [start, start + length) around it with the kernel's weights."""
    step, reach = length / len(centers), 1 if kernel == "linear" else 2
    wide = jnp.maximum(step, 1) if antialias else jnp.float32(1)
    first = jnp.floor(centers - reach * wide + 0.5)

    def weights(tap: Array) -> tuple[Array, Array]:
        row = first + tap.astype(jnp.float32)
        distance = jnp.abs(row + 0.5 - centers) / wide
        weight = jnp.maximum(0, 1 - distance) if kernel == "linear" else keys_cubic(distance)
        return row, jnp.where((row >= start) & (row < start + length), weight, 0)

    def weighed(tap: Array) -> Array:
        row, weight = weights(tap)
        taken = rows.at[jnp.clip(row, 0, len(rows) - 1).astype(jnp.int32)].get(mode="promise_in_bounds")
        return (weight / total)[:, None] * taken

    pairs = jnp.ceil(reach * wide).astype(jnp.int32)
    total = lax.fori_loop(0, 2 * pairs, lambda tap, total: total + weights(tap)[1], jnp.zeros_like(centers))
    sums = jnp.zeros((len(centers), rows.shape[1]), jnp.float32)
    return lax.fori_loop(0, pairs, lambda number, sums: sums + weighed(2 * number) + weighed(2 * number + 1), sums)
