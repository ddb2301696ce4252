"""A small convolutional encoder, for two CPU cores and 28 x 28 pixels.

B: examples. It takes images `[B, H, W, C]` and returns, in order of depth, "layer1" .. `[B, h, w, c]` in `dtype`, and
"features" `[B, 2 * widths[-1]]` in float32: the mean and the maximum of the last layer over its positions.
"""

from collections import OrderedDict
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import network
from ssl_jax.networks.layers import ConvNorm, Norm, max_pool


class SmallConvNet(nnx.Module):
    """3x3 convolutions in a row, each with its norm and relu.

    Args:
      channels: channels of the images.
      widths: output channels of each convolution.
      strides: stride of each convolution.
      dtype: of the activations; parameters, statistics and "features" are float32.
      norm: "batch", or "layer" for one over positions and channels of each image.
      groups: number of parts of the batch with separate statistics; None for statistics of the whole batch.

    Raises:
      UsageError: the numbers of strides and widths differ.

    Example:
      >>> print(small_convnet(channels=3).layers)
      {'layer1': 32, 'layer2': 64, 'layer3': 128, 'features': 256}
    """

    spatial = True

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        strides: Sequence[int] = (2, 2, 2),
        dtype: DTypeLike = jnp.float32,
        norm: Norm = "batch",
        groups: int | None = None,
    ):
        check_strides("small_convnet", widths, strides)
        self.widths, self.width, self.dtype, self.norm_kind = tuple(widths), 2 * widths[-1], dtype, norm
        for number, (inputs, outputs, stride) in enumerate(zip((channels, *widths), widths, strides, strict=False), 1):
            layer = ConvNorm(inputs, outputs, stride=stride, norm=norm, groups=groups, dtype=dtype, rngs=rngs)
            setattr(self, f"layer{number}", layer)

    @property
    def layers(self) -> dict[str, int]:
        return {f"layer{number}": width for number, width in enumerate(self.widths, 1)} | {"features": self.width}

    def __call__(self, images: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = images.astype(self.dtype)
        layers: dict[str, Array] = OrderedDict()
        for number in range(1, len(self.widths) + 1):
            x = jax.nn.relu(getattr(self, f"layer{number}")(x))
            layers[f"layer{number}"] = x
        maps = x.astype(jnp.float32)
        layers["features"] = jnp.concatenate([maps.mean((1, 2)), max_pool(maps)], axis=-1)
        return layers


def check_strides(name: str, widths: Sequence[int], strides: Sequence[int]) -> None:
    """The `UsageError` where there is not one stride for each width."""
    if len(widths) != len(strides):
        raise UsageError(f"{name} needs one stride for each width, got {len(widths)} widths and {len(strides)} strides")


small_convnet = network(SmallConvNet)
