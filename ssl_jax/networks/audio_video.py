"""Encoders of video and of sound: a small one for two CPU cores, and those of AVID.

B: clips; T: frames; F, S: moments and frequencies of a spectrogram. Videos are `[B, T, H, W, C]`, spectrograms `[B, F, S,
1]`; `small_convnet` suffices for small spectrograms. A network returns its layers in order of depth, `[B, t, h, w, c]` or
`[B, f, s, c]` in `dtype`, and last "features" `[B, width]` in float32.

Space and time have separate convolutions, 1 x 3 x 3 and 3 x 1 x 1, "(2+1)-D". Both run as convolutions of images,
of frames and of positions over time, which are fast on every backend.
Sources: Tran et al. 2018, https://arxiv.org/abs/1711.11248; Morgado et al. 2021, https://arxiv.org/abs/2004.12943, and
the authors' code, https://github.com/facebookresearch/AVID-CMA, folder models.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.batch_norm import BatchNorm
from ssl_jax.networks.functional import network
from ssl_jax.networks.layers import ConvNorm, max_pool
from ssl_jax.networks.small import check_strides
from ssl_jax.ops.convolution import convolution

KERNEL_INIT = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


class VideoConv(nnx.Module):
    """A spatial convolution with batch norm and relu, then one over time without norm and relu, which the caller adds."""

    def __init__(
        self, inputs: int, outputs: int, *, stride: tuple[int, int] = (1, 1), dtype: DTypeLike, rngs: nnx.Rngs
    ):
        """stride: strides in time and in space."""
        self.space = ConvNorm(inputs, outputs, stride=stride[1], dtype=dtype, rngs=rngs)
        self.time = nnx.Conv(
            outputs,
            outputs,
            (3, 1),
            strides=(stride[0], 1),
            padding=((1, 1), (0, 0)),
            use_bias=False,
            conv_general_dilated=convolution,
            kernel_init=KERNEL_INIT,
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, x: Array) -> Array:
        size, frames = x.shape[:2]
        x = jax.nn.relu(self.space(x.reshape(size * frames, *x.shape[2:])))
        height, width, channels = x.shape[1:]
        x = self.time(x.reshape(size, frames, height * width, channels))
        return x.reshape(size, -1, height, width, channels)


class SmallVideoNet(nnx.Module):
    """`small_convnet` of videos; "features" are the mean and the maximum of the last layer over time and space.

    Args:
      channels: channels of the videos.
      widths: output channels of each (2+1)-D convolution.
      strides: spatial stride of each; the temporal stride is 1.
      dtype: of the activations; parameters, statistics and "features" are float32.

    Raises:
      UsageError: the numbers of strides and widths differ.
    """

    spatial, norm_kind = True, "batch"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        strides: Sequence[int] = (2, 2, 2),
        dtype: DTypeLike = jnp.float32,
    ):
        check_strides("small_video_convnet", widths, strides)
        self.widths, self.width, self.dtype = tuple(widths), 2 * widths[-1], dtype
        for number, (inputs, outputs, stride) in enumerate(zip((channels, *widths), widths, strides, strict=False), 1):
            setattr(self, f"layer{number}", VideoConv(inputs, outputs, stride=(1, stride), dtype=dtype, rngs=rngs))
            setattr(self, f"norm{number}", BatchNorm(outputs, dtype=dtype))

    @property
    def layers(self) -> dict[str, int]:
        return {f"layer{number}": width for number, width in enumerate(self.widths, 1)} | {"features": self.width}

    def __call__(self, videos: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x, layers = videos.astype(self.dtype), OrderedDict[str, Array]()
        for number in range(1, len(self.widths) + 1):
            x = jax.nn.relu(getattr(self, f"norm{number}")(getattr(self, f"layer{number}")(x)))
            layers[f"layer{number}"] = x
        maps = x.astype(jnp.float32)
        layers["features"] = jnp.concatenate([maps.mean((1, 2, 3)), max_pool(maps)], axis=-1)
        return layers


small_video_convnet = network(SmallVideoNet)


class VideoBlock(nnx.Module):
    """Two (2+1)-D convolutions round a shortcut; the norm of the second comes after the sum."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, dtype: DTypeLike, rngs: nnx.Rngs):
        options: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.conv1 = VideoConv(inputs, outputs, stride=(stride, stride), **options)
        self.norm1 = BatchNorm(outputs, dtype=dtype)
        self.conv2 = VideoConv(outputs, outputs, **options)
        self.norm2 = BatchNorm(outputs, dtype=dtype)
        linear = inputs != outputs or stride != 1
        self.shortcut = (
            nnx.Linear(inputs, outputs, use_bias=False, kernel_init=KERNEL_INIT, **options) if linear else None
        )
        self.stride = stride

    def __call__(self, x: Array) -> Array:
        shortcut = x
        if self.shortcut is not None:
            shortcut = self.shortcut(x[:, :: self.stride, :: self.stride, :: self.stride])
        x = jax.nn.relu(self.norm1(self.conv1(x)))
        return jax.nn.relu(self.norm2(self.conv2(x) + shortcut))


