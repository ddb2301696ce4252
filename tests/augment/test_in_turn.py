"""Views of one image after another on a CPU: those of a whole batch at once, up to rounding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.augment.blur import blur_rows, gaussian_blur
from ssl_jax.augment.color import adjust_contrast, adjust_hue, adjust_saturation, to_grayscale
from ssl_jax.augment.columns import crop_by_columns
from ssl_jax.augment.geometry import crop_and_resize, flip
from ssl_jax.augment.views import photo_views
from ssl_jax.errors import UsageError

ROUNDING = (
    3e-4  # Positions of about 80 pixels are rounded by 4e-6; of noise, contrast and the deviation make 50 times that.
)
COLOUR = {"mean": (0.2, 0.4, 0.6), "std": (0.5, 0.25, 0.2)}


def pictures(*shape):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def program_of(augment, count=4):
    return str(
        jax.make_jaxpr(jax.vmap(augment))(jax.random.split(jax.random.key(0), count), pictures(count, 72, 80, 3))
    )


OPTIONS = (
    {"size": (66, 72), "blur": 1.0, "grayscale": 0.5, "solarize": 0.5, "scale": (0.3, 1.0)},
    {"size": 66, "resampling": "cubic", "blur_kernel": "pillow", "jitter_probability": 1.0},
    {"size": 66, "antialias": False, "flip": False, "blur": 0.0, "grayscale": 0.0, "views": 1},
)


@pytest.mark.parametrize("options", OPTIONS, ids=["solarized", "cubic", "plain"])
def test_they_are_the_views_of_a_batch(options):
    """Images in [0, 1] are computed as a batch, uint8 ones in turn."""
    images, keys = pictures(12, 72, 80, 3), jax.random.split(jax.random.key(1), 12)
    augment = jax.jit(jax.vmap(photo_views(**COLOUR, **options)))
    np.testing.assert_allclose(augment(keys, images), augment(keys, images.astype(jnp.float32) / 255), atol=ROUNDING)


def test_they_take_images_of_other_channels():
    images, keys = pictures(4, 72, 80, 2), jax.random.split(jax.random.key(1), 4)
    augment = jax.jit(jax.vmap(photo_views(size=66, mean=(0.5,) * 2, std=(0.2,) * 2)))
    np.testing.assert_allclose(augment(keys, images), augment(keys, images.astype(jnp.float32) / 255), atol=ROUNDING)


def test_only_views_of_more_than_64_pixels_branch():
    assert "cond" in program_of(photo_views(size=66, **COLOUR)) and "cond" not in program_of(
        photo_views(size=64, **COLOUR)
    )


def test_images_over_several_devices_are_a_batch():
    rows = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data"))
    keys, images = jax.device_put((jax.random.split(jax.random.key(0), 8), pictures(8, 72, 80, 3)), rows)
    assert "cond" not in str(jax.make_jaxpr(jax.vmap(photo_views(size=66, **COLOUR)))(keys, images))


def test_several_keys_for_one_image_and_one_for_several():
    images, keys = pictures(2, 72, 80, 3), jax.random.split(jax.random.key(1), 2)
    augment = photo_views(size=66, views=1, jitter_probability=0.0, blur=0.0, grayscale=0.0, **COLOUR)
    both = jax.jit(jax.vmap(jax.vmap(augment, (None, 0)), (0, None)))(keys, images)
    assert both.shape == (2, 2, 1, 66, 66, 3)
    np.testing.assert_allclose(both[1, 0], jax.jit(augment)(keys[1], images[0]), atol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("box", [(0, 0, 40, 31), (3, 5, 9, 7), (39, 30, 1, 1)])
def test_a_crop_by_taps_is_the_product_with_matrices(kernel, antialias, box):
    image, box = jnp.asarray(np.random.default_rng(0).random((40, 31, 3), np.float32)), jnp.array(box, jnp.float32)
    options = {"size": (12, 16), "kernel": kernel, "antialias": antialias}
    expected = crop_and_resize(image, box, **options)
    for mirrored, right in ((False, expected), (True, flip(expected))):
        columns = crop_by_columns(image, box, jnp.array(mirrored), **options)
        np.testing.assert_allclose(columns.transpose(2, 0, 1), right, atol=2e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.9, 2.0])
def test_a_blur_of_rows_twice_is_a_blur(sigma):
    image = jnp.asarray(np.random.default_rng(0).random((30, 25, 3), np.float32))
    blur = partial(blur_rows, sigma=sigma, kernel_size=23)
    twice = blur(blur(image).swapaxes(0, 1)).swapaxes(0, 1)
    np.testing.assert_allclose(twice, gaussian_blur(image, sigma, kernel_size=23), atol=1e-6)


def test_a_blur_of_rows_refuses_a_kernel_beyond_the_mirrored_image():
    with pytest.raises(UsageError, match="kernel_size must be odd and at most 9"):
        blur_rows(jnp.zeros((5, 8, 3)), 1.0, kernel_size=11)


def luma(image, _, **axis):
    return to_grayscale(image, **axis)


@pytest.mark.parametrize("adjust", [adjust_contrast, adjust_saturation, adjust_hue, luma])
def test_channels_may_be_another_axis(adjust):
    image = jnp.asarray(np.random.default_rng(0).random((6, 5, 3), np.float32))
    moved = adjust(jnp.moveaxis(image, -1, 1), 0.3, axis=1)
    np.testing.assert_allclose(jnp.moveaxis(moved, 1, -1), adjust(image, 0.3), atol=1e-6)
