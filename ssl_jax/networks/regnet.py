"""RegNetY: residual networks whose widths follow a line, with grouped convolutions and squeeze-and-excitation.

B: examples. A network takes images `[B, H, W, C]` and returns, in order of depth, "stem", "stage1" .. "stage4"
`[B, h, w, c]` in `dtype`, and "features" `[B, width]` in float32: the mean of the last stage over its positions.

The stems are those of `resnet`, with the same sides of the four stages at 32 and 28 pixels, and without the pool and the 7x7
convolution at 224: "imagenet" is 3x3 with stride 2, and every stage has stride 2 (112, then 56, 28, 14, 7).

Parameters without a classifier, 3 channels: 3,903,144 (400MF), 37,163,068 (8GF), 141,333,770 (32GF), 637,419,894 (128GF),
1,272,156,138 (256GF, the network of SEER).

Sources: Radosavovic et al. 2020, https://arxiv.org/abs/2003.13678, sections 3.3, 3.4 and 5; Hu et al. 2018,
https://arxiv.org/abs/1709.01507. Settings of each network: classy_vision/models/regnet.py of facebookresearch/ClassyVision, but
256GF: configs/config/pretrain/swav/models/regnet256Gf_1.yaml of facebookresearch/vissl (ClassyVision's has other widths).
Initial gains are 1, as there, those of the last norm of a block, too.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import pick
from ssl_jax.networks.functional import Net, network
from ssl_jax.networks.layers import ConvNorm, Norm
from ssl_jax.networks.resnet import STEMS, Stem

STEM_WIDTH, MULTIPLE_OF, SQUEEZE = 32, 8, 0.25
KERNEL = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


class Stages(NamedTuple):
    """Channels, number of blocks and channels of a group, of each stage."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    group_widths: tuple[int, ...]


def stages_of(*, depth: int, w_0: int, w_a: float, w_m: float, group_width: int) -> Stages:
    """The stages that the paper's linear rule generates.

    Block j has w_0 + w_a j channels; these are rounded to w_0 times a power of w_m, then to a multiple of 8. Blocks of
    equal width are a stage, whose width is rounded to a multiple of the group's.

    Args:
      depth: number of blocks.
      w_0, w_a: channels of the first block, and those that each block adds.
      w_m: factor between stages.
      group_width: channels of a group of the 3x3 convolutions.

    The settings of 400MF give widths 48, 104, 208, 440 and depths 1, 3, 6, 6.

    Source: equations 2 to 4 of the paper; the rounding to groups, and to even numbers at a half, as in ClassyVision.
    """
    line = w_0 + w_a * np.arange(depth)
    powers = np.round(np.log(line / w_0) / np.log(w_m))
    rounded = (np.round(w_0 * w_m**powers / MULTIPLE_OF) * MULTIPLE_OF).astype(int)
    widths, depths = np.unique(rounded, return_counts=True)
    groups = np.minimum(group_width, widths)
    widths = np.round(widths / groups).astype(int) * groups
    return Stages(*(tuple(each.tolist()) for each in (widths, depths, groups)))


