"""Blur against a float64 definition; the random one by its probability and its range of sigma."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.blur import gaussian_blur, pillow_kernel, random_gaussian_blur, simclr_kernel
from ssl_jax.errors import UsageError


def blurred(image, sigma, kernel_size):
    """Row by row and column by column, mirrored without repeating the edge."""
    offsets = np.arange(kernel_size) - kernel_size // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    result = np.zeros(image.shape)
    last = np.array(image.shape[:2]) - 1
    for i, j in np.ndindex(image.shape[:2]):
        for a, down in zip(weights, offsets, strict=True):
            for b, right in zip(weights, offsets, strict=True):
                y, x = last - abs(last - abs(np.array([i + down, j + right])))
                result[i, j] += a * b * image[y, x]
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("sigma", "kernel_size"), [(0.1, 3), (1.0, 5), (2.0, 9)])
def test_blur_is_its_definition(channels, sigma, kernel_size):
    image = np.random.default_rng(0).random((7, 6, channels))
    made = gaussian_blur(jnp.asarray(image, jnp.float32), sigma, kernel_size=kernel_size)
    np.testing.assert_allclose(made, blurred(image, sigma, kernel_size), atol=1e-6)


@pytest.mark.slow
def test_constant_images_stay_and_a_kernel_of_1_changes_nothing():
    np.testing.assert_allclose(gaussian_blur(jnp.full((8, 8, 1), 0.7), 2.0, kernel_size=7), 0.7, atol=1e-6)
    image = jnp.asarray(np.random.default_rng(0).random((5, 5, 3)), jnp.float32)
    np.testing.assert_array_equal(gaussian_blur(image, 2.0, kernel_size=1), image)


def test_random_blur_draws_sigma_from_its_range_with_its_probability():
    point = jnp.zeros((7, 7, 1)).at[3, 3].set(1.0)
    blur = partial(random_gaussian_blur, kernel_size=3, sigma=(0.5, 2.0), probability=0.3)
    made = jax.jit(jax.vmap(blur, (0, None)))(jax.random.split(jax.random.key(0), 2000), point)[..., 0]
    applied = np.asarray(made[:, 3, 3] < 1)
    assert abs(applied.mean() - 0.3) < 0.045
    sigma = np.sqrt(0.5 / np.log(made[:, 3, 3] / made[:, 3, 4]))[applied]  # neighbours differ by exp(-1 / (2 sigma^2))
    np.testing.assert_allclose([sigma.min(), sigma.max(), sigma.mean()], [0.5, 2.0, 1.25], atol=0.06)


def test_kernel_of_simclr():
    assert [simclr_kernel(size) for size in (16, 32, 96, 224)] == [1, 3, 9, 23]


@pytest.mark.slow
def test_a_kernel_for_pillows_blur_holds_its_widest_and_fits_the_image():
    assert [pillow_kernel(size) for size in (1, 4, 32, 96)] == [1, 7, 13, 13]
    image = np.random.default_rng(0).random((32, 32, 1), np.float32)
    wide = gaussian_blur(jnp.asarray(image), 2.0, kernel_size=31)
    np.testing.assert_allclose(gaussian_blur(jnp.asarray(image), 2.0, kernel_size=pillow_kernel(32)), wide, atol=3e-3)
    assert abs(gaussian_blur(jnp.asarray(image), 2.0, kernel_size=simclr_kernel(32)) - wide).max() > 0.1


def test_wrong_arguments_are_told_in_a_sentence():
    image = jnp.zeros((4, 8, 1))
    with pytest.raises(UsageError, match="must be odd"):
        gaussian_blur(image, 1.0, kernel_size=4)
    with pytest.raises(UsageError, match="at most 7"):
        gaussian_blur(image, 1.0, kernel_size=9)
    with pytest.raises(UsageError, match="sigma must be a range"):
        random_gaussian_blur(jax.random.key(0), image, kernel_size=3, sigma=(0.0, 1.0))
