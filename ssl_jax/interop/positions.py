"""The positions of a vision transformer in a file: of how many rows and columns of patches, which no file shows."""

import math
from collections.abc import Sequence

import numpy as np

from ssl_jax.interop.arrays import Flat
from ssl_jax.sizes import ImageSize, sides_of


def grid_of(counts: Sequence[int], patch: int, size: ImageSize | None) -> tuple[int, int] | None:
    """Rows and columns of one of these numbers of patches: those of images of this size, else those of a square.

    Args:
      counts: numbers of patches that a file may hold positions of, the likeliest first.
      patch: pixels of a side of a patch.
      size: pixels of a side of the images, or height and width; None where it is not known.

    Returns:
      None where no number is that of images of this size, or of a square.

    Example:
      >>> print(grid_of([196], 16, None), grid_of([24], 16, (64, 96)), grid_of([24], 16, 64))
      (14, 14) (4, 6) None
    """
    if size:
        rows, columns = (side // patch for side in sides_of(size))
        if rows * columns in counts:
            return rows, columns
    sides = [math.isqrt(count) for count in counts if count > 0 and math.isqrt(count) ** 2 == count]
    return (sides[0], sides[0]) if sides else None


def with_all_positions(arrays: Flat, size: ImageSize | None) -> Flat:
    """With rows of zeros in the positions, where a file has none for registers (DINOv2) or for the class token (no_embed_class
    of timm): in timm's names every token has a row. size: as in `grid_of`."""
    token, positions, patches = (arrays.get(name) for name in ("cls_token", "pos_embed", "patch_embed.proj.weight"))
    registers = arrays.get("reg_token", np.zeros((1, 0, 1)))
    if token is None or positions is None or patches is None:
        return arrays
    if (positions.ndim, registers.ndim, patches.ndim) != (3, 3, 4):
        return arrays
    rows, count = positions.shape[1], registers.shape[1]
    missing = {rows - 1: [1] * count, rows: [0] * (1 + count), rows - 1 - count: []}
    grid = grid_of(list(missing), patches.shape[-1], size)
    zeros = missing[math.prod(grid)] if grid else []
    return arrays | {"pos_embed": np.insert(positions, zeros, 0, axis=1)} if zeros else arrays
