"""Demos on tiles: the view of evaluation is what tiles are, and nothing but what is in the image lies in a tile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.recipes import find


@pytest.mark.parametrize("method", ["jigsaw", "relative_position"])
def test_whole_images_are_standardised_as_tiles_are(method):
    recipe = find(method, "demo")()
    image = jnp.asarray(recipe.data.train[0]["image"])
    seen = jax.jit(recipe.prepare)(image)
    assert seen.shape == (42, 42, 1)
    np.testing.assert_allclose([seen.mean(), seen.std()], [0, 1], atol=1e-4)


@pytest.mark.slow
def test_no_tile_shows_what_is_outside_the_image():
    """Of a flat image every tile is flat, at the corners too: black there would tell the place."""
    recipe = find("relative_position", "demo")()  # The tiles of both, without an order.
    white = jnp.full((42, 42, 1), 255, jnp.uint8)
    views = jax.jit(jax.vmap(recipe.augment, in_axes=(0, None)))
    tiles = views(jax.random.split(jax.random.key(0), 20), white)
    assert tiles.shape == (20, 9, 12, 12, 1)
    np.testing.assert_allclose(tiles, 0, atol=1e-4)
