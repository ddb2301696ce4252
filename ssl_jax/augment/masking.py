"""Masks of an image, with visible patches and patches to predict: MAE's random ones, I-JEPA's blocks, a hole.

Patches of a grid are numbered row by row; `grid` is the number of them on a side, or rows and columns, and P that of all.
Shapes are fixed, so that a step compiles once: the number of visible patches does not depend on the draws.
"""

import math
from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.augment.chance import Range
from ssl_jax.augment.views import ViewMaker
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured
from ssl_jax.sizes import ImageSize, sides_of

Fixed = tuple[Array, Array]  # A range of one value, computed under `jit`.
MaskedViews = Callable[[Array, Array], dict[str, Array]]


@configured
def random_masking(view: ViewMaker, *, grid: ImageSize, ratio: float = 0.75) -> MaskedViews:
    """One view with a random part of its patches masked.

    Args:
      grid: number of patches on a side, or rows and columns.
      ratio: fraction of masked patches, in (0, 1); the number of visible ones is rounded down, as in models_mae.py of
        facebookresearch/mae: 4 of 49 patches at 0.9.

    Returns:
      `(rng, image) -> {"views": [1, size, size, C], "seen": int32 [S], "wanted": int32 [P - S]}`.

    Example:
      >>> from ssl_jax.augment.views import simclr_views
      >>> views = random_masking(simclr_views(size=28, mean=(0.5,) * 3, std=(0.25,) * 3, views=1), grid=7)
      >>> made = jax.eval_shape(views, jax.random.key(0), jnp.zeros((48, 48, 3), jnp.uint8))
      >>> print({name: array.shape for name, array in made.items()})
      {'seen': (12,), 'views': (1, 28, 28, 3), 'wanted': (37,)}

    Source: He et al. 2021, https://arxiv.org/abs/2111.06377, section 3.
    """
    patches = math.prod(sides_of(grid))
    seen = int(patches * (1 - ratio))
    if not 0 < seen < patches:
        raise UsageError(f"mask_ratio: must leave some of the {patches} patches visible and mask some, got {ratio:g}.")

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        view_rng, mask_rng = jax.random.split(rng)
        order = jax.random.permutation(mask_rng, jnp.arange(patches, dtype=jnp.int32))
        return {"views": view(view_rng, image)[:1], "seen": order[:seen], "wanted": order[seen:]}

    return augment


@configured
def block_masking(
    view: ViewMaker,
    *,
    grid: ImageSize,
    blocks: int = 4,
    block: Range = (0.15, 0.2),
    aspect: Range = (0.75, 1.5),
    context: Range = (0.85, 1.0),
    seen: float = 1 / 3,
) -> MaskedViews:
    """One view, blocks of patches to predict, and as context a visible part of a large block without them.

    The authors' code reduces the visible patches of all images to the smallest number in the batch; ours takes a random
    third of the grid, which the large block without the others rarely lacks. If it does, patches repeat. In their code
    (src/masks/multiblock.py of facebookresearch/ijepa) the blocks of a batch have one size and no block touches the last row
    or column, so that four cover 0.446 of a grid of 14, and that border is never predicted; our blocks have separate sizes
    and may contain any patch: 0.48. Where the blocks cover the whole grid, one patch is removed from them and
    stays visible.

    Args:
      grid: number of patches on a side, or rows and columns.
      blocks: number of blocks; they may overlap.
      block, aspect: ranges of a block's fraction of the area, and of its height over its width, both as parts of the grid's.
      context: range of the fraction of the area of the large block, which has the shape of the grid.
      seen: visible fraction of the grid.

    Returns:
      `(rng, image) -> {"views": [1, size, size, C], "seen": [S], "wanted": [blocks, W], "counted": [blocks, W]}`. A block
      smaller than the largest, W, is padded with its own patches, which "counted" excludes.

    Example:
      >>> views = block_masking(lambda rng, image: image[None], grid=6)(jax.random.key(0), jnp.zeros((24, 24, 3)))
      >>> print({name: array.shape for name, array in views.items()})
      {'views': (1, 24, 24, 3), 'seen': (12,), 'wanted': (4, 9), 'counted': (4, 9)}

    Source: Assran et al. 2023, https://arxiv.org/abs/2301.08243, section 3 and appendix A.
    """
    patches, most = math.prod(sides_of(grid)), _largest(grid, block, aspect)
    count, (rows, columns) = round(seen * patches), sides_of(grid)
    if not 0 < count < patches or most >= patches:
        raise UsageError(
            f"block_masking: a grid of {rows} x {columns} is too small for blocks: choose smaller patches."
        )

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        view_rng, block_rng, context_rng, order_rng = jax.random.split(rng, 4)
        inside = jax.vmap(lambda key: draw_block(key, grid, area=block, aspect=aspect))(
            jax.random.split(block_rng, blocks)
        )
        order = jax.random.uniform(order_rng, (patches,))
        covered = inside.any(axis=0).all()
        inside = inside & ~(covered & (jnp.arange(patches) == order.argmin()))[None]
        left = draw_block(context_rng, grid, area=context, aspect=(1.0, 1.0)) & ~inside.any(axis=0)
        left = jnp.where(left.any(), left, ~inside.any(axis=0))
        wanted, counted = jax.vmap(lambda block: some_of(block, jnp.arange(patches), most))(inside)
        return {
            "views": view(view_rng, image)[:1],
            "seen": some_of(left, order, count)[0],
            "wanted": wanted,
            "counted": counted,
        }

    return augment