class SqueezeExcite(nnx.Module):
    """Channels times gates, which two linear layers compute from the mean over positions: `[B, h, w, C]` -> the same."""

    def __init__(self, channels: int, squeezed: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        options: Any = {"kernel_init": KERNEL, "dtype": dtype, "rngs": rngs}
        self.squeeze = nnx.Linear(channels, squeezed, **options)
        self.excite = nnx.Linear(squeezed, channels, **options)
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        mean = x.astype(jnp.float32).mean((1, 2), keepdims=True).astype(self.dtype)
        return x * jax.nn.sigmoid(self.excite(jax.nn.relu(self.squeeze(mean))))


class Block(nnx.Module):
    """1x1, grouped 3x3 with stride, squeeze-and-excitation, 1x1, all of one width, round a shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int, group_width: int, **options: Any):
        self.conv1 = ConvNorm(inputs, width, size=1, **options)
        self.conv2 = ConvNorm(width, width, stride=stride, feature_groups=width // group_width, **options)
        squeezed = round(SQUEEZE * inputs)  # Of the block's inputs, not of its width.
        self.gate = SqueezeExcite(width, squeezed, dtype=options["dtype"], rngs=options["rngs"])
        self.conv3 = ConvNorm(width, width, size=1, **options)
        same = inputs == width and stride == 1
        self.shortcut = None if same else ConvNorm(inputs, width, size=1, stride=stride, **options)

    def __call__(self, x: Array) -> Array:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = jax.nn.relu(self.conv2(jax.nn.relu(self.conv1(x))))
        return jax.nn.relu(self.conv3(self.gate(x)) + shortcut)


class RegNetY(nnx.Module):
    """Stem of 32 channels, and the stages of `stages_of`; all stages but a "cifar" stem's first one halve the sides.

    Args:
      depth, w_0, w_a, w_m, group_width: as in `stages_of`.
      stem: the stem for images of about 224 pixels ("imagenet"), 32 ("cifar") or 28 ("mnist").
      channels: channels of the images.
      dtype: of the activations; parameters, statistics and "features" are float32.
      norm: "batch", or "layer" for one over positions and channels of each image.
      groups: number of parts of the batch with separate statistics; None for statistics of the whole batch.

    Raises:
      UsageError: unknown stem; when applied, `groups` does not divide the batch.

    Example:
      >>> print(regnety_400mf().layers)
      {'stem': 32, 'stage1': 48, 'stage2': 104, 'stage3': 208, 'stage4': 440, 'features': 440}
    """

    spatial = True

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        stem: Stem = "imagenet",
        channels: int = 3,
        dtype: DTypeLike = jnp.float32,
        norm: Norm = "batch",
        groups: int | None = None,
    ):
        pick("stem", stem, STEMS)
        self.stages = stages_of(depth=depth, w_0=w_0, w_a=w_a, w_m=w_m, group_width=group_width)
        self.dtype, self.norm_kind, self.stem_kind, self.width = dtype, norm, stem, self.stages.widths[-1]
        options: Any = {"norm": norm, "groups": groups, "dtype": dtype, "rngs": rngs}
        self.stem = ConvNorm(channels, STEM_WIDTH, stride=2 if stem == "imagenet" else 1, **options)
        inputs = STEM_WIDTH
        for stage, (width, blocks, group) in enumerate(zip(*self.stages, strict=True), 1):
            for number in range(1, blocks + 1):
                halve = number == 1 and (stage > 1 or stem != "cifar")
                block = Block(inputs, width, stride=2 if halve else 1, group_width=group, **options)
                setattr(self, f"stage{stage}_block{number}", block)
                inputs = width

    @property
    def layers(self) -> dict[str, int]:
        stages = {f"stage{stage}": width for stage, width in enumerate(self.stages.widths, 1)}
        return {"stem": STEM_WIDTH, **stages, "features": self.width}

    def __call__(self, images: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = jax.nn.relu(self.stem(images.astype(self.dtype)))
        layers = OrderedDict(stem=x)
        for stage, blocks in enumerate(self.stages.depths, 1):
            for number in range(1, blocks + 1):
                x = getattr(self, f"stage{stage}_block{number}")(x)
            layers[f"stage{stage}"] = x
        layers["features"] = x.astype(jnp.float32).mean((1, 2))
        return layers


regnety = network(RegNetY)


def regnety_400mf(**options: Any) -> Net:
    """RegNetY-400MF, 440 features; the options are those of `regnety`."""
    return regnety(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8, **options)


def regnety_8gf(**options: Any) -> Net:
    """RegNetY-8GF, 2016 features; the options are those of `regnety`."""
    return regnety(depth=17, w_0=192, w_a=76.82, w_m=2.19, group_width=56, **options)


def regnety_32gf(**options: Any) -> Net:
    """RegNetY-32GF, 3712 features; the options are those of `regnety`."""
    return regnety(depth=20, w_0=232, w_a=115.89, w_m=2.53, group_width=232, **options)


def regnety_128gf(**options: Any) -> Net:
    """RegNetY-128GF, 7392 features; the options are those of `regnety`."""
    return regnety(depth=27, w_0=456, w_a=160.83, w_m=2.52, group_width=264, **options)


def regnety_256gf(**options: Any) -> Net:
    """RegNetY-256GF, 10444 features, the encoder of SEER; the options are those of `regnety`."""
    return regnety(depth=27, w_0=640, w_a=230.83, w_m=2.53, group_width=373, **options)
