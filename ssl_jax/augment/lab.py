"""Lightness and colour: CIE Lab, in which colourisation predicts colour from lightness.

Lightness runs from 0 to 100; a, green to red, and b, blue to yellow, lie within about 110 of 0, which is grey.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.augment.views import ViewMaker
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured

# From linear RGB with sRGB's primaries to XYZ relative to its white, D65 (IEC 61966-2-1).
TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.950456, 1.0, 1.088754])
MIDDLE, SPREAD = 50.0, 25.0  # For standardising lightness.


def rgb_to_lab(image: Array) -> Array:
    """sRGB in [0, 1] `[..., 3]` to Lab `[..., 3]`: white is (100, 0, 0), red (53.2, 80.1, 67.2).

    Example:
      >>> print(np.asarray(rgb_to_lab(jnp.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))).round(1))
      [[100.    0.    0. ]
       [ 53.2  80.1  67.2]]
    """
    image = jnp.asarray(image, jnp.float32)
    # Both branches of a `where` are differentiated, so the powers avoid zero.
    linear = jnp.where(image > 0.04045, ((jnp.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4, image / 12.92)
    matrix = jnp.asarray((TO_XYZ / WHITE[:, None]).T, jnp.float32)
    ratio = jnp.matmul(linear, matrix, precision="highest")
    roots = jnp.where(ratio > 0.008856, jnp.cbrt(jnp.maximum(ratio, 0.008856)), 7.787 * ratio + 16 / 116)
    x, y, z = (roots[..., part] for part in range(3))
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(image: Array) -> Array:
    """Lab `[..., 3]` to sRGB `[..., 3]`, clipped to [0, 1]: the inverse of `rgb_to_lab` of the colours that sRGB has.

    Example:
      >>> print(lab_to_rgb(rgb_to_lab(jnp.array([1.0, 0.5, 0.0]))).round(3))
      [1.  0.5 0. ]
    """
    lightness, a, b = (image[..., part] for part in range(3))
    y = (lightness + 16) / 116
    roots = jnp.stack([y + a / 500, y, y - b / 200], axis=-1)
    ratio = jnp.where(roots > 0.206893, roots**3, (roots - 16 / 116) / 7.787)
    matrix = jnp.asarray(np.linalg.inv(TO_XYZ / WHITE[:, None]).T, jnp.float32)
    linear = jnp.clip(jnp.matmul(ratio, matrix, precision="highest"), 0, 1)
    return jnp.where(linear > 0.0031308, 1.055 * jnp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)


def with_color(light: Array, color: Array) -> Array:
    """Standardised lightness `[..., 1]`, as `lightness` makes it, and a and b `[..., 2]` -> sRGB in [0, 1] `[..., 3]`.

    Example:
      >>> image = jnp.array([1.0, 0.5, 0.0])
      >>> print(with_color(lightness(image), rgb_to_lab(image)[1:]).round(3))
      [1.  0.5 0. ]
    """
    return lab_to_rgb(jnp.concatenate([light * SPREAD + MIDDLE, color], axis=-1))


def color_bins(size: float = 10.0) -> NDArray[np.float32]:
    """Centres (a, b) of the squares of a grid that contain an sRGB colour, `[Q, 2]`: 260 squares of 10 units.

    Example:
      >>> print(color_bins().shape, color_bins(40.0).shape)
      (260, 2) (23, 2)
    """
    levels = np.linspace(0, 1, 52)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    with jax.ensure_compile_time_eval():
        squares = np.unique(np.round(np.asarray(rgb_to_lab(jnp.asarray(colors)))[:, 1:] / size), axis=0)
    return (squares * size).astype(np.float32)


def lightness(image: Array) -> Array:
    """Standardised lightness of an sRGB image in [0, 1], `[..., 3]` -> `[..., 1]`: the encoder's input.

    Example:
      >>> print(lightness(jnp.zeros((8, 8, 3))).shape)
      (8, 8, 1)
    """
    return (rgb_to_lab(image)[..., :1] - MIDDLE) / SPREAD


@configured
def grayscale_and_color(view: ViewMaker) -> Callable[[Array, Array], dict[str, Array]]:
    """One grayscale view, and its colours.

    Args:
      view: makes a view of sRGB images without standardising it: mean 0, std 1.

    Returns:
      `(rng, image) -> {"views": [1, H, W, 1], "color": [H, W, 2]}`: standardised lightness; a and b.

    Raises:
      UsageError: the images are grayscale.

    Example:
      >>> views = grayscale_and_color(lambda rng, image: image[None] / 255)(jax.random.key(0), jnp.zeros((8, 8, 3), jnp.uint8))
      >>> print(views["views"].shape, views["color"].shape)
      (1, 8, 8, 1) (8, 8, 2)
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        colored = view(rng, image)[0]
        if colored.shape[-1] != 3:
            raise UsageError(
                f"colorization: needs coloured images, got {colored.shape[-1]} channel: choose other data."
            )
        return {"views": lightness(colored)[None], "color": rgb_to_lab(colored)[..., 1:]}

    return augment
