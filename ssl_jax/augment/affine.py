"""Affine maps of one image: rotation, shear, scale and shift in one bilinear resampling.

Images are float32 `[H, W, C]`, any C. Angles in degrees, counter-clockwise; lengths in pixels, y down and x right.

A map is a matrix `[2, 3]` from the position of a pixel in the result to its position in the image: `matrix @ (y, x, 1)`,
with (y, x) relative to the centre of the result, and the product relative to the centre of the image. `[[1, 0, 0], [0, 1, 0]]`
changes nothing.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.ndimage import map_coordinates

from ssl_jax.augment.chance import Range, Size, between
from ssl_jax.errors import UsageError

Mode = Literal["constant", "nearest"]


def affine(image: Array, matrix: Array, *, size: Size | None = None, mode: Mode = "constant") -> Array:
    """Bilinear resampling of `image` at `matrix @ (y, x, 1)`.

    There is no antialiasing: where the map shrinks the image by much, resize it first.

    Args:
      matrix: `[2, 3]`.
      size: (height, width) of the result; None is that of the image.
      mode: values outside the image: black (constant), or those of its edge (nearest).

    Example:
      >>> image = jnp.arange(4.0).reshape(2, 2, 1)
      >>> print(affine(image, jnp.eye(2, 3))[..., 0])
      [[0. 1.]
       [2. 3.]]
    """
    height, width = size or image.shape[:2]
    y = jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2
    x = jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2
    positions = jnp.stack([*jnp.meshgrid(y, x, indexing="ij"), jnp.ones((height, width))])  # [3, height, width]
    rows, columns = jnp.einsum("ij,jhw->ihw", matrix, positions, precision=jax.lax.Precision.HIGHEST)
    coordinates = [rows + (image.shape[0] - 1) / 2, columns + (image.shape[1] - 1) / 2]
    return jax.vmap(lambda plane: map_coordinates(plane, coordinates, order=1, mode=mode), -1, -1)(image)


def affine_matrix(*, degrees: Array, shear: Array, scale: Array, shift: Array) -> Array:
    """The map `[2, 3]` that scales, then shears, then rotates, then shifts an image.

    Args:
      degrees: angle of the rotation.
      shear: angle by which vertical lines lean to the right.
      scale: above 1 enlarges.
      shift: `[2]`, down and right.

    Example:
      >>> turn = affine_matrix(degrees=jnp.array(90.0), shear=jnp.array(0.0), scale=jnp.array(1.0), shift=jnp.zeros(2))
      >>> print(turn.shape)
      (2, 3)
    """
    angle, lean = jnp.deg2rad(degrees), jnp.tan(jnp.deg2rad(shear))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    back = jnp.stack([cosine, sine, lean * cosine - sine, lean * sine + cosine]).reshape(2, 2) / scale
    return jnp.concatenate([back, -jnp.sum(back * shift[None], axis=1, keepdims=True)], axis=1)


def crop_matrix(matrix: Array, box: Array, *, image_size: Size, size: Size) -> Array:
    """The map that crops `box` from an image, resizes it to `size` and then applies `matrix`, in one resampling.

    Args:
      box: `[4]`, top, left, height, width, as from `sample_crop_box`.

    Example:
      >>> matrix = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
      >>> print(crop_matrix(matrix, jnp.array([0.0, 0.0, 4.0, 4.0]), image_size=(8, 8), size=(4, 4)).shape)
      (2, 3)
    """
    zoom = box[2:] / jnp.array(size, jnp.float32)
    middle = box[:2] + box[2:] / 2 - jnp.array(image_size, jnp.float32) / 2
    return zoom[:, None] * matrix + jnp.pad(middle[:, None], ((0, 0), (2, 0)))


def sample_affine_matrix(
    rng: Array, *, size: Size, degrees: float, translate: float, scale: Range, shear: float
) -> Array:
    """A random map `[2, 3]` for a result of `size`.

    Args:
      degrees, shear: angles uniform in plus and minus this value.
      translate: shift uniform in plus and minus this fraction of each side.
      scale: factor uniform in this range.

    Raises:
      UsageError: a negative strength, a shear of 90 or more, or a scale range that is not 0 < low <= high.

    Example:
      >>> strengths = {"degrees": 10.0, "translate": 0.1, "scale": (0.9, 1.1), "shear": 5.0}
      >>> print(sample_affine_matrix(jax.random.key(0), size=(32, 32), **strengths).shape)
      (2, 3)
    """
    if min(degrees, translate, shear) < 0 or shear >= 90:
        got = f"{degrees=}, {translate=}, {shear=}"
        raise UsageError(f"affine: degrees, translate and shear must be 0 or more, shear below 90, got {got}.")
    if not 0 < scale[0] <= scale[1]:
        raise UsageError(f"affine: scale must be a range (low, high) with 0 < low <= high, got {scale}.")
    uniform = jax.random.uniform(rng, (5,))
    signed = between((-1, 1), uniform)
    return affine_matrix(
        degrees=degrees * signed[0],
        shear=shear * signed[1],
        scale=between(scale, uniform[2]),
        shift=translate * signed[3:] * jnp.array(size, jnp.float32),
    )


def random_affine(
    rng: Array,
    image: Array,
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: Range = (1.0, 1.0),
    shear: float = 0.0,
    mode: Mode = "constant",
) -> Array:
    """`affine` with a map from `sample_affine_matrix`.

    Example:
      >>> print(random_affine(jax.random.key(0), jnp.ones((8, 8, 3)), degrees=10, translate=0.1).shape)
      (8, 8, 3)
    """
    size = image.shape[:2]
    matrix = sample_affine_matrix(rng, size=size, degrees=degrees, translate=translate, scale=scale, shear=shear)
    return affine(image, matrix, mode=mode)
