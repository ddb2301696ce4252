"""Layers of a network as vectors of comparable size, for probes of every layer.

B: images; C: channels of a layer; T: tokens; D: size of the pooled vector. Spatial layers are average-pooled to the
finest square grid of at most `size` numbers. With the default, 9,216, the layers of a ResNet-50 at 224 pixels get the
sizes of the papers: 9,216 (stem and stage 1), 8,192, 9,216 and 8,192.

Source: Goyal et al. 2019, https://arxiv.org/abs/1905.01235, section 5; LINEAR_EVAL_FEAT_POOL_OPS_MAP in VISSL's
configs/config/benchmark/linear_image_classification/imagenet1k/eval_resnet_8gpu_transfer_in1k_linear.yaml, of
facebookresearch/vissl, whose windows overlap; these cover the map evenly, as torch.nn.AdaptiveAvgPool2d.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.methods.method import Backbone

POOLED = 9216


def pool_layer(layer: Array, *, patches: tuple[int, int] | None = None, size: int = POOLED) -> Array:
    """`[B, ..., C]` -> `[B, D]` in float32, D at most `size` unless C alone is larger.

    A vector is unchanged; a map `[B, H, W, C]` is pooled to a grid; of a clip `[B, F, H, W, C]` the frames are averaged
    first; of tokens `[B, T, C]` the patches are pooled as a map, without the tokens before them.

    Args:
      patches: rows and columns of patches of the image, if tokens are patches; otherwise the tokens are averaged.
      size: largest number of values of a pooled layer.
    """
    layer = token_map(layer.astype(jnp.float32), patches=patches)
    if layer.ndim < 4:
        return layer if layer.ndim == 2 else layer.mean(axis=1)
    layer = layer.mean(axis=tuple(range(1, layer.ndim - 3)))
    return grid_pool(layer, side=max(1, math.isqrt(size // layer.shape[-1]))).reshape(len(layer), -1)


def token_map(layer: Array, *, patches: tuple[int, int] | None) -> Array:
    """The patches of tokens `[B, T, C]` as a map `[B, rows, columns, C]`; a layer that is no such tokens as it is."""
    if layer.ndim == 3 and patches and layer.shape[1] >= (count := math.prod(patches)):
        return layer[:, -count:].reshape(len(layer), *patches, -1)
    return layer


def patch_grid(backbone: Backbone | None, images: Array) -> tuple[int, int] | None:
    """Rows and columns of the patches of images `[B, H, W, C]`; None where the backbone is no vision transformer."""
    patch = backbone.net.patch_size if backbone else None
    return (images.shape[1] // patch, images.shape[2] // patch) if patch else None


def grid_pool(maps: Array, *, side: int) -> Array:
    """Means over the cells of a grid of at most `side` x `side` cells, `[B, H, W, C]` -> `[B, h, w, C]`.

    Cell i of h covers the rows from floor(i H / h) to ceil((i + 1) H / h), so that cells share a row where h does not
    divide H.
    """
    rows, columns = (jnp.asarray(_cells(length, min(side, length))) for length in maps.shape[1:3])
    return jnp.einsum("ph,bhwc,qw->bpqc", rows, maps, columns, precision=jax.lax.Precision.HIGHEST)


def _cells(length: int, cells: int) -> np.ndarray:
    """Weights `[cells, length]` of the positions in the mean of each cell."""
    weights = np.zeros((cells, length), np.float32)
    for cell in range(cells):
        first, last = cell * length // cells, -(-(cell + 1) * length // cells)
        weights[cell, first:last] = 1 / (last - first)
    return weights
