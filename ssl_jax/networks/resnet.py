"""Residual networks, version 1.5: the stride of a bottleneck is in its 3x3 convolution.

B: examples. A network takes images `[B, H, W, C]` and returns, in order of depth, "stem", "stage1" .. "stage4"
`[B, h, w, c]` in `dtype`, and "features" `[B, width]` in float32: the mean of the last stage over its positions.

Stems, with the sides of the four stages:
  "imagenet": 7x7 stride 2, then 3x3 max pool of stride 2. 224 pixels: 56, 28, 14, 7.
  "cifar": 3x3 stride 1, no pool (SimCLR, appendix B.9). 32 pixels: 32, 16, 8, 4.
  "mnist": as "cifar", and already the first stage has stride 2: about a quarter of the work. 28 pixels: 14, 7, 4, 2.

Parameters without a classifier, imagenet stem, 3 channels: 11,176,512 (18 layers), 21,284,672 (34), 23,508,032 (50).
Sources: He et al. 2016, https://arxiv.org/abs/1512.03385; Goyal et al. 2017, https://arxiv.org/abs/1706.02677, section
5.1: the last gain of each block starts at zero, so that each block starts as its shortcut.
"""

from collections import OrderedDict
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import pick
from ssl_jax.networks.functional import Net, network
from ssl_jax.networks.layers import ConvNorm, Norm

Stem = Literal["imagenet", "cifar", "mnist"]
STEMS = get_args(Stem)


class Block(nnx.Module):
    """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3, 1x1 with four times as many outputs, round a shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int, bottleneck: bool, **options: Any):
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1 = ConvNorm(inputs, width, size=1, **options)
            self.conv2 = ConvNorm(width, width, stride=stride, **options)
            self.conv3 = ConvNorm(width, outputs, size=1, scale=0.0, **options)
        else:
            self.conv1 = ConvNorm(inputs, width, stride=stride, **options)
            self.conv2 = ConvNorm(width, outputs, scale=0.0, **options)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else ConvNorm(inputs, outputs, size=1, stride=stride, **options)
        self.bottleneck, self.outputs = bottleneck, outputs

    def __call__(self, x: Array) -> Array:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = self.conv2(jax.nn.relu(self.conv1(x)))
        if self.bottleneck:
            x = self.conv3(jax.nn.relu(x))
        return jax.nn.relu(x + shortcut)


class ResNet(nnx.Module):
    """Stem and stages of `depths` blocks; each stage but the first doubles the channels and halves the sides.

    Args:
      depths: blocks of each stage.
      bottleneck: whether a block is a bottleneck, with four times as many outputs.
      stem: the stem for images of about 224 pixels ("imagenet"), 32 ("cifar") or 28 ("mnist"); see the top of the file.
      stem_padding: rows of zeros on every side of the images for the stem's convolution; half of its size, rounded down, when
        None. solo-learn's networks for CIFAR have 2.
      channels: channels of the images.
      width: channels of the first stage before the bottleneck's factor of four; 64 is the published network.
      dtype: of the activations; parameters, statistics and "features" are float32.
      norm: "batch", or "layer" for one over positions and channels of each image.
      groups: number of parts of the batch with separate statistics; None for statistics of the whole batch.

    Raises:
      UsageError: unknown stem; when applied, `groups` does not divide the batch.

    Example:
      >>> print(resnet((1, 1), bottleneck=False, stem="cifar").layers)
      {'stem': 64, 'stage1': 64, 'stage2': 128, 'features': 128}
    """

    spatial = True

    def __init__(
        self,
        rngs: nnx.Rngs,
        depths: tuple[int, ...],
        *,
        bottleneck: bool,
        stem: Stem = "imagenet",
        stem_padding: int | None = None,
        channels: int = 3,
        width: int = 64,
        dtype: DTypeLike = jnp.float32,
        norm: Norm = "batch",
        groups: int | None = None,
    ):
        pick("stem", stem, STEMS)
        options: Any = {"norm": norm, "groups": groups, "dtype": dtype, "rngs": rngs}
        size, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.stem_padding = size // 2 if stem_padding is None else stem_padding
        self.stem = ConvNorm(channels, width, size=size, stride=stride, padding=self.stem_padding, **options)
        self.stem_kind, self.pool = stem, stem == "imagenet"
        self.depths, self.dtype, self.norm_kind = depths, dtype, norm
        self.stem_width, inputs = width, width
        for stage, depth in enumerate(depths, 1):
            for number in range(1, depth + 1):
                halve = number == 1 and (stage > 1 or stem == "mnist")
                stage_width = width * 2 ** (stage - 1)
                block = Block(inputs, stage_width, stride=2 if halve else 1, bottleneck=bottleneck, **options)
                setattr(self, f"stage{stage}_block{number}", block)
                inputs = block.outputs
        self.width = inputs

    @property
    def layers(self) -> dict[str, int]:
        stages = len(self.depths)
        widths = {f"stage{stage}": self.width // 2 ** (stages - stage) for stage in range(1, stages + 1)}
        return {"stem": self.stem_width, **widths, "features": self.width}

    def __call__(self, images: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = jax.nn.relu(self.stem(images.astype(self.dtype)))
        if self.pool:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        layers = OrderedDict(stem=x)
        for stage, depth in enumerate(self.depths, 1):
            for number in range(1, depth + 1):
                x = getattr(self, f"stage{stage}_block{number}")(x)
            layers[f"stage{stage}"] = x
        layers["features"] = x.astype(jnp.float32).mean((1, 2))
        return layers


resnet = network(ResNet)


def resnet18(**options: Any) -> Net:
    """ResNet-18, 512 features; the options are those of `resnet`.

    Example:
      >>> print(resnet18(stem="cifar").layers)
      {'stem': 64, 'stage1': 64, 'stage2': 128, 'stage3': 256, 'stage4': 512, 'features': 512}
    """
    return resnet((2, 2, 2, 2), bottleneck=False, **options)


def resnet34(**options: Any) -> Net:
    """ResNet-34, 512 features; the options are those of `resnet`.

    Example:
      >>> print(resnet34(stem="cifar").width)
      512
    """
    return resnet((3, 4, 6, 3), bottleneck=False, **options)


def resnet50(**options: Any) -> Net:
    """ResNet-50, 2048 features; the options are those of `resnet`.

    Example:
      >>> print(resnet50(stem="imagenet").layers)
      {'stem': 64, 'stage1': 256, 'stage2': 512, 'stage3': 1024, 'stage4': 2048, 'features': 2048}
    """
    return resnet((3, 4, 6, 3), bottleneck=True, **options)
