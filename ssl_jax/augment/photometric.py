"""PIRL's photometric transforms of one image: fewer levels, sharpness, solarisation, and contrast stretched to the full range.

Images are float32 `[H, W, C]` in [0, 1], as in `color`. Each function equals Pillow's, up to its rounding.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.augment.chance import between, chosen
from ssl_jax.augment.color import solarize

LEVELS = 255


def posterize(image: Array, bits: Array | int) -> Array:
    """The highest `bits` bits, 1 to 8, of each 8-bit level: ImageOps.posterize.

    Example:
      >>> print(posterize(jnp.array([[[0.2], [0.9]]]), 1)[0, :, 0].round(2))
      [0.  0.5]
    """
    step = jnp.exp2(8 - jnp.asarray(bits, jnp.float32))
    return jnp.floor(jnp.round(LEVELS * image) / step) * step / LEVELS


def adjust_sharpness(image: Array, amount: Array | float) -> Array:
    """Blend with a smooth image: 0 gives it, 1 the image, 2 exaggerates: ImageEnhance.Sharpness. The border is unchanged.

    The smooth image is the mean of 3 x 3 pixels, the middle one with weight five.

    Example:
      >>> image = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
      >>> print(np.asarray(adjust_sharpness(image, 0.0)[2, :, 0]).round(3))
      [0.    0.077 0.385 0.077 0.   ]
    """
    height, width, channels = image.shape
    kernel = jnp.ones((3, 3)).at[1, 1].set(5) / 13
    smooth = lax.conv_general_dilated(
        image.transpose(2, 0, 1)[:, None], kernel[None, None], (1, 1), "VALID", precision="highest"
    )
    smooth = image.at[1 : height - 1, 1 : width - 1].set(
        smooth.reshape(channels, height - 2, width - 2).transpose(1, 2, 0)
    )
    return jnp.clip(amount * image + (1 - amount) * smooth, 0, 1)


def autocontrast(image: Array) -> Array:
    """Each channel stretched to [0, 1]; a constant one is unchanged: ImageOps.autocontrast.

    Example:
      >>> print(autocontrast(jnp.array([[[0.2], [0.4], [0.6]]]))[0, :, 0].round(2))
      [0.  0.5 1. ]
    """
    low, high = image.min(axis=(0, 1), keepdims=True), image.max(axis=(0, 1), keepdims=True)
    return jnp.where(high > low, (image - low) / jnp.where(high > low, high - low, 1), image)


def random_photometric(rng: Array, image: Array, *, probability: float = 0.66) -> Array:
    """With `probability` all four: 4 to 8 bits, sharpness 0.1 to 1.9, solarised at any level, then full contrast.

    Example:
      >>> print(random_photometric(jax.random.key(0), jnp.linspace(0, 1, 48).reshape(4, 4, 3)).shape)
      (4, 4, 3)

    Source: ImgPilRandomPhotometric and pil_photometric_transforms_lib.py of facebookresearch/vissl, for PIRL.
    """
    bits_rng, sharpness_rng, threshold_rng, chance_rng = jax.random.split(rng, 4)

    def change(image: Array) -> Array:
        changed = posterize(image, jax.random.randint(bits_rng, (), 4, 9))
        changed = adjust_sharpness(changed, between((0.1, 1.9), jax.random.uniform(sharpness_rng)))
        changed = solarize(changed, jax.random.randint(threshold_rng, (), 0, LEVELS + 2).astype(jnp.float32) / LEVELS)
        return autocontrast(changed)

    return chosen("random_photometric", jax.random.uniform(chance_rng), change, image, probability=probability)
