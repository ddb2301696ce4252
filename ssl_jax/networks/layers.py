"""Layers that several networks are made of.

B: examples; C: channels; G: groups of the batch. Images and activations are `[B, H, W, C]`.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick

Norm = Literal["batch", "layer"]


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last; statistics in float32 whatever comes in.

    On a sharded array under `jit` the statistics are those of the whole batch, since the array is one. `groups=n` takes
    them over n contiguous parts of the batch instead, as n devices on their own would: what MoCo's shuffling needs.
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
        """scale: what the gain starts at; None for no gain. bias: whether there is an offset."""
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
            raise UsageError(f"batch norm: groups={groups} must divide the batch, got {len(x)} examples")
        grouped = x.astype(jnp.float32).reshape(groups, -1, *x.shape[1:])  # [G, B / G, ..., C]
        per_channel = (1,) * x.ndim + (-1,)
        if self.use_running_average:
            mean, var = self.mean[...].reshape(per_channel), self.var[...].reshape(per_channel)
        else:
            mean, var = self.batch_statistics(grouped)
        gain = jax.lax.rsqrt(var + self.epsilon)
        if self.scale is not None:
            gain = gain * self.scale[...].reshape(per_channel)
        normed = (grouped - mean) * gain
        if self.bias is not None:
            normed = normed + self.bias[...].reshape(per_channel)
        return normed.reshape(x.shape).astype(self.dtype)

    def batch_statistics(self, grouped: Array) -> tuple[Array, Array]:
        """Mean and variance of each group, `[G, 1, ..., 1, C]`; moves the running averages."""
        axes = tuple(range(1, grouped.ndim - 1))
        mean = grouped.mean(axes, keepdims=True)
        # One pass over the activations, and one collective, instead of the two that mean((x - mean)^2) takes.
        var = jnp.maximum(jnp.square(grouped).mean(axes, keepdims=True) - jnp.square(mean), 0.0)
        for average, new in ((self.mean, mean), (self.var, var)):
            new = new.reshape(self.groups, -1).mean(0)
            # Not `average[...] =`, which writes into the caller's array where that is one of numpy's.
            average.set_value(self.momentum * average[...] + (1 - self.momentum) * new)
        return mean, var


class ConvNorm(nnx.Module):
    """Convolution without bias, then a norm; `size // 2` places of zeros on every side.

    norm: "batch", over the batch and all places, or "layer", over places and channels of each example; the gain and the
    offset are of each channel.
    scale: what the gain starts at.

    Padding is spelled out because XLA's "SAME" pads a strided convolution on one side more than on the other, which is
    not what the published weights were trained with.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int = 3,
        stride: int = 1,
        scale: float = 1.0,
        norm: Norm = "batch",
        groups: int | None = None,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        pick("norm", norm, ("batch", "layer"))
        self.conv = nnx.Conv(
            inputs,
            outputs,
            (size, size),
            strides=stride,
            padding=size // 2,
            use_bias=False,
            kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm: BatchNorm | nnx.GroupNorm
        if norm == "batch":
            self.norm = BatchNorm(outputs, scale=scale, groups=groups, dtype=dtype)
        else:
            gain = nnx.initializers.constant(scale)
            self.norm = nnx.GroupNorm(outputs, num_groups=1, epsilon=1e-5, scale_init=gain, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.norm(self.conv(x))
