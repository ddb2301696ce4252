"""Several views of an image from a function of one, with pixels in [0, 1] before it and standardised ones after it."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.augment.in_turn import ViewMaker, in_turn
from ssl_jax.errors import UsageError
from ssl_jax.ops.collectives import on_one_cpu
from ssl_jax.sizes import ImageSize, sides_of


def several(
    name: str,
    view: ViewMaker,
    alone: ViewMaker | None = None,
    *,
    views: int,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
) -> ViewMaker:
    """A function that makes `views` of `view`, standardised, after checks of the image.

    Args:
      name: of the augmentation, in the `UsageError`.
      view: `(rng, float32 image [H, W, C] in [0, 1]) -> [size, size, C]`.
      alone: the same view by a program for one image at a time, for the pixels of files on a CPU.
      views, size, mean, std: as in `photo_views`.

    Example:
      >>> def same(rng, image):
      ...     return image
      >>> augment = several("same", same, views=2, size=8, mean=(0.5,), std=(0.5,))
      >>> print(augment(jax.random.key(0), jnp.zeros((8, 8, 1), jnp.uint8)).shape)
      (2, 8, 8, 1)
    """
    sides = sides_of(size)
    if min(sides) < 1 or views < 1:
        raise UsageError(f"{name}: size and views must be 1 or more, got {size=}, {views=}.")

    def standardized(view: ViewMaker, rng: Array, image: Array) -> Array:
        return standardize(view(rng, image), mean=mean, std=std)

    def together(rng: Array, image: Array) -> Array:
        return jax.vmap(partial(standardized, view), in_axes=(0, None))(jax.random.split(rng, views), unit_range(image))

    def separately(rng: Array, image: Array) -> Array:
        image = unit_range(image)
        return lax.map(lambda key: standardized(alone or view, key, image), jax.random.split(rng, views))

    def augment(rng: Array, image: Array) -> Array:
        if image.shape[0] < sides[0] or image.shape[1] < sides[1]:
            raise UsageError(f"{name}: size {size} is larger than the image {image.shape}: resize it, or lower size.")
        if alone and image.dtype == jnp.uint8 and on_one_cpu(image):
            return in_turn(separately, together)(rng, image)
        return together(rng, image)

    return augment


def standardize(image: Array, *, mean: Sequence[float], std: Sequence[float]) -> Array:
    """`(image - mean) / std` by channel.

    Raises:
      UsageError: `mean` or `std` has another number of channels than the image.

    Example:
      >>> print(standardize(jnp.array([[[0.2, 0.8]]]), mean=(0.5, 0.5), std=(0.3, 0.3))[0, 0].round(2))
      [-1.  1.]
    """
    channels = image.shape[-1]
    if len(mean) != channels or len(std) != channels:
        raise UsageError(f"mean and std need a value for each channel of images {image.shape}, got {mean=}, {std=}.")
    centre, spread = (jnp.array(values, jnp.float32).reshape(1, 1, channels) for values in (mean, std))
    return (image - centre) / spread


def unit_range(image: Array) -> Array:
    """Pixels as float32 in [0, 1], of uint8 or of floats that are; a `UsageError` for other types.

    Example:
      >>> print(unit_range(jnp.array([[[0, 255]]], jnp.uint8))[0, 0])
      [0. 1.]
    """
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UsageError(f"views need images of uint8, or of floats in [0, 1], got {image.dtype}: convert them first.")
    return image.astype(jnp.float32)
