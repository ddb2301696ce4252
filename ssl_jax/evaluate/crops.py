"""The augmentation of the papers' linear evaluation and fine-tuning: a random crop and a flip, nothing else."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.geometry import random_flip, random_resized_crop
from ssl_jax.errors import UsageError

LEVELS = 255
Augmentation = Callable[[Array, Array], Array]


def crop_and_flip(*, min_scale: float = 0.08, flip: bool = True) -> Augmentation:
    """`(rng, uint8 image [H, W, C]) -> uint8 image` of the same size: a crop of `min_scale` to 1 of the area, resized, flipped
    half the time.

    Any extractor of uint8 images takes the result. Where its view is the centre of a larger image (224 of 256 pixels), it
    is the centre of the crop. Use `flip=False` where a flip changes the class, as for digits and letters.
    """

    if not 0 < min_scale <= 1:
        raise UsageError(f"min_scale: got {min_scale}, expected a part of the area above 0 and at most 1.")

    def augment(rng: Array, image: Array) -> Array:
        crop_rng, flip_rng = jax.random.split(rng)
        height, width, _ = image.shape
        crop = random_resized_crop(crop_rng, image.astype(jnp.float32), size=(height, width), scale=(min_scale, 1.0))
        crop = random_flip(flip_rng, crop) if flip else crop
        return jnp.clip(jnp.round(crop), 0, LEVELS).astype(jnp.uint8)

    return augment
