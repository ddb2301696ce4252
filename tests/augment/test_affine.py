"""Affine maps against scipy and against the product of the four steps in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from ssl_jax.augment.affine import affine, affine_matrix, crop_matrix, random_affine, sample_affine_matrix
from ssl_jax.augment.geometry import rotate90
from ssl_jax.errors import UsageError

IDENTITY = jnp.eye(2, 3)


def picture(height, width, channels=2):
    return jnp.asarray(np.random.default_rng(0).random((height, width, channels)), jnp.float32)


def matrix(*, degrees=0.0, shear=0.0, scale=1.0, shift=(0.0, 0.0)):
    """`affine_matrix` with defaults that change nothing."""
    return affine_matrix(degrees=degrees, shear=shear, scale=scale, shift=jnp.array(shift, jnp.float32))


def forward(*, degrees, shear, scale, shift):
    """Where a point (y, x, 1) of the image lands: one matrix [3, 3] for each step, y down, angles counter-clockwise."""
    angle, lean = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    scaled = np.diag([scale, scale, 1])
    sheared = np.array([[1, 0, 0], [-lean, 1, 0], [0, 0, 1]])
    rotated = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shifted = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    return shifted @ rotated @ sheared @ scaled


@pytest.mark.parametrize("size", [None, (5, 9)])
@pytest.mark.parametrize(("mode", "scipys"), [("constant", "grid-constant"), ("nearest", "nearest")])
def test_affine_is_scipys(size, mode, scipys):
    image = picture(7, 6)
    drawn = np.random.default_rng(1).normal(size=(2, 3))
    made = affine(image, jnp.asarray(drawn, jnp.float32), size=size, mode=mode)
    to = np.array(size or (7, 6))
    offset = drawn[:, 2] + (np.array([7, 6]) - 1) / 2 - drawn[:, :2] @ ((to - 1) / 2)
    transform = partial(scipy.ndimage.affine_transform, matrix=drawn[:, :2], offset=offset, output_shape=tuple(to))
    planes = [transform(plane, order=1, mode=scipys) for plane in np.moveaxis(np.float64(image), -1, 0)]
    np.testing.assert_allclose(made, np.stack(planes, -1), atol=5e-6)


def test_matrix_is_the_inverse_of_the_four_steps():
    steps = {"degrees": 20.0, "shear": 15.0, "scale": 1.3, "shift": (2.0, -3.0)}
    np.testing.assert_allclose(matrix(**steps), np.linalg.inv(forward(**steps))[:2], atol=1e-5)


def test_known_maps():
    image = picture(5, 5)
    np.testing.assert_allclose(affine(image, IDENTITY), image, atol=1e-6)
    np.testing.assert_allclose(affine(image, matrix(degrees=90.0)), rotate90(image, 1), atol=1e-5)
    moved = jnp.pad(image, ((2, 0), (0, 1), (0, 0)))[:5, 1:]
    np.testing.assert_allclose(affine(image, matrix(shift=(2.0, -1.0))), moved, atol=1e-6)
    upright = jnp.zeros((5, 5, 1)).at[:, 2].set(1.0)
    leaning = affine(upright, matrix(shear=45.0))[..., 0]  # the top to the right
    np.testing.assert_allclose(leaning, np.fliplr(np.eye(5)), atol=1e-5)
    np.testing.assert_allclose(
        affine(image, matrix(scale=3.0))[1:4, 1:4], affine(image, IDENTITY / 3, size=(3, 3)), atol=1e-6
    )


def test_a_crop_and_a_map_in_one_are_the_crop_at_the_coordinates_of_the_map():
    ramp = jnp.stack(jnp.meshgrid(jnp.arange(20.0), jnp.arange(30.0), indexing="ij"), axis=-1)  # holds its own (y, x)
    box, turn = jnp.array([4.0, 6.0, 8.0, 12.0]), matrix(degrees=30.0, scale=1.5)
    made = affine(ramp, crop_matrix(turn, box, image_size=(20, 30), size=(6, 6)), size=(6, 6))
    for i, j in np.ndindex(6, 6):
        from_middle = np.asarray(turn) @ [i - 2.5, j - 2.5, 1]  # in pixels of the result
        np.testing.assert_allclose(made[i, j], [4, 6] + (from_middle + 3) * [8 / 6, 12 / 6] - 0.5, atol=1e-4)


def test_sampled_maps_fill_their_ranges():
    def sample(**arguments):
        nothing = {"degrees": 0.0, "translate": 0.0, "scale": (1.0, 1.0), "shear": 0.0}
        draw = partial(sample_affine_matrix, size=(10, 20), **nothing | arguments)
        return np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 2000)))

    def has_range(values, low, high):
        near = 0.01 * (high - low)
        np.testing.assert_allclose([values.min(), values.max()], [low, high], atol=near)
        np.testing.assert_allclose(np.median(values), (low + high) / 2, atol=5 * near)

    turned = sample(degrees=30.0)
    has_range(np.rad2deg(np.arctan2(turned[:, 0, 1], turned[:, 0, 0])), -30, 30)
    has_range(1 / sample(scale=(0.5, 2.0))[:, 0, 0], 0.5, 2.0)
    has_range(np.rad2deg(np.arctan(sample(shear=20.0)[:, 1, 0])), -20, 20)
    shift = sample(translate=0.1)[:, :, 2]
    has_range(shift[:, 0], -1, 1)
    has_range(shift[:, 1], -2, 2)


@pytest.mark.slow
def test_random_affine_applies_a_sampled_map():
    image, rng, ranges = picture(6, 8), jax.random.key(1), {"degrees": 20.0, "translate": 0.1, "scale": (0.8, 1.2)}
    drawn = sample_affine_matrix(rng, size=(6, 8), shear=5.0, **ranges)
    np.testing.assert_array_equal(random_affine(rng, image, shear=5.0, **ranges), affine(image, drawn))
    np.testing.assert_allclose(random_affine(rng, image), image, atol=1e-6)


@pytest.mark.slow
def test_wrong_arguments_are_told_in_a_sentence():
    rng, image = jax.random.key(0), picture(4, 4)
    with pytest.raises(UsageError, match=r"degrees=-1"):
        random_affine(rng, image, degrees=-1)
    with pytest.raises(UsageError, match="shear below 90"):
        random_affine(rng, image, shear=90)
    with pytest.raises(UsageError, match="scale must be a range"):
        random_affine(rng, image, scale=(0.0, 1.0))
