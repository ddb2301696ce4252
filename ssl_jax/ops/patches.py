"""Images cut into patches."""

from jax import Array


def patchify(images: Array, size: int) -> Array:
    """Square patches side by side, as channels: `[B, H, W, C]` -> `[B, H / size, W / size, size * size * C]`."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.swapaxes(2, 3).reshape(batch, height // size, width // size, size * size * channels)
