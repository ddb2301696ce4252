"""3 x 3 convolutions of stride 1 by matrix products, with 16 multiplications where the definition has 36.

B: examples; H, W: positions; I, O: channels in and out; T: tiles, of 2 x 2 positions each.

A tile of the result depends on 4 x 4 positions of the images. Tiles and kernels are transformed by additions, multiplied
position by position, 16 products `[T, I] @ [I, O]`, and transformed back: Y = A' [(G K G') * (B' X B)] A, Winograd's
F(2 x 2, 3 x 3). The gradient of the kernel is the same, transposed. Rounding is that of a plain convolution.

Blocks of the batch come one after the other, so that what is transformed, 4 times as many values as the images, stays in the
processor's cache.

Source: Lavin and Gray 2015, https://arxiv.org/abs/1509.09308, section 4.1.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ssl_jax.ops.blocks import equal_blocks, map_blocks, sum_over_blocks
from ssl_jax.ops.shifts import Padding

OF_IMAGES = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])  # B'
OF_KERNELS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)  # G
OF_RESULTS = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])  # A'
CHANNELS = 64  # With fewer, the additions cost more than the multiplications that they save.
SIDE = 4  # With fewer positions, more tiles lie over the edge.
VALUES = 2**15  # Of a block's tiles in one of the 16 products: 2 MiB in all.
ROWS = 512  # Of a product at least, for its speed.


def suits(images: Array, shape: Sequence[int], padding: Padding) -> bool:
    """Whether it is faster on a CPU than the plain convolution of `[B, H, W, I]` with a kernel of this shape, in float32."""
    return (
        images.ndim == 4
        and images.dtype == jnp.float32
        and tuple(shape[:2]) == (3, 3)
        and min(shape[2:]) >= CHANNELS
        and min(_sides(images, padding)) >= SIDE
    )


def convolve(images: Array, kernel: Array, padding: Padding) -> Array:
    """The convolution, `[B, H + top + bottom - 2, W + left + right - 2, O]`.

    Args:
      images: `[B, H, W, I]`.
      kernel: `[3, 3, I, O]`.
      padding: rows and columns of zeros, ((top, bottom), (left, right)).
    """
    by_position = jnp.einsum("xi,yj,ijco->xyco", OF_KERNELS, OF_KERNELS, kernel, precision="highest")
    sides = _sides(images, padding)

    def of_block(images: Array) -> Array:
        products = jnp.einsum("xytc,xyco->xyto", _tiles(images, padding), by_position)
        return _positions(products, (len(images), *sides))

    return map_blocks(of_block, images, _block(images, sides))


def kernel_gradient(images: Array, cotangent: Array, padding: Padding) -> Array:
    """The gradient of `convolve`'s kernel, `[3, 3, I, O]`, for the gradient of its result, the cotangent."""

    def of_block(images: Array, cotangent: Array) -> Array:
        return jnp.einsum("xytc,xyto->xyco", _tiles(images, padding), _spread(cotangent))

    block = _block(images, cotangent.shape[1:3])
    by_position = sum_over_blocks(of_block, (images, cotangent), block)
    return jnp.einsum("xi,yj,xyco->ijco", OF_KERNELS, OF_KERNELS, by_position, precision="highest")


def _sides(images: Array, padding: Padding) -> tuple[int, ...]:
    return tuple(side + sum(edges) - 2 for side, edges in zip(images.shape[1:3], padding, strict=True))


def _block(images: Array, sides: Sequence[int]) -> int:
    tiles = math.prod(-(-side // 2) for side in sides)
    return equal_blocks(len(images), max(ROWS, VALUES // images.shape[-1]) // tiles)


def _tiles(images: Array, padding: Padding) -> Array:
    """Every tile's 4 x 4 positions, transformed: `[4, 4, T, I]`."""
    _, *lengths, channels = images.shape
    counts = [-(-side // 2) for side in _sides(images, padding)]
    edges = [(low, 2 * n + 2 - length - low, 0) for (low, _), n, length in zip(padding, counts, lengths, strict=True)]
    padded = lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    rows = jnp.stack(_combined(OF_IMAGES, [_every_second(padded, at, counts[0], axis=1) for at in range(4)]))
    tiles = jnp.stack(_combined(OF_IMAGES, [_every_second(rows, at, counts[1], axis=3) for at in range(4)]), axis=1)
    return tiles.reshape(4, 4, -1, channels)


def _every_second(array: Array, start: int, count: int, *, axis: int) -> Array:
    return lax.slice_in_dim(array, start, start + 2 * count - 1, 2, axis=axis)


def _positions(products: Array, shape: tuple[int, ...]) -> Array:
    """The tiles' products `[4, 4, T, O]` transformed back, and put beside each other: `[B, H, W, O]`, H and W of `shape`."""
    batch, height, width = shape
    tiles = products.reshape(4, 4, batch, -(-height // 2), -(-width // 2), products.shape[-1])
    rows = jnp.stack(_combined(OF_RESULTS, list(tiles)), axis=3)
    beside = jnp.stack(_combined(OF_RESULTS, list(rows)), axis=4)
    beside = beside.reshape(batch, 2 * tiles.shape[3], 2 * tiles.shape[4], -1)
    return beside[:, :height, :width]


def _spread(cotangent: Array) -> Array:
    """The transpose of `_positions`: `[4, 4, T, O]`."""
    _, height, width, channels = cotangent.shape
    filled = jnp.pad(cotangent, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    rows = jnp.stack(_combined(OF_RESULTS.T, [filled[:, at::2] for at in range(2)]))
    tiles = jnp.stack(_combined(OF_RESULTS.T, [rows[:, :, :, at::2] for at in range(2)]), axis=1)
    return tiles.reshape(4, 4, -1, channels)


def _combined(matrix: np.ndarray, arrays: Sequence[Array]) -> list[Array]:
    """For each row of the matrix, of 1, 0 and -1, the sum of the arrays with these signs."""
    sums = []
    for row in matrix:
        terms = [array if sign > 0 else -array for sign, array in zip(row, arrays, strict=True) if sign]
        sums.append(sum(terms[1:], start=terms[0]))
    return sums
