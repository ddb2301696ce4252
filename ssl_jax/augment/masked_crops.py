"""Masks for crops: blocks of patches of some large crops, which the student sees as mask tokens (iBOT, DINOv2).

Patches of a grid are numbered row by row. Shapes are fixed, so that a step compiles once: the indices of masked
patches are filled up to the largest number there can be.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.augment.chance import Range
from ssl_jax.augment.masking import MaskedViews, draw_block, some_of
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured
from ssl_jax.sizes import ImageSize, sides_of


@configured
def masked_crops(
    crops: Callable[[Array, Array], dict[str, Array]],
    *,
    grid: ImageSize,
    ratio: Range = (0.1, 0.5),
    probability: float = 0.5,
    smallest: int = 4,
    aspect: Range = (0.3, 1 / 0.3),
    tries: int = 32,
) -> MaskedViews:
    """The crops of `multi_crop`, and masks for the large ones.

    A mask is a union of blocks, drawn one after the other until it has the number of patches that was drawn for it: a block
    counts only if it adds a patch, and not more than are left to add. The authors' generators (loader.py of bytedance/ibot,
    dinov2/data/masking.py of facebookresearch/dinov2) stop after ten such blocks in a row that do not count, this one after
    `tries` blocks in all. DINOv2 masks exactly half of the crops of a batch, with ratios spread evenly over them; here each
    crop is drawn by itself.

    Args:
      crops: makes "views" `[V, size, size, C]`, the large crops, and whatever else.
      grid: patches on a side of a large crop, or rows and columns; P in all.
      ratio: range of the part of a masked crop's patches that is masked, in [0, 1).
      probability: of a crop to be masked.
      smallest: patches of the smallest block that is drawn, before its sides are rounded.
      aspect: range of a block's height over its width, both as parts of the grid's; its logarithm is uniform. Sides end at the
        grid's.
      tries: blocks drawn for a mask.

    Returns:
      `(rng, image) -> {"masked": bool [V, P], "wanted": int32 [V, W], "counted": bool [V, W], **crops}`: "wanted"
      are the indices of the masked patches, W the largest number of them, and "counted" leaves out what fills them up.

    Raises:
      UsageError: no patch can be masked, or all can.

    Example:
      >>> crops = masked_crops(lambda rng, image: {"views": jnp.stack([image, image])}, grid=4, smallest=1)
      >>> views = crops(jax.random.key(0), jnp.zeros((8, 8, 3)))
      >>> print(views["masked"].shape, views["wanted"].shape)
      (2, 16) (2, 8)

    Source: Zhou et al. 2021, https://arxiv.org/abs/2111.07832, and Oquab et al. 2023, https://arxiv.org/abs/2304.07193,
    after Bao et al. 2021, https://arxiv.org/abs/2106.08254.
    """
    patches = math.prod(sides_of(grid))
    most = int(patches * ratio[1])
    if not 0 <= ratio[0] <= ratio[1] or not 0 < most < patches:
        raise UsageError(f"masked_crops: ratio must mask some of the {patches} patches and leave some, got {ratio}.")

    def mask_crop(rng: Array) -> Array:
        chance_rng, ratio_rng, block_rng = jax.random.split(rng, 3)
        share = jax.random.uniform(ratio_rng, minval=ratio[0], maxval=ratio[1])
        target = jnp.where(jax.random.bernoulli(chance_rng, probability), (patches * share).astype(jnp.int32), 0)

        def add(mask: Array, key: Array) -> tuple[Array, None]:
            left = target - mask.sum()
            larger = mask | _block(key, grid, smallest, left, aspect)
            added = larger.sum() - mask.sum()
            return jnp.where((added > 0) & (added <= left), larger, mask), None

        return lax.scan(add, jnp.zeros(patches, bool), jax.random.split(block_rng, tries))[0]

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        view_rng, mask_rng = jax.random.split(rng)
        views = crops(view_rng, image)
        masked = jax.vmap(mask_crop)(jax.random.split(mask_rng, len(views["views"])))
        wanted, counted = jax.vmap(lambda mask: some_of(mask, jnp.arange(patches), most))(masked)
        return {**views, "masked": masked, "wanted": wanted, "counted": counted}

    return augment


def _block(rng: Array, grid: ImageSize, smallest: int, largest: Array, aspect: Range) -> Array:
    """A rectangle of about `smallest` to `largest` patches: true inside, `[P]`."""
    area_rng, aspect_rng, block_rng = jax.random.split(rng, 3)
    low, high = (math.log(end) for end in aspect)
    area = jax.random.uniform(area_rng, minval=smallest, maxval=jnp.maximum(largest, smallest)) / math.prod(
        sides_of(grid)
    )
    ratio = jnp.exp(jax.random.uniform(aspect_rng, minval=low, maxval=high))
    return draw_block(block_rng, grid, area=(area, area), aspect=(ratio, ratio))
