"""Masks: what is seen and what is wanted never meet, and blocks are rectangles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.masking import block_masking, draw_block, hole_masking, random_masking, some_of
from ssl_jax.errors import UsageError

GRID = 8
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8)
KEYS = jax.random.split(jax.random.key(0), 200)


def whole(rng, image):
    return image.astype(jnp.float32)[None]


def test_random_masking_shares_the_patches_out():
    drawn = jax.jit(jax.vmap(random_masking(whole, grid=GRID, ratio=0.75), (0, None)))(KEYS, IMAGE)
    assert drawn["seen"].shape == (200, 16) and drawn["wanted"].shape == (200, 48)
    both = np.sort(np.concatenate([drawn["seen"], drawn["wanted"]], axis=1))
    np.testing.assert_array_equal(both, np.broadcast_to(np.arange(64), both.shape))
    often = np.bincount(np.asarray(drawn["seen"]).ravel(), minlength=64)  # each place in a quarter of the images
    assert often.min() > 25 and often.max() < 80


@pytest.mark.parametrize("ratio", [0.0, 1.0, 0.999])
def test_a_mask_of_all_or_nothing_is_refused(ratio):
    with pytest.raises(UsageError, match="mask_ratio: must leave some of the 64 patches"):
        random_masking(whole, grid=GRID, ratio=ratio)


@pytest.mark.parametrize(("grid", "ratio", "seen"), [(7, 0.9, 4), (14, 0.75, 49), (4, 0.7, 4), (3, 0.5, 4)])
def test_what_is_seen_is_rounded_down(grid, ratio, seen):
    """As `len_keep = int(L * (1 - mask_ratio))` of models_mae.py, facebookresearch/mae."""
    assert random_masking(whole, grid=grid, ratio=ratio)(jax.random.key(0), IMAGE)["seen"].shape == (seen,)


def test_blocks_are_rectangles_of_their_size_and_lie_everywhere():
    blocks = jax.jit(jax.vmap(lambda key: draw_block(key, GRID, area=(0.15, 0.2), aspect=(0.75, 1.5))))(KEYS)
    blocks = np.asarray(blocks).reshape(-1, GRID, GRID)
    for block in blocks:
        height, width = block.any(axis=1).sum(), block.any(axis=0).sum()
        assert block.sum() == height * width and 8 <= block.sum() <= 16
        assert 0.5 <= height / width <= 2
    assert blocks.any(axis=0).all()


def test_blocks_of_a_rectangle_have_its_shape_and_lie_everywhere():
    rows, columns = 4, 8
    draw = jax.vmap(lambda key: draw_block(key, (rows, columns), area=(0.2, 0.3), aspect=(1.0, 1.0)))
    blocks = np.asarray(jax.jit(draw)(KEYS)).reshape(-1, rows, columns)
    for block in blocks:
        height, width = block.any(axis=1).sum(), block.any(axis=0).sum()
        assert block.sum() == height * width and height == 2 and 3 <= width <= 5
    assert blocks.any(axis=0).all()
    masked = jax.jit(block_masking(whole, grid=(rows, columns)))(KEYS[0], IMAGE)
    assert masked["seen"].shape == (11,) and masked["wanted"].max() < 32


def test_block_masking_hides_its_blocks_from_what_is_seen():
    drawn = jax.jit(jax.vmap(block_masking(whole, grid=GRID), (0, None)))(KEYS, IMAGE)
    assert drawn["seen"].shape == (200, 21) and drawn["wanted"].shape[:2] == (200, 4)
    for seen, wanted, counted in zip(*(np.asarray(drawn[name]) for name in ("seen", "wanted", "counted")), strict=True):
        assert not set(seen) & set(wanted.ravel())
        for block, real in zip(wanted, counted, strict=True):
            assert len(set(block[real])) == real.sum() == len(set(block))  # what fills it up is its own
            rows, columns = np.divmod(block[real], GRID)
            assert real.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    twice = np.mean([len(set(seen)) < len(seen) for seen in np.asarray(drawn["seen"])])
    assert twice < 0.3  # too little is left in some images, and patches are seen twice


@pytest.mark.parametrize(
    ("grid", "options"),
    [
        (2, {}),
        (3, {"blocks": 12}),
        (4, {"block": (0.15, 0.25), "seen": 0.4}),
        (4, {"block": (0.4, 0.6), "blocks": 6}),
        (5, {"block": (0.4, 0.7), "blocks": 8}),
    ],
)
def test_no_target_is_seen_where_blocks_may_cover_the_grid(grid, options):
    masks = block_masking(whole, grid=grid, **options)
    keys = jax.random.split(jax.random.key(0), 2000)
    drawn = jax.jit(jax.vmap(lambda key: {**masks(key, IMAGE), "views": 0}))(keys)
    every, seen, wanted, counted = (
        np.arange(grid**2),
        *(np.asarray(drawn[name]) for name in ("seen", "wanted", "counted")),
    )
    is_seen = (seen[:, :, None] == every).any(axis=1)
    is_target = ((wanted[..., None] == every) & counted[..., None]).any(axis=(1, 2))
    assert not (is_seen & is_target).any()
    assert is_target.any(axis=1).all() and is_seen.any(axis=1).all()
    assert (
        grid == 3 or (is_target.sum(axis=1) == grid**2 - 1).any()
    )  # blocks that covered everything gave one patch back


def test_a_grid_without_room_for_blocks_is_refused():
    with pytest.raises(UsageError, match="a grid of 1 x 1 is too small"):
        block_masking(whole, grid=1)


def test_some_of_takes_in_order_and_begins_again():
    mask = jnp.array([False, True, True, False, True])
    numbers, first = some_of(mask, jnp.array([0.0, 3.0, 1.0, 0.0, 2.0]), 5)
    np.testing.assert_array_equal(numbers, [2, 4, 1, 2, 4])
    np.testing.assert_array_equal(first, [True, True, True, False, False])


def test_a_hole_is_the_middle_and_what_was_in_it_is_handed_over():
    drawn = hole_masking(whole, hole=6)(jax.random.key(0), jnp.asarray(IMAGE))
    inside = (slice(5, 11), slice(5, 11))
    np.testing.assert_array_equal(drawn["hole"], IMAGE[inside])
    expected = IMAGE.copy()
    expected[inside] = 0
    np.testing.assert_array_equal(drawn["views"][0], expected)
    with pytest.raises(UsageError, match="hole: must be above 0 and below the view's 16 pixels, got 16"):
        hole_masking(whole, hole=16)(jax.random.key(0), jnp.asarray(IMAGE))


def test_holes_anywhere_are_squares_and_the_whole_view_is_handed_over():
    image = jnp.asarray(IMAGE)
    drawn = jax.vmap(hole_masking(whole, hole=6, anywhere=1), (0, None))(KEYS, image)
    counted = np.asarray(drawn["counted"])
    assert (counted.sum(axis=(1, 2)) == 36).all() and (counted.any(axis=1).sum(axis=1) == 6).all()
    assert len(np.unique(counted, axis=0)) > 3
    hidden = np.where(counted[..., None], 0, IMAGE)
    np.testing.assert_array_equal(drawn["views"][:, 0], hidden)
    np.testing.assert_array_equal(drawn["hole"][0], IMAGE)
    three = hole_masking(whole, hole=6, anywhere=3)(jax.random.key(2), image)["counted"]
    assert 36 < three.sum() <= 108
