"""A small convolutional encoder, for two CPU cores and 28 x 28 pixels.

B: examples. It takes images `[B, H, W, C]` and returns, in order of depth, "layer1" .. `[B, h, w, c]` in `dtype`, and
"features" `[B, 2 * widths[-1]]` in float32: the mean and the maximum of the last layer over places.
"""

from collections import OrderedDict
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.layers import ConvNorm, Norm, max_pool


class SmallConvNet(nnx.Module):
    """3x3 convolutions in a row, each with its norm and relu."""

    def __init__(
        self,
        widths: Sequence[int],
        strides: Sequence[int],
        *,
        channels: int,
        norm: Norm,
        groups: int | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.layers, self.width, self.dtype = len(widths), 2 * widths[-1], dtype
        for number, (width, stride) in enumerate(zip(widths, strides, strict=True), 1):
            inputs = channels if number == 1 else widths[number - 2]
            layer = ConvNorm(inputs, width, stride=stride, norm=norm, groups=groups, dtype=dtype, rngs=rngs)
            setattr(self, f"layer{number}", layer)

    def __call__(self, images: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = images.astype(self.dtype)
        layers: dict[str, Array] = OrderedDict()
        for number in range(1, self.layers + 1):
            x = jax.nn.relu(getattr(self, f"layer{number}")(x))
            layers[f"layer{number}"] = x
        places = x.astype(jnp.float32)
        layers["features"] = jnp.concatenate([places.mean((1, 2)), max_pool(places)], axis=-1)
        return layers


def small_convnet(
    *,
    channels: int = 1,
    widths: Sequence[int] = (32, 64, 128),
    strides: Sequence[int] = (2, 2, 2),
    dtype: DTypeLike = jnp.float32,
    norm: Norm = "batch",
    groups: int | None = None,
) -> Net:
    """As many 3x3 convolutions as there are widths, as `Net`.

    Args:
      channels: of the images.
      widths: output channels of each convolution.
      strides: of each convolution.
      dtype: of the activations; parameters, statistics and "features" are float32.
      norm: "batch", or "layer" for one over places and channels of each image.
      groups: parts of the batch with statistics of their own; None for statistics of the whole batch.

    Raises:
      UsageError: not one stride a width.
    """
    if len(widths) != len(strides):
        raise UsageError(f"small_convnet needs one stride a width, got {len(widths)} widths and {len(strides)} strides")
    return functional(
        lambda rngs: SmallConvNet(widths, strides, channels=channels, norm=norm, groups=groups, dtype=dtype, rngs=rngs)
    )
