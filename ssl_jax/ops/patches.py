"""Images cut into patches."""

import jax.numpy as jnp
from jax import Array


def patchify(images: Array, size: int) -> Array:
    """Square patches side by side, as channels: `[B, H, W, C]` -> `[B, H / size, W / size, size * size * C]`."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.swapaxes(2, 3).reshape(batch, height // size, width // size, size * size * channels)


def overlapping_patches(images: Array, size: int, *, stride: int) -> Array:
    """Squares of `size` pixels every `stride` pixels: `[B, H, W, C]` -> `[B, h, w, size, size, C]`.

    What is left at the right and at the bottom, less than a stride, is dropped.
    """
    rows, columns = (
        jnp.arange(0, side - size + 1, stride)[:, None] + jnp.arange(size)[None] for side in images.shape[1:3]
    )
    return images[:, rows[:, None, :, None], columns[None, :, None, :]]
