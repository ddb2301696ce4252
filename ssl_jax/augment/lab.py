"""Lightness and colour: CIE Lab, in which colourisation sees the one and tells the other.

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

# From linear RGB of sRGB's primaries to XYZ over that of its white, D65 (IEC 61966-2-1).
TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.950456, 1.0, 1.088754])
MIDDLE, SPREAD = 50.0, 25.0  # What lightness is standardised by.


def rgb_to_lab(image: Array) -> Array:
    """sRGB in [0, 1] `[..., 3]` to Lab `[..., 3]`: white is (100, 0, 0), red (53.2, 80.1, 67.2)."""
    image = jnp.asarray(image, jnp.float32)
    # Both branches of a `where` are differentiated; the powers stay off zero.
    linear = jnp.where(image > 0.04045, ((jnp.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4, image / 12.92)
    matrix = jnp.asarray((TO_XYZ / WHITE[:, None]).T, jnp.float32)
    ratio = jnp.matmul(linear, matrix, precision="highest")
    roots = jnp.where(ratio > 0.008856, jnp.cbrt(jnp.maximum(ratio, 0.008856)), 7.787 * ratio + 16 / 116)
    x, y, z = (roots[..., part] for part in range(3))
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def color_bins(size: float = 10.0) -> NDArray[np.float32]:
    """Centres (a, b) of the squares of a grid that some sRGB colour falls into, `[Q, 2]`: 260 squares of 10 units."""
    levels = np.linspace(0, 1, 52)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    with jax.ensure_compile_time_eval():
        squares = np.unique(np.round(np.asarray(rgb_to_lab(jnp.asarray(colors)))[:, 1:] / size), axis=0)
    return (squares * size).astype(np.float32)


def lightness(image: Array) -> Array:
    """Standardised lightness of an sRGB image in [0, 1], `[..., 3]` -> `[..., 1]`: what the encoder sees."""
    return (rgb_to_lab(image)[..., :1] - MIDDLE) / SPREAD


@configured
def grayscale_and_color(view: ViewMaker) -> Callable[[Array, Array], dict[str, Array]]:
    """One view in grey, and its colours.

    Args:
      view: of sRGB images, not standardised: its mean is 0, its std 1.

    Returns:
      `(rng, image) -> {"views": [1, H, W, 1], "color": [H, W, 2]}`: standardised lightness; a and b.

    Raises:
      UsageError: the images are grey.
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        seen = view(rng, image)[0]
        if seen.shape[-1] != 3:
            raise UsageError(f"colorization: needs coloured images, got {seen.shape[-1]} channel: choose other data.")
        return {"views": lightness(seen)[None], "color": rgb_to_lab(seen)[..., 1:]}

    return augment