def widths_of_stages(features: int) -> dict[str, int]:
    """The layers of a stem and four stages, each but the first of twice the width of the one before."""
    return {
        "stem": features // 8,
        **{f"stage{stage}": features * 2**stage // 16 for stage in range(1, 5)},
        "features": features,
    }


class R2Plus1D(nnx.Module):
    """AVID's R(2+1)D, `[B, 8 width]` features: the maximum over time and space.

    A stem of 3 x 7 x 7, and four stages of `depth` blocks, all but the first of half the frames and sides.

    Args:
      depth: blocks of each stage; 2 for 18 layers.
      channels: channels of the videos.
      width: channels of the first stage.
      dtype: of the activations; parameters, statistics and "features" are float32.
    """

    spatial, norm_kind = True, "batch"

    def __init__(
        self, rngs: nnx.Rngs, *, depth: int = 2, channels: int = 3, width: int = 64, dtype: DTypeLike = jnp.float32
    ):
        options: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.stem = nnx.Conv(
            channels,
            width,
            (3, 7, 7),
            strides=(1, 2, 2),
            padding=((1, 1), (3, 3), (3, 3)),
            use_bias=False,
            conv_general_dilated=convolution,
            kernel_init=KERNEL_INIT,
            **options,
        )
        self.norm = BatchNorm(width, dtype=dtype)
        self.depth, self.width, self.dtype = depth, 8 * width, dtype
        inputs = width
        for stage in range(1, 5):
            for number in range(1, depth + 1):
                stride, outputs = 2 if stage > 1 and number == 1 else 1, width * 2 ** (stage - 1)
                setattr(self, f"stage{stage}_block{number}", VideoBlock(inputs, outputs, stride=stride, **options))
                inputs = outputs

    @property
    def layers(self) -> dict[str, int]:
        return widths_of_stages(self.width)

    def __call__(self, videos: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = jax.nn.relu(self.norm(self.stem(videos.astype(self.dtype))))
        x = nnx.max_pool(x, (1, 3, 3), strides=(1, 2, 2), padding=((0, 0), (1, 1), (1, 1)))
        layers = OrderedDict(stem=x)
        for stage in range(1, 5):
            for number in range(1, self.depth + 1):
                x = getattr(self, f"stage{stage}_block{number}")(x)
            layers[f"stage{stage}"] = x
        return layers | {"features": max_pool(x.astype(jnp.float32))}


r2plus1d_18 = network(R2Plus1D)


class AudioNet(nnx.Module):
    """AVID's encoder of sound, `[B, 8 width]` features: the maximum over moments and frequencies.

    A stem of 7 x 7 and four pairs of 3 x 3 convolutions, each with batch norm and relu.

    Args:
      width: channels of the first convolutions.
      dtype: of the activations; parameters, statistics and "features" are float32.
    """

    spatial, norm_kind = True, "batch"

    def __init__(self, rngs: nnx.Rngs, *, width: int = 64, dtype: DTypeLike = jnp.float32):
        conv = partial(ConvNorm, dtype=dtype, rngs=rngs)
        self.stem, self.width, self.dtype = conv(1, width, size=7, stride=2), 8 * width, dtype
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        for stage in range(1, 5):
            before, after = widths[stage - 1 : stage + 1]
            setattr(self, f"stage{stage}_conv1", conv(before, after, stride=2 if stage < 4 else 1))
            setattr(self, f"stage{stage}_conv2", conv(after, after))

    @property
    def layers(self) -> dict[str, int]:
        return widths_of_stages(self.width)

    def __call__(self, spectrograms: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        x = jax.nn.relu(self.stem(spectrograms.astype(self.dtype)))
        layers = OrderedDict(stem=x)
        for stage in range(1, 5):
            for number in (1, 2):
                x = jax.nn.relu(getattr(self, f"stage{stage}_conv{number}")(x))
            layers[f"stage{stage}"] = x
        return layers | {"features": max_pool(x.astype(jnp.float32))}


audio_convnet = network(AudioNet)
