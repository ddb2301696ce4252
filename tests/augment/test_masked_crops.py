"""Masks of crops: unions of blocks, of as many patches as were drawn, on some of the large crops."""

import functools
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.masked_crops import masked_crops
from ssl_jax.errors import UsageError

IMAGE = np.zeros((8, 8, 1), np.uint8)
KEYS = jax.random.split(jax.random.key(0), 500)


def crops(rng, image):
    return {"views": jnp.stack([image, image]).astype(jnp.float32), "small_views": jnp.ones((3, 4, 4, 1))}


@functools.cache
def drawn(**options):
    masks = masked_crops(crops, **options)
    return jax.device_get(jax.jit(jax.vmap(lambda key: masks(key, IMAGE)))(KEYS))


def authors_mask(grid, target, smallest, aspect=(0.3, 1 / 0.3)):
    """Blocks are added until the target is met, or ten in a row do not fit: data/masking.py of facebookresearch/dinov2."""
    mask = np.zeros((grid, grid), bool)
    while mask.sum() < target:
        left = target - mask.sum()
        for _ in range(10):
            area, ratio = random.uniform(smallest, left), math.exp(random.uniform(*map(math.log, aspect)))
            height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if height >= grid or width >= grid:
                continue
            top, first = random.randint(0, grid - height), random.randint(0, grid - width)
            larger = mask.copy()
            larger[top : top + height, first : first + width] = True
            if 0 < larger.sum() - mask.sum() <= left:
                mask = larger
                break
        else:
            return mask
    return mask


def test_the_crops_are_handed_on_and_each_large_one_has_a_mask():
    views = drawn(grid=14)
    assert views["views"].shape == (500, 2, 8, 8, 1) and views["small_views"].shape == (500, 3, 4, 4, 1)
    assert views["masked"].shape == (500, 2, 196) and views["wanted"].shape == views["counted"].shape == (500, 2, 98)
    masked = views["masked"]
    assert 0.44 < masked.any(axis=2).mean() < 0.56  # 1,000 crops, each with a probability of 1/2
    assert (masked[:, 0] != masked[:, 1]).any(axis=1).mean() > 0.6


def test_wanted_are_the_masked_patches():
    views = drawn(grid=7)
    for masked, wanted, counted in zip(
        *(views[name].reshape(1000, -1) for name in ("masked", "wanted", "counted")), strict=True
    ):
        np.testing.assert_array_equal(np.flatnonzero(masked), wanted[counted])


@pytest.mark.parametrize(("grid", "smallest"), [(14, 4), (14, 16), (7, 4)])
def test_masks_have_the_sizes_of_the_authors(grid, smallest):
    random.seed(0)
    sizes = drawn(grid=grid, smallest=smallest, probability=1.0)["masked"].sum(axis=2).ravel()
    expected = [authors_mask(grid, int(grid**2 * random.uniform(0.1, 0.5)), smallest).sum() for _ in range(1000)]
    assert sizes.max() <= grid**2 // 2
    for share in (0.1, 0.5, 0.9):
        assert abs(np.quantile(sizes, share) - np.quantile(expected, share)) < 0.03 * grid**2


def test_masks_are_made_of_blocks():
    """Most masked patches have masked neighbours, as they would not if they were drawn one by one."""
    masks = drawn(grid=14, probability=1.0)["masked"].reshape(1000, 14, 14)
    beside = (masks[:, :, 1:] & masks[:, :, :-1]).sum() / masks[:, :, 1:].sum()
    assert beside > 0.75 and 0.2 < masks.mean() < 0.35
    assert masks.any(axis=0).all()


@pytest.mark.parametrize("ratio", [(0.0, 0.0), (0.5, 0.1), (0.1, 1.0), (-0.1, 0.5)])
def test_a_mask_of_all_or_nothing_is_refused(ratio):
    with pytest.raises(UsageError, match="masked_crops: ratio must mask some of the 49 patches"):
        masked_crops(crops, grid=7, ratio=ratio)
