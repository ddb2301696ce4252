"""Geometry of one image: crops, resizing, flips, quarter turns.

Images are float32 `[H, W, C]`, any C; sizes are `(height, width)`. A box is an array `[4]`: top, left, height, width,
in whole pixels.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.chance import Range, Size, between, chosen
from ssl_jax.errors import UsageError

Kernel = Literal["linear", "cubic"]

TRIES = 10  # draws of sample_crop_box, as many as torchvision's


def crop_and_resize(
    image: Array, box: Array, *, size: Size, kernel: Kernel = "linear", antialias: bool = True
) -> Array:
    """The part of `image` in `box`, resized to `size`: two products with small matrices, no gather.

    Equal to cropping the box and resizing the crop, as in torchvision and Pillow: no pixel outside the box contributes.
    The size may be above or below that of the box.

    Args:
      box: within the image, at least one pixel along each axis.
      kernel: linear, or cubic (Keys, a = -0.5), which may slightly overshoot [0, 1] and is not clipped by this function.
      antialias: widen the kernel where the box shrinks, as in Pillow; without it pixels are skipped.

    Example:
      >>> image = jnp.arange(16.0).reshape(4, 4, 1)
      >>> print(crop_and_resize(image, jnp.array([0.0, 0.0, 2.0, 2.0]), size=(2, 2))[..., 0])
      [[0. 1.]
       [4. 5.]]
    """
    rows = _resize_matrix(image.shape[0], size[0], box[0], box[2], kernel, antialias)
    columns = _resize_matrix(image.shape[1], size[1], box[1], box[3], kernel, antialias)
    exact = jax.lax.Precision.HIGHEST  # otherwise TPUs and GPUs round pixels to 8 or 10 bits
    return jnp.einsum("ph,hwc,qw->pqc", rows, image, columns, precision=exact)


def resize(image: Array, *, size: Size, kernel: Kernel = "linear", antialias: bool = True) -> Array:
    """The whole image at another size.

    Example:
      >>> print(resize(jnp.zeros((48, 64, 3)), size=(12, 16)).shape)
      (12, 16, 3)
    """
    box = jnp.array([0, 0, *image.shape[:2]], jnp.float32)
    return crop_and_resize(image, box, size=size, kernel=kernel, antialias=antialias)


def center_crop(image: Array, *, size: Size) -> Array:
    """The centre of the image, rounded towards the top left.

    Raises:
      UsageError: the image is smaller than `size`.

    Example:
      >>> print(center_crop(jnp.arange(5.0).reshape(1, 5, 1), size=(1, 3))[0, :, 0])
      [1. 2. 3.]
    """
    height, width = image.shape[:2]
    if size[0] > height or size[1] > width:
        raise UsageError(f"center_crop: size {size} is larger than the image {image.shape}: resize the image first.")
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return image[top : top + size[0], left : left + size[1]]


def sample_crop_box(
    rng: Array, *, image_size: Size, scale: Range = (0.08, 1.0), ratio: Range = (3 / 4, 4 / 3)
) -> Array:
    """A random box: its area uniform in `scale`, as a fraction of the image's, and the logarithm of width/height in `ratio`.

    The rule of torchvision's RandomResizedCrop: the first of 10 draws that fits into the image, else the largest box of
    an allowed ratio in its middle.

    Returns:
      `[4]` float32.

    Raises:
      UsageError: a range that is not 0 < low <= high, or a scale above 1.

    Example:
      >>> print(sample_crop_box(jax.random.key(0), image_size=(32, 32), scale=(1.0, 1.0), ratio=(1.0, 1.0)))
      [ 0.  0. 32. 32.]

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, section 6.
    """
    if not 0 < scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise UsageError(f"crop: ranges must have 0 < low <= high, and scale high <= 1, got {scale=}, {ratio=}.")
    whole = jnp.array(image_size, jnp.float32)  # height and width, in this order throughout
    uniform = jax.random.uniform(rng, (2, TRIES + 1))
    root_area = jnp.sqrt(math.prod(image_size) * between(scale, uniform[0, 1:]))
    root_ratio = jnp.exp(between((math.log(ratio[0]) / 2, math.log(ratio[1]) / 2), uniform[1, 1:]))
    drawn = jnp.round(jnp.stack([root_area / root_ratio, root_area * root_ratio], axis=1))  # [TRIES, 2]
    fits = jnp.all((drawn >= 1) & (drawn <= whole[None]), axis=1)

    largest = jnp.minimum(whole, jnp.round(whole[::-1] * jnp.array([1 / ratio[0], ratio[1]], jnp.float32)))
    sides = jnp.where(fits.any(), drawn[jnp.argmax(fits)], largest)
    spare = whole - sides
    corner = jnp.where(fits.any(), jnp.floor(uniform[:, 0] * (spare + 1)), jnp.floor(spare / 2))
    return jnp.concatenate([corner, sides])


def random_resized_crop(
    rng: Array,
    image: Array,
    *,
    size: Size,
    scale: Range = (0.08, 1.0),
    ratio: Range = (3 / 4, 4 / 3),
    kernel: Kernel = "linear",
    antialias: bool = True,
) -> Array:
    """`crop_and_resize` of a box from `sample_crop_box`: the crop of SimCLR, and of most of the field.

    Example:
      >>> print(random_resized_crop(jax.random.key(0), jnp.zeros((48, 64, 3)), size=(32, 32)).shape)
      (32, 32, 3)
    """
    box = sample_crop_box(rng, image_size=image.shape[:2], scale=scale, ratio=ratio)
    return crop_and_resize(image, box, size=size, kernel=kernel, antialias=antialias)


def flip(image: Array) -> Array:
    """Horizontal flip.

    Example:
      >>> print(flip(jnp.arange(3.0).reshape(1, 3, 1))[0, :, 0])
      [2. 1. 0.]
    """
    return image[:, ::-1]


def random_flip(rng: Array, image: Array, *, probability: float = 0.5) -> Array:
    """`flip(image)` with `probability`.

    Example:
      >>> print(random_flip(jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1), probability=1.0)[0, :, 0])
      [2. 1. 0.]
    """
    return chosen("random_flip", jax.random.uniform(rng), flip, image, probability=probability)


def rotate90(image: Array, quarters: Array | int) -> Array:
    """`quarters` quarter turns counter-clockwise by swapping and reversing axes, without traces of resampling.

    Raises:
      UsageError: the image is not square, so that its shape would depend on the rotation.

    Example:
      >>> print(rotate90(jnp.arange(4.0).reshape(2, 2, 1), 1)[..., 0])
      [[1. 3.]
       [0. 2.]]
    """
    if image.shape[0] != image.shape[1]:
        raise UsageError(f"rotate90: the image must be square, got {image.shape}: crop it first.")
    image = jnp.where(quarters % 2 == 1, jnp.rot90(image), image)
    return jnp.where(quarters % 4 >= 2, jnp.rot90(image, 2), image)


def _resize_matrix(inputs: int, outputs: int, start: Array, length: Array, kernel: Kernel, antialias: bool) -> Array:
    """`[outputs, inputs]`, rows summing to 1: weights of the input pixels of the box for each output pixel."""
    step = length / outputs
    centres = start + (jnp.arange(outputs, dtype=jnp.float32) + 0.5) * step
    pixels = jnp.arange(inputs, dtype=jnp.float32) + 0.5
    distance = jnp.abs(pixels[None] - centres[:, None]) / (jnp.maximum(step, 1) if antialias else 1)
    weights = jnp.maximum(0, 1 - distance) if kernel == "linear" else keys_cubic(distance)
    inside = (pixels > start) & (pixels < start + length)
    weights = jnp.where(inside[None], weights, 0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def keys_cubic(distance: Array) -> Array:
    """The weight of a pixel at this distance, 0 or more: Keys 1981, equation 4 with a = -0.5, which is Pillow's BICUBIC.

    Example:
      >>> print(keys_cubic(jnp.array([0.0, 0.5, 1.0, 1.5, 2.0])))
      [ 1.      0.5625  0.     -0.0625  0.    ]
    """
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return jnp.where(distance < 1, near, jnp.where(distance < 2, far, 0))
