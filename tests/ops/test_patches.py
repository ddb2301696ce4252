"""Patches against slices of the image, one by one."""

import jax.numpy as jnp
import numpy as np

from ssl_jax.ops.patches import overlapping_patches, patchify

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 9, 3)).astype(np.float32)


def test_patchify_lays_squares_side_by_side():
    patches = np.asarray(patchify(jnp.asarray(IMAGES), 3))
    assert patches.shape == (2, 2, 3, 27)
    for row in range(2):
        for column in range(3):
            square = IMAGES[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            np.testing.assert_array_equal(patches[:, row, column], square.reshape(2, -1))


def test_overlapping_patches_are_slices_and_what_is_left_over_is_dropped():
    patches = np.asarray(overlapping_patches(jnp.asarray(IMAGES), 4, stride=2))
    assert patches.shape == (2, 2, 3, 4, 4, 3)
    for row in range(2):
        for column in range(3):
            square = IMAGES[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
            np.testing.assert_array_equal(patches[:, row, column], square)
