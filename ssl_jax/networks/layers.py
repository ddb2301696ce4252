"""Layers that several networks share.

B: examples; C: channels. Images and activations are `[B, H, W, C]`.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import pick
from ssl_jax.networks.batch_norm import BatchNorm, inverse_deviation
from ssl_jax.ops.convolution import convolution

Norm = Literal["batch", "layer"]


class LayerNorm(nnx.LayerNorm):
    """flax's layer normalisation, over `reduction_axes`; statistics in float32 for any input type.

    Two passes: one example fits a cache, and mean squares less squared means cancel where the mean is larger than the
    deviation. Both are about the first value, so that the mean is not rounded by more than the deviation allows.
    """

    def __call__(self, x: Array) -> Array:  # type: ignore[override]
        axes = np.atleast_1d(self.reduction_axes) % x.ndim
        first = x[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(x.ndim))]
        x = x.astype(jnp.float32) - jax.lax.stop_gradient(first).astype(jnp.float32)
        centred = x - x.mean(self.reduction_axes, keepdims=True)
        gain = inverse_deviation(jnp.square(centred).mean(self.reduction_axes, keepdims=True), self.epsilon)
        per_channel = (1,) * (x.ndim - 1) + (-1,)
        if self.scale is not None:
            gain = gain * self.scale[...].reshape(per_channel)
        normed = centred * gain
        if self.bias is not None:
            normed = normed + self.bias[...].reshape(per_channel)
        return normed.astype(self.dtype)


def max_pool(x: Array) -> Array:
    """Largest of each channel over all positions of an example, `[B, ..., C]` -> `[B, C]`.

    The gradient goes to the position of the largest. That of `x.max()` goes where a value equals the largest, and XLA may
    compute the values twice, in two fusions that round differently: no value is equal then, and the gradient is lost.
    """
    rows = x.reshape(len(x), -1, x.shape[-1])
    largest = jax.lax.stop_gradient(rows).argmax(axis=1, keepdims=True)
    return jnp.take_along_axis(rows, largest, axis=1)[:, 0]


class ConvNorm(nnx.Module):
    """Convolution without bias, then a norm; `padding` rows of zeros on every side, `size // 2` when None.

    norm: "batch", over the batch and all positions, or "layer", over positions and channels of each example; the gain and the
    offset are of each channel.
    scale: initial gain.
    feature_groups: number of groups of channels, each of which is convolved with itself alone.

    Padding is explicit because XLA's "SAME" pads a strided convolution on one side more than on the other, which is
    not what the published weights were trained with.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int = 3,
        stride: int = 1,
        padding: int | None = None,
        scale: float = 1.0,
        feature_groups: int = 1,
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
            padding=size // 2 if padding is None else padding,
            feature_group_count=feature_groups,
            use_bias=False,
            conv_general_dilated=convolution,
            kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm: BatchNorm | LayerNorm
        if norm == "batch":
            self.norm = BatchNorm(outputs, scale=scale, groups=groups, dtype=dtype)
        else:
            gain = nnx.initializers.constant(scale)
            self.norm = LayerNorm(
                outputs, epsilon=1e-5, scale_init=gain, reduction_axes=(1, 2, 3), dtype=dtype, rngs=rngs
            )

    def __call__(self, x: Array) -> Array:
        return self.norm(self.conv(x))