def draw_block(rng: Array, grid: ImageSize, *, area: Range | Fixed, aspect: Range | Fixed) -> Array:
    """A random rectangle of patches on the grid: true inside, `[P]`. aspect: of its height over its width, both as parts of
    the grid's.

    Example:
      >>> print(draw_block(jax.random.key(0), 4, area=(0.25, 0.25), aspect=(1.0, 1.0)).sum())
      4
    """
    area_rng, aspect_rng, corner_rng = jax.random.split(rng, 3)
    rows, columns = sides_of(grid)
    whole = np.array([rows, columns], np.int32)
    part = jax.random.uniform(area_rng, minval=area[0], maxval=area[1]) * (rows * columns)
    ratio = jax.random.uniform(aspect_rng, minval=aspect[0], maxval=aspect[1]) * (rows / columns)
    sides = jnp.stack([jnp.sqrt(part * ratio), jnp.sqrt(part / ratio)])
    sides = jnp.clip(jnp.round(sides).astype(jnp.int32), 1, whole)
    corner = jax.random.randint(corner_rng, (2,), 0, whole - sides + 1)
    at = jnp.stack(jnp.divmod(jnp.arange(rows * columns), columns), axis=1)
    return ((at >= corner[None]) & (at < (corner + sides)[None])).all(axis=1)


def some_of(mask: Array, order: Array, count: int) -> tuple[Array, Array]:
    """`count` indices at which the mask is true, in ascending `order`; they repeat where there are fewer.

    Returns them, int32 `[count]`, and a mask of first occurrences, bool `[count]`: all false if the mask is never true.

    Example:
      >>> mask, order = jnp.array([True, False, True, False]), jnp.array([0.3, 0.1, 0.2, 0.4])
      >>> print(some_of(mask, order, 3))
      (Array([2, 0, 2], dtype=int32), Array([ True,  True, False], dtype=bool))
    """
    ordered = jnp.argsort(jnp.where(mask, order.astype(jnp.float32), jnp.inf)).astype(jnp.int32)
    turn, available = jnp.arange(count), mask.sum()
    return ordered[turn % jnp.maximum(available, 1)], turn < available


def _largest(grid: ImageSize, area: Range, aspect: Range) -> int:
    """Patches of the largest block that `draw_block` can give."""
    rows, columns = sides_of(grid)
    parts, ratios = (np.linspace(*ends, 201) for ends in (area, aspect))
    sides = [(np.sqrt(part * ratio) * rows, np.sqrt(part / ratio) * columns) for part, ratio in product(parts, ratios)]
    return max(int(np.prod(np.clip(np.round(pair), 1, (rows, columns)))) for pair in sides)


@configured
def hole_masking(view: ViewMaker, *, hole: int, anywhere: int | None = None) -> MaskedViews:
    """One view with a square in its middle, or several squares at random, filled with the mean colour.

    Args:
      hole: side of a square in pixels.
      anywhere: number of squares at random positions, which may overlap; None for one in the middle.

    Returns:
      `(rng, image) -> {"views": [1, size, size, C], "hole": [hole, hole, C]}`; with random squares "hole" is the whole view,
      and "counted" is added, bool `[size, size]`, true within the squares.

    Example:
      >>> views = hole_masking(lambda rng, image: image[None], hole=4)(jax.random.key(0), jnp.ones((8, 8, 3)))
      >>> print(views["views"][0, :, 4, 0], views["hole"].shape)
      [1. 1. 0. 0. 0. 0. 1. 1.] (4, 4, 3)

    Source: Pathak et al. 2016, https://arxiv.org/abs/1604.07379, section 3.3, "central region" and "random block".
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        view_rng, hole_rng = jax.random.split(rng)
        seen = view(view_rng, image)[0]
        sides = np.array(seen.shape[:2])
        if not 0 < hole < sides.min():
            raise UsageError(f"hole: must be above 0 and below the view's {sides.min()} pixels, got {hole}.")
        # Views are standardised: 0 is the mean of the data set.
        if anywhere is None:
            top, left = (sides - hole) // 2
            inside = slice(top, top + hole), slice(left, left + hole)
            return {"views": seen.at[inside].set(0)[None], "hole": seen[inside]}
        corners = jax.random.randint(hole_rng, (anywhere, 2), 0, sides[None] - hole + 1)
        rows, columns = (
            (indices[None] >= corner[:, None]) & (indices[None] < corner[:, None] + hole)
            for indices, corner in zip(map(jnp.arange, sides), corners.T, strict=True)
        )
        counted = (rows[:, :, None] & columns[:, None]).any(axis=0)
        return {"views": jnp.where(counted[..., None], 0, seen)[None], "hole": seen, "counted": counted}

    return augment
