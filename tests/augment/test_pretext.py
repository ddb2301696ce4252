"""Tiles, rotations and orders: what a pretext task is about, and that nothing gives it away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment import pretext
from ssl_jax.augment.permutations import permutations
from ssl_jax.errors import UsageError

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
PLACES = jnp.arange(400, dtype=jnp.float32).reshape(20, 20, 1)  # each pixel says where it is


def same(rng, image):
    return image[None]


def untouched(rng, tile):
    return tile


def corners(cut):
    """Row and column of the first pixel of each tile of PLACES."""
    first = np.asarray(cut)[:, 0, 0, 0].astype(int)
    return np.stack([first // 20, first % 20], axis=1)


@pytest.mark.parametrize("count", [9, 24, 64])
def test_orders_are_far_apart(count):
    orders = permutations(count)
    assert orders.shape == (count, 9) and (np.sort(orders, axis=1) == np.arange(9)).all()
    apart = (orders[:, None] != orders[None]).sum(axis=-1)[np.triu_indices(count, 1)]
    assert apart.min() >= {9: 9, 24: 7, 64: 7}[count] and apart.mean() >= 8.1
    np.testing.assert_array_equal(orders[:9], permutations(9))


@pytest.mark.slow
def test_two_thousand_orders_are_different_ones():
    orders = permutations(2000)
    assert len(np.unique(orders, axis=0)) == 2000
    apart = (orders[:300, None] != orders[None, 300:]).sum(axis=-1)
    assert apart.min() >= 4 and apart.mean() > 7.9


def test_rotations_exchange_axes_and_nothing_else():
    image = jnp.asarray(RANDOM.random((6, 6, 3)), jnp.float32)
    turned = pretext.four_rotations(same)(KEY, image)
    for quarters in range(4):
        np.testing.assert_array_equal(turned[quarters], np.rot90(image, quarters))


def test_tiles_stand_in_a_grid_with_gaps():
    cut = pretext.tiles(KEY, PLACES, size=4, gap=2, jitter=0)
    assert cut.shape == (9, 4, 4, 1)
    at = corners(cut)
    np.testing.assert_array_equal(at - at[:1], 6 * np.stack(np.divmod(np.arange(9), 3), axis=1))


def test_tiles_jitter_one_by_one_and_the_grid_lies_anywhere():
    at = np.stack([corners(pretext.tiles(key, PLACES, size=4, gap=2, jitter=1)) for key in jax.random.split(KEY, 60)])
    shifts = at[:, 1] - at[:, 0] - [0, 6]
    assert set(np.unique(shifts)) == {-2, -1, 0, 1, 2}
    assert len(np.unique(at[:, 4], axis=0)) > 9 and at.min() >= 0 and at.max() <= 16


def test_a_tile_tells_neither_brightness_nor_contrast():
    image = jnp.asarray(RANDOM.random((20, 20, 3)), jnp.float32)
    grid = pretext.grid_views(same, size=4, gap=2, jitter=1, finish=pretext.without_shortcuts())
    cut = grid(KEY, image)
    np.testing.assert_allclose(cut.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(cut.std(axis=(1, 2)), 1, rtol=1e-4)
    np.testing.assert_allclose(grid(KEY, 0.7 * image + 0.2), cut, rtol=1e-3, atol=1e-4)
    assert jnp.abs(grid(KEY, 0.5 + 1e-3 * image)).max() < 0.05, "noise of a flat tile is not blown up"


def test_jigsaw_shows_the_tiles_in_the_order_that_it_tells():
    grid = pretext.grid_views(same, size=4, gap=2, jitter=0, finish=untouched)
    orders = permutations(9)
    seen = set()
    for key in jax.random.split(KEY, 40):
        views = pretext.jigsaw_views(grid, orders)(key, PLACES)
        at = corners(views["views"])
        number = 3 * ((at[:, 0] - at[:, 0].min()) // 6) + (at[:, 1] - at[:, 1].min()) // 6
        np.testing.assert_array_equal(number, orders[views["order"]])
        seen.add(int(views["order"]))
    assert len(seen) > 6


def test_pirl_sees_the_image_and_its_parts_in_any_order():
    grid = pretext.grid_views(same, size=4, gap=2, jitter=0, finish=untouched)
    augment = pretext.pirl_views(same, pretext.shuffled(grid))
    drawn = [augment(key, PLACES) for key in jax.random.split(KEY, 5)]
    assert drawn[0]["views"].shape == (1, 20, 20, 1) and drawn[0]["transformed"].shape == (9, 4, 4, 1)
    firsts = [tuple(np.argsort(corners(one["transformed"]) @ [20, 1])) for one in drawn]
    assert len(set(firsts)) == 5
    rotated = pretext.pirl_views(same, pretext.one_of(pretext.four_rotations(same)))
    assert {float(rotated(key, PLACES)["transformed"][0, 0, 0, 0]) for key in jax.random.split(KEY, 30)} == {
        0,
        19,
        399,
        380,
    }


def test_dropping_colours_leaves_one_channel_and_little_noise():
    tile = jnp.asarray(RANDOM.random((8, 8, 3)), jnp.float32)
    kept = set()
    for key in jax.random.split(KEY, 20):
        left = np.asarray(pretext.drop_colors(key, tile))
        same_channels = [channel for channel in range(3) if (left[..., channel] == tile[..., channel]).all()]
        assert len(same_channels) == 1
        others = np.delete(left, same_channels[0], axis=-1)
        assert 0 < others.std() < 0.02
        kept.add(same_channels[0])
    assert kept == {0, 1, 2}


def test_projected_colours_are_blind_to_green_against_magenta():
    tile = jnp.asarray(RANDOM.random((4, 4, 3)), jnp.float32)
    shifted = tile + 0.3 * jnp.array([-1.0, 2.0, -1.0]).reshape(1, 1, 3)
    left = pretext.project_colors(tile)
    np.testing.assert_allclose(pretext.project_colors(shifted), left, atol=1e-6)
    np.testing.assert_allclose(pretext.project_colors(left), left, atol=1e-6)
    grey = jnp.full((4, 4, 3), 0.4)
    np.testing.assert_allclose(pretext.project_colors(grey), grey, atol=1e-6)


@pytest.mark.parametrize("treat", [lambda tile: pretext.drop_colors(KEY, tile), pretext.project_colors])
def test_grey_tiles_have_no_colours_to_lose(treat):
    np.testing.assert_array_equal(treat(PLACES), PLACES)


def test_wrong_input_is_one_sentence():
    with pytest.raises(
        UsageError, match=r"3 of 6 pixels with gaps of 2 and jitter of 0 take 22 pixels, the image has 20"
    ):
        pretext.tiles(KEY, PLACES, size=6, gap=2, jitter=0)
    with pytest.raises(UsageError, match=r"permutations: must be 2 to 10000, got 1"):
        permutations(1)
