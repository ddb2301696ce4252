"""Patches against slices of the image, one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.ops.patches import overlapping_patches, patchify, sub_crops

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


def test_sub_crops_are_squares_of_their_patch_in_a_frame_of_zeros():
    patches = overlapping_patches(jnp.asarray(IMAGES) + 10, 4, stride=2)
    found = np.asarray(sub_crops(jax.random.key(0), patches, 3))
    assert found.shape == patches.shape
    assert (found[..., 3, :, :] == 0).all() and (
        found[..., :, 3, :] == 0
    ).all()  # One pixel is left over: after, as before 0.
    corners = set()
    for patch, crop in zip(patches.reshape(-1, 4, 4, 3), found.reshape(-1, 4, 4, 3), strict=True):
        at = [(y, x) for y in (0, 1) for x in (0, 1) if np.array_equal(crop[:3, :3], patch[y : y + 3, x : x + 3])]
        assert len(at) == 1
        corners |= set(at)
    assert len(corners) > 1
    np.testing.assert_array_equal(sub_crops(jax.random.key(0), patches, 4), patches)
