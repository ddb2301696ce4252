"""Batch normalisation over the whole batch, or over parts of it, in one pass and one collective.

B: examples; C: channels; G: groups of the batch. Images and activations are `[B, H, W, C]`.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError
from ssl_jax.ops.collectives import devices_under, platform_of


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last; statistics in float32 for any input type.

    On a sharded array under `jit` the statistics are those of the whole batch, since the array is one. `groups=n` takes
    them over n contiguous parts of the batch instead, as n separate devices would, for MoCo's shuffling.
    A running average becomes `momentum * old + (1 - momentum) * new`; the variance is the population's, and both are
    averaged over groups.

    Raises:
      UsageError: `groups` does not divide the batch in training.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167.
    """

    def __init__(
        self,
        features: int,
        *,
        groups: int | None = None,
        scale: float | None = 1.0,
        bias: bool = True,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        dtype: DTypeLike = jnp.float32,
    ):
        """scale: initial gain; None for no gain. bias: whether there is an offset."""
        self.scale = None if scale is None else nnx.Param(jnp.full(features, scale, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(features, jnp.float32)) if bias else None
        self.mean = nnx.BatchStat(jnp.zeros(features, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(features, jnp.float32))
        self.groups = 1 if groups is None else groups
        self.momentum, self.epsilon, self.dtype = momentum, epsilon, dtype
        self.use_running_average = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(self, x: Array) -> Array:
        groups = 1 if self.use_running_average else self.groups
        if groups < 1 or len(x) % groups:
            raise UsageError(
                f"batch norm: groups={groups} must divide the batch, got {len(x)} examples: choose a divisor, or 1 "
                "(--norm-groups)."
            )
        stored = x.reshape(groups, -1, *x.shape[1:])  # [G, B / G, ..., C]
        grouped = stored.astype(jnp.float32)
        per_channel = (1,) * x.ndim + (-1,)
        if self.use_running_average:
            mean, var = self.mean[...].reshape(per_channel), self.var[...].reshape(per_channel)
        else:
            mean, var = self.batch_statistics(grouped, stored)
        gain = inverse_deviation(var, self.epsilon)
        if self.scale is not None:
            gain = gain * self.scale[...].reshape(per_channel)
        normed = (grouped - mean) * gain
        if self.bias is not None:
            normed = normed + self.bias[...].reshape(per_channel)
        return normed.reshape(x.shape).astype(self.dtype)

    def batch_statistics(self, grouped: Array, stored: Array) -> tuple[Array, Array]:
        """Mean and variance of each group, `[G, 1, ..., 1, C]`; moves the running averages."""
        mean, var = moments(grouped, stored)
        for average, new in ((self.mean, mean), (self.var, var)):
            new = new.reshape(self.groups, -1).mean(0)
            # Not `average[...] =`, which writes into the caller's array where that is one of numpy's.
            average.set_value(self.momentum * average[...] + (1 - self.momentum) * new)
        return mean, var


@jax.custom_jvp
def moments(grouped: Array, stored: Array) -> tuple[Array, Array]:
    """Mean and population variance of each channel of each group, float32 `[G, B, ..., C]` -> `[G, 1, ..., 1, C]`.

    One pass over the activations and one collective, instead of the two that mean((x - mean)^2) takes. Mean squares less
    squared means cancel where the mean is larger than the deviation. So values are summed about the first of their block, a
    block being the part of a group on one device, and only the sums of blocks, a row of C each, are put together.

    stored: the same values in the type in which they are in memory. The first ones are read there: were they read from
      `grouped`, a compiler would write all of the float32 values to memory for them.
    """
    groups, size, *positions, channels = grouped.shape
    devices, native = devices_under(grouped), platform_of(grouped) == "cpu"
    blocks = _blocks(groups, size, devices, native=native)
    # One axis of all values is the faster loop on CPUs; on TPUs, to merge the axes of positions is to copy the activations.
    shape = groups, blocks, *((-1,) if native else (size // blocks, *positions)), channels
    axes = tuple(range(2, len(shape) - 1))
    first = stored.reshape(shape)[(slice(None), slice(None), *(slice(1) for _ in axes))].astype(jnp.float32)
    shifted = grouped.reshape(shape) - first
    parts = first, shifted.mean(axis=axes), jnp.square(shifted).mean(axis=axes)
    first, offset, square = (part.reshape(groups, blocks, 1, channels) for part in parts)
    together = _in_float64 if native or blocks == 1 else _in_pairs
    with jax.enable_x64(True):
        sums = together(first, offset, square)
        mean, square = sums.reshape(2, groups, *(1,) * (grouped.ndim - 2), channels)
        return mean.astype(jnp.float32), jnp.maximum((square - mean**2).astype(jnp.float32), 0)


def _blocks(groups: int, size: int, devices: int, *, native: bool) -> int:
    """Blocks of a group of `size` examples, each on one device: as many as devices share it, or one for each example."""
    if devices == 1:
        return 1
    shared = devices // groups
    return shared if not native and devices % groups == 0 and shared > 0 and size % shared == 0 else size


def _in_float64(first: Array, offset: Array, square: Array) -> Array:
    """Mean and mean square over blocks, `[2, G, 1, C]`. On CPUs, sums over devices then do not depend on their order."""
    first, offset, square = (part.astype(jnp.float64) for part in (first, offset, square))
    return jnp.stack([first + offset, square - offset**2 + (first + offset) ** 2]).mean(axis=2)


def _in_pairs(first: Array, offset: Array, square: Array) -> Array:
    """The same, where the hardware has no float64: a sum of it over devices would be communicated as a row for each device.

    The mean of a block, first + offset, is split: few enough bits of it are in `high` for the sums of `high` and of its squares
    to be exact in float32, in any order, where the blocks have similar means, which is where rounding matters.
    """
    blocks = first.shape[1]
    bits = (24 - (blocks - 1).bit_length()) // 2  # Of the 24 of a float32, shared by a square and the number of terms.
    high = jax.lax.reduce_precision(first + offset, exponent_bits=8, mantissa_bits=bits - 1)
    low = (first - high) + offset
    sums = jnp.stack([high, low, high**2, low * (2 * high + low) + square - offset**2]).sum(axis=2)
    high, low, squares, rest = sums.astype(jnp.float64)
    return jnp.stack([high + low, squares + rest]) / blocks


@moments.defjvp
def _moments_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    (grouped, stored), (change, _) = primals, tangents  # The first values, about which is summed, do not matter.
    mean, var = moments(grouped, stored)
    axes = tuple(range(1, grouped.ndim - 1))
    of_mean = change.mean(axes, keepdims=True)
    return (mean, var), (of_mean, 2 * ((grouped - mean) * change).mean(axes, keepdims=True))


def inverse_deviation(var: Array, epsilon: float) -> Array:
    """`1 / sqrt(var + epsilon)`; NaN where squares overflowed: zeros would hide that a run has diverged."""
    return jax.lax.rsqrt(jnp.where(var < jnp.inf, var, jnp.nan) + epsilon)
