"""Layers are pooled to the sizes of the papers, and each cell is the mean that a loop computes."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.evaluate.pooling import grid_pool, pool_layer


@pytest.mark.parametrize(("shape", "side"), [((7, 5), 3), ((4, 6), 4), ((9, 9), 9), ((3, 3), 5), ((5, 5), 1)])
def test_cells_are_means_of_their_rows_and_columns(shape, side):
    maps = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    height, width = (min(side, length) for length in shape)
    expected = np.zeros((2, height, width, 3))
    for row in range(height):
        for column in range(width):
            top, bottom = row * shape[0] // height, -(-(row + 1) * shape[0] // height)
            left, right = column * shape[1] // width, -(-(column + 1) * shape[1] // width)
            expected[:, row, column] = maps[:, top:bottom, left:right].mean(axis=(1, 2))
    np.testing.assert_allclose(grid_pool(jnp.asarray(maps), side=side), expected, rtol=1e-5, atol=1e-6)


def test_a_resnet_50_at_224_pixels_has_the_sizes_of_vissl():
    shapes = [(1, 112, 112, 64), (1, 56, 56, 256), (1, 28, 28, 512), (1, 14, 14, 1024), (1, 7, 7, 2048), (1, 2048)]
    found = [pool_layer(jnp.zeros(shape)).shape[1] for shape in shapes]
    assert found == [9216, 9216, 8192, 9216, 8192, 2048]


def test_patches_are_pooled_as_a_map_without_the_tokens_before_them():
    maps = np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32)
    tokens = jnp.concatenate([jnp.full((2, 5, 8), 1e6), maps.reshape(2, 24, 8)], axis=1)  # Class token and registers.
    np.testing.assert_array_equal(pool_layer(tokens, patches=(4, 6), size=32), pool_layer(jnp.asarray(maps), size=32))
    assert pool_layer(tokens, patches=(4, 6), size=32).shape == (2, 32)
    np.testing.assert_allclose(pool_layer(tokens[:, 5:]), maps.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_frames_are_averaged_and_vectors_are_left_alone():
    clips = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 8)).astype(np.float32)
    np.testing.assert_allclose(
        pool_layer(jnp.asarray(clips), size=32),
        pool_layer(jnp.asarray(clips.mean(axis=1)), size=32),
        rtol=1e-5,
        atol=1e-6,
    )
    vectors = jnp.ones((2, 20_000), jnp.bfloat16)
    assert pool_layer(vectors).shape == (2, 20_000) and pool_layer(vectors).dtype == jnp.float32
