"""Lab against published values, and the colours that screens can show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.lab import color_bins, grayscale_and_color, lab_to_rgb, lightness, rgb_to_lab, with_color
from ssl_jax.errors import UsageError

# sRGB and its Lab under D65, as colour calculators have them.
KNOWN = {
    (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
    (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
    (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    (0.5, 0.5, 0.5): (53.39, 0.0, 0.0),
    (0.02, 0.01, 0.0): (0.80, 0.31, 1.20),  # by hand: the straight parts of both curves
}


@pytest.mark.parametrize(("rgb", "lab"), KNOWN.items())
def test_known_colours(rgb, lab):
    np.testing.assert_allclose(rgb_to_lab(jnp.array(rgb)), lab, atol=0.1)


def test_colours_and_back():
    drawn = jnp.asarray(np.random.default_rng(0).random((200, 3)) ** 3, jnp.float32)  # Many dark ones.
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(drawn)), drawn, atol=2e-4)
    np.testing.assert_allclose(with_color(lightness(drawn), rgb_to_lab(drawn)[:, 1:]), drawn, atol=2e-4)
    outside = lab_to_rgb(jnp.array([[50.0, 120.0, -120.0], [100.0, 90.0, 90.0]]))
    assert outside.min() >= 0 and outside.max() <= 1


def test_the_gradient_is_finite_at_black():
    assert jnp.isfinite(jax.grad(lambda rgb: rgb_to_lab(rgb).sum())(jnp.zeros(3))).all()


def test_bins_are_the_squares_of_colours_that_there_are():
    bins = color_bins()
    assert bins.shape == (260, 2) and (bins % 10 == 0).all() and len({tuple(row) for row in bins}) == 260
    drawn = np.random.default_rng(0).random((5000, 3)).astype(np.float32)
    colors = np.asarray(rgb_to_lab(jnp.asarray(drawn)))[:, 1:]
    nearest = np.sqrt(((colors[:, None] - bins[None]) ** 2).sum(axis=-1)).min(axis=1)
    assert nearest.max() < 10 and np.mean(nearest < 5 * np.sqrt(2) + 1e-3) > 0.999


def test_grayscale_and_color_share_the_image_out():
    image = jnp.asarray(np.random.default_rng(0).random((4, 4, 3)), jnp.float32)
    drawn = grayscale_and_color(lambda rng, image: image[None])(jax.random.key(0), image)
    np.testing.assert_allclose(drawn["views"][0], (rgb_to_lab(image)[..., :1] - 50) / 25, rtol=1e-5)
    np.testing.assert_array_equal(drawn["color"], rgb_to_lab(image)[..., 1:])
    assert lightness(image).shape == (4, 4, 1)
    with pytest.raises(UsageError, match="needs coloured images, got 1 channel"):
        grayscale_and_color(lambda rng, image: image[None])(jax.random.key(0), image[..., :1])
