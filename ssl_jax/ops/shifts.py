"""Shifted images, and convolutions as matrix products of them, where XLA's CPU compiler has no fast form of its own.

The shapes are those of `convolution`, for one group of channels.
"""

import itertools
import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import equal_blocks, sum_over_blocks
from ssl_jax.ops.collectives import varying_together

Padding = Sequence[tuple[int, int]]
ROWS = 2048  # Of a block of shifted images, which then stays in the processor's cache.
CHANNELS = 64  # From which on the gradient of a kernel is faster in this form, of results of at least 8 x 8 positions.
SIDE = 8


def suit(cotangent: Array, shape: Sequence[int]) -> bool:
    """Whether `kernel_gradient` is faster on a CPU than a convolution of transposed arrays, for strides above 1."""
    return min(shape[-2:]) >= CHANNELS and min(cotangent.shape[1:-1]) >= SIDE


def convolve(images: Array, kernel: Array, padding: Padding, window_strides: Sequence[int]) -> Array:
    """The convolution as one product, for images with fewer positions than the kernel.

    There the compiler exchanges the two, and computes what results a hundred times as slowly: 3 x 3 on 2 x 2 positions of 512
    channels, 128 images, in 2.1 s.
    """
    shifted = jnp.concatenate(shifts(images, kernel.shape[:-2], padding, window_strides), axis=-1)
    return jnp.matmul(shifted, kernel.reshape(-1, kernel.shape[-1]))


def kernel_gradient(
    images: Array, shape: Sequence[int], strides: Sequence[int], padding: Padding, cotangent: Array
) -> Array:
    """The gradient of a kernel of this shape, as a product for each block of the batch.

    The images are read in their own order of axes. For another order the compiler would copy them, and would fuse what has
    computed them, norms and activations back to the last convolution, into that copy: 0.2 to 0.35 s of ResNet-18's step for
    two kernels of stride 2, as much as six convolutions.
    """

    def of_block(images: Array, cotangent: Array) -> Array:
        shifted = jnp.concatenate(shifts(images, shape[:-2], padding, strides), axis=-1)
        rows, columns = (array.reshape(-1, array.shape[-1]) for array in (shifted, cotangent))
        return jnp.einsum("ni,no->io", rows, columns)

    block = equal_blocks(len(images), ROWS // math.prod(cotangent.shape[1:-1]))
    return sum_over_blocks(of_block, (images, cotangent), block).reshape(shape)


def images_gradient(
    shape: Sequence[int], kernel: Array, strides: Sequence[int], padding: Padding, cotangent: Array
) -> Array:
    """The gradient of images of this shape, by the transposed product of `convolve`.

    As a convolution, the cotangent has zeros between its positions for strides, which are multiplied.
    """
    product = partial(convolve, kernel=kernel, padding=padding, window_strides=strides)
    # Not computed with, but of the same type on shards.
    images, cotangent = varying_together((jnp.zeros(shape, cotangent.dtype), cotangent))
    return jax.vjp(product, images)[1](cotangent)[0]


def shifts(images: Array, sizes: Sequence[int], padding: Padding, strides: Sequence[int]) -> list[Array]:
    """For each position of a kernel of these sizes, the values that lie there: `[B, H', ..., I]` each."""
    edges = [(low, high, 0) for low, high in padding]
    padded = lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    batch, *sides, channels = padded.shape
    reach = [side - size + 1 for side, size in zip(sides, sizes, strict=True)]
    found = []
    for shift in itertools.product(*map(range, sizes)):
        ends = [at + length for at, length in zip(shift, reach, strict=True)]
        found.append(lax.slice(padded, (0, *shift, 0), (batch, *ends, channels), (1, *strides, 1)))
    return found
