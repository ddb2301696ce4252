"""Images cut into patches."""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count


def patchify(images: Array, size: int) -> Array:
    """Square patches side by side, as channels: `[B, H, W, C]` -> `[B, H / size, W / size, size * size * C]`.

    Example:
      >>> print(patchify(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, 0])
      [[0. 1. 4. 5.]
       [2. 3. 6. 7.]]
    """
    check_arrays("patchify", images=images)
    check_count("patchify", size=size)
    if images.ndim != 4 or images.shape[1] % size or images.shape[2] % size:
        raise ValueError(
            f"patchify: images must be [B, H, W, C] with sides that are multiples of {size}, got {images.shape}"
        )
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.swapaxes(2, 3).reshape(batch, height // size, width // size, size * size * channels)


def overlapping_patches(images: Array, size: int, *, stride: int) -> Array:
    """Squares of `size` pixels every `stride` pixels: `[B, H, W, C]` -> `[B, h, w, size, size, C]`.

    A remainder at the right and at the bottom, less than a stride, is dropped.

    Example:
      >>> print(overlapping_patches(jnp.zeros((2, 28, 28, 1)), 14, stride=7).shape)
      (2, 3, 3, 14, 14, 1)
    """
    check_arrays("overlapping_patches", images=images)
    check_count("overlapping_patches", size=size, stride=stride)
    if images.ndim != 4 or min(images.shape[1:3]) < size:
        raise ValueError(f"overlapping_patches: images must be [B, H, W, C], no side below {size}, got {images.shape}")
    rows, columns = (
        jnp.arange(0, side - size + 1, stride)[:, None] + jnp.arange(size)[None] for side in images.shape[1:3]
    )
    return images[:, rows[:, None, :, None], columns[None, :, None, :]]


def sub_crops(rng: Array, patches: Array, size: int) -> Array:
    """A random square of `size` pixels of each patch, centred and padded with zeros: `[..., P, P, C]` as before.

    Example:
      >>> print(sub_crops(jax.random.key(0), jnp.ones((4, 8, 8, 3)), 6).shape)
      (4, 8, 8, 3)
    """
    side, lead = patches.shape[-2], patches.shape[:-3]
    flat = patches.reshape(-1, *patches.shape[-3:])
    corners = jax.random.randint(rng, (len(flat), 2), 0, side - size + 1)
    cut = jax.vmap(lambda patch, at: lax.dynamic_slice(patch, (at[0], at[1], 0), (size, size, patch.shape[-1])))
    before = (side - size) // 2
    room = (before, side - size - before)
    return jnp.pad(cut(flat, corners), ((0, 0), room, room, (0, 0))).reshape(*lead, *patches.shape[-3:])
