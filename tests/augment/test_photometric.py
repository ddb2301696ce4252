"""Against Pillow, on random 8-bit pixels: the two differ by its rounding to whole levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ssl_jax.augment.color import solarize
from ssl_jax.augment.photometric import adjust_sharpness, autocontrast, posterize, random_photometric
from ssl_jax.errors import UsageError

PIXELS = np.random.default_rng(0).integers(30, 200, (9, 7, 3), np.uint8)
IMAGE = jnp.float32(PIXELS / 255)


def assert_pillows(ours, theirs, *, levels=1.01):
    np.testing.assert_allclose(255 * np.asarray(ours), np.asarray(theirs, np.float32), atol=levels)


@pytest.mark.parametrize("bits", [4, 5, 8])
def test_posterize(bits):
    assert_pillows(posterize(IMAGE, bits), ImageOps.posterize(Image.fromarray(PIXELS), bits), levels=1e-3)


@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0, 1.9])
def test_sharpness(amount):
    """Pillow rounds the smooth image, half a level times |1 - amount|, and cuts off the fraction of the blend."""
    theirs = ImageEnhance.Sharpness(Image.fromarray(PIXELS)).enhance(amount)
    assert_pillows(adjust_sharpness(IMAGE, amount), theirs, levels=1.01 + abs(1 - amount) / 2)


@pytest.mark.parametrize("threshold", [0, 60, 128, 256])
def test_solarize(threshold):
    theirs = ImageOps.solarize(Image.fromarray(PIXELS), threshold)
    assert_pillows(solarize(IMAGE, jnp.float32(threshold) / 255), theirs, levels=1e-3)


def test_autocontrast():
    assert_pillows(autocontrast(IMAGE), ImageOps.autocontrast(Image.fromarray(PIXELS)))
    np.testing.assert_array_equal(autocontrast(jnp.full((4, 4, 3), 0.3)), jnp.full((4, 4, 3), 0.3))


@pytest.mark.slow
def test_all_four_come_with_their_probability():
    keys = jax.random.split(jax.random.key(0), 400)
    found = jax.jit(jax.vmap(lambda key: random_photometric(key, IMAGE)))(keys)
    changed = jnp.any(found != IMAGE[None], axis=(1, 2, 3))
    assert 0.6 < changed.mean() < 0.72
    full = found[changed]
    np.testing.assert_allclose(full.min(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(full.max(axis=(1, 2)), 1, atol=1e-6)
    with pytest.raises(UsageError, match="random_photometric: probability"):
        random_photometric(keys[0], IMAGE, probability=1.5)
