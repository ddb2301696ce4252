"""Heads: networks on top of the features during pre-training, discarded after it.

B: examples. A head takes features `[B, inputs]` and returns `[B, width]` in float32.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.batch_norm import BatchNorm
from ssl_jax.networks.functional import Net, network
from ssl_jax.ops.normalize import unit_length


class ProjectionHead(nnx.Module):
    """Multi-layer projection head; also the predictor of BYOL and SimSiam. Batch norm and relu between linear layers.

    SimCLR: `last_norm=True`. SimSiam and MoCo v3: `last_norm=True, last_norm_affine=False`. MoCo v2: `norm=False,
    last_bias=True`. BYOL, Barlow Twins, VICReg: other widths.

    Args:
      inputs: size of the features.
      widths: outputs of each layer; the last is the embedding's size. One width is a linear head.
      norm: batch norm after each layer but the last; without it, these layers have a bias.
      last_norm: batch norm after the last layer, too.
      last_norm_affine: whether that norm has a gain (and, with `last_bias`, an offset).
      last_bias: whether the last layer has a bias, or its norm, if it has one, an offset.
      groups: number of parts of the batch with separate statistics; None for statistics of the whole batch.
      dtype: of the activations; parameters, statistics and the result are float32.

    Example:
      >>> print(projection_head(inputs=512, widths=(2048, 128)).width)
      128

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, sections 2.1 and 4.2.
    """

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        inputs: int,
        widths: Sequence[int] = (2048, 128),
        norm: bool = True,
        last_norm: bool = False,
        last_norm_affine: bool = True,
        last_bias: bool = False,
        groups: int | None = None,
        dtype: DTypeLike = jnp.float32,
    ):
        self.depth, self.width, self.dtype = len(widths), widths[-1], dtype
        self.norm_kind = "batch" if last_norm or (norm and self.depth > 1) else None
        for number, (before, after) in enumerate(itertools.pairwise((inputs, *widths)), 1):
            last = number == self.depth
            normed, bias = (last_norm, last_bias) if last else (norm, True)
            # A norm subtracts the mean, so the norm has the bias instead of the layer.
            layer = nnx.Linear(before, after, use_bias=bias and not normed, dtype=dtype, rngs=rngs)
            scale = None if last and not last_norm_affine else 1.0
            after_norm = BatchNorm(after, scale=scale, bias=bias and scale is not None, groups=groups, dtype=dtype)
            setattr(self, f"layer{number}", layer)
            setattr(self, f"norm{number}", after_norm if normed else None)

    def __call__(self, features: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        x = features.astype(self.dtype)
        for number in range(1, self.depth + 1):
            x = getattr(self, f"layer{number}")(x)
            norm = getattr(self, f"norm{number}")
            x = x if norm is None else norm(x)
            x = jax.nn.relu(x) if number < self.depth else x
        return x.astype(jnp.float32)


projection_head = network(ProjectionHead)


def linear_head(*, inputs: int, outputs: int, bias: bool = True, dtype: DTypeLike = jnp.float32) -> Net:
    """One linear layer: PIRL's projections, a classifier on top of an encoder.

    Args:
      inputs, outputs: sizes of the features and of the result.
      bias: whether the layer has a bias.
      dtype: of the activations; parameters and the result are float32.

    Example:
      >>> print(linear_head(inputs=512, outputs=10).width)
      10
    """
    return projection_head(inputs=inputs, widths=(outputs,), last_bias=bias, dtype=dtype)


class PrototypeHead(nnx.Module):
    """DINO's head: features -> cosines with `outputs` prototypes, the weight-normalised last layer with its gain at 1.

    Layers with gelu between them, a bottleneck at unit length, and its similarity to unit prototypes. SimDINO's ends with
    the bottleneck.

    Args:
      inputs: size of the features.
      widths: outputs of each layer; the last is the bottleneck.
      outputs: prototypes; None for the bottleneck itself.
      norm: batch norm before each gelu, as in DINO's ResNets.
      dtype: of the activations; parameters, statistics and the result are float32.

    Example:
      >>> print(prototype_head(inputs=512, widths=(64, 16), outputs=100).width)
      100

    Source: Caron et al. 2021, https://arxiv.org/abs/2104.14294, appendix C.
    """

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        inputs: int,
        widths: Sequence[int] = (2048, 2048, 256),
        outputs: int | None = 65536,
        norm: bool = False,
        dtype: DTypeLike = jnp.float32,
    ):
        self.depth, self.width, self.dtype = len(widths), outputs or widths[-1], dtype
        self.norm_kind = "batch" if norm and self.depth > 1 else None
        initial = nnx.initializers.truncated_normal(0.02)
        for number, (before, after) in enumerate(itertools.pairwise((inputs, *widths)), 1):
            normed = norm and number < self.depth
            layer = nnx.Linear(before, after, use_bias=not normed, kernel_init=initial, dtype=dtype, rngs=rngs)
            setattr(self, f"layer{number}", layer)
            setattr(self, f"norm{number}", BatchNorm(after, dtype=dtype) if normed else None)
        self.prototypes = nnx.Param(initial(rngs.params(), (outputs, widths[-1]))) if outputs else None

    def __call__(self, features: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        x = features.astype(self.dtype)
        for number in range(1, self.depth + 1):
            x = getattr(self, f"layer{number}")(x)
            norm = getattr(self, f"norm{number}")
            x = x if norm is None else norm(x)
            x = jax.nn.gelu(x, approximate=False) if number < self.depth else x
        x = unit_length(x)
        return x if self.prototypes is None else x @ unit_length(self.prototypes[...]).T


prototype_head = network(PrototypeHead)
