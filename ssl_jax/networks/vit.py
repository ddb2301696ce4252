"""Vision transformers of any patch size: pre-norm blocks over square patches.

B: examples; T: tokens, one a patch, row by row, and first the class token if there is one; D: `dim`. A network takes
images `[B, S, S, C]` and returns, in order of depth, "patches" (tokens with their positions), "block1" .. "block12"
`[B, T, D]` in `dtype`, and in float32 "tokens", those of the last block normed, and "features" `[B, D]`: the class token of
these, or the mean of the patches. A second input `[B, K]`, indices of patches, hides all other patches. `Net.inspect` records
the attention weights and energies of each block: `intermediates["block1"]["attention"]["weights"]` `[B, H, T, T]`.

Parameters at 224 pixels, patches of 16, with a class token: 5,524,416 (tiny), 21,665,664 (small), 85,798,656 (base).
Sources: Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929; tiny and small: Touvron et al. 2021,
https://arxiv.org/abs/2012.12877; fixed positions and the initial weights: Chen, Xie and He 2021,
https://arxiv.org/abs/2104.02057.
"""

from collections import OrderedDict
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Net, network
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.ops.patches import patchify
from ssl_jax.ops.positions import grid_positions, resize_positions

Pool = Literal["token", "mean"]
Positions = Literal["learned", "sincos"]


class ViT(nnx.Module):
    """A vision transformer: patch embedding, positions, `depth` blocks, a last norm.

    Args:
      image_size: pixels of a side of the square images.
      patch_size: pixels of a side of a patch; divides `image_size`.
      dim, depth, heads: size of a token, blocks, and attention heads of each.
      channels: of the images.
      mlp_ratio: hidden units of a block's two-layer network over `dim`.
      pool: "features" is the class "token", or the "mean" of the patches, and then there is no class token.
      positions: "learned" (as in DINO) or fixed "sincos" (as in MoCo v3 and MAE).
      position_offset: see `resize_positions`; 0.1 for DINO's published weights, 0 for others.
      drop_path: probability in [0, 1) of a branch of the last block to be left out in training; rises to it linearly with
        depth. Training then needs the `rng` of `apply`.
      dtype: of the activations; parameters, the last norm and "features" are float32.

    Raises:
      UsageError: sizes that do not divide, a drop_path out of range, unknown pool or positions.
      ValueError: when applied, images that patches do not divide, or no `rng` where `drop_path` needs it.
    """

    norm_kind = "layer"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        image_size: int,
        patch_size: int,
        dim: int,
        depth: int,
        heads: int,
        channels: int = 3,
        mlp_ratio: float = 4.0,
        pool: Pool = "token",
        positions: Positions = "learned",
        position_offset: float = 0.0,
        drop_path: float = 0.0,
        dtype: DTypeLike = jnp.float32,
    ):
        check_sizes(image_size, patch_size, dim=dim, heads=heads)
        if not 0 <= drop_path < 1:
            raise UsageError(f"vit: drop_path is a chance of at least 0 and below 1, got {drop_path:g}")
        pick("pool", pool, ("token", "mean"))
        pick("positions", positions, ("learned", "sincos"))
        grid, tokens = image_size // patch_size, (image_size // patch_size) ** 2 + (pool == "token")
        xavier, small = nnx.initializers.xavier_uniform(), nnx.initializers.truncated_normal(0.02)
        self.embedding = nnx.Linear(patch_size**2 * channels, dim, kernel_init=xavier, dtype=dtype, rngs=rngs)
        # A vector, so that weight decay, which goes by the number of axes, passes it by.
        self.token = nnx.Param(small(rngs.params(), (dim,))) if pool == "token" else None
        self.positions = nnx.Param(small(rngs.params(), (tokens, dim))) if positions == "learned" else None
        for number in range(1, depth + 1):
            rate, hidden = drop_path * (number - 1) / max(depth - 1, 1), round(mlp_ratio * dim)
            block = TransformerLayer(dim, heads=heads, hidden=hidden, drop_path=rate, dtype=dtype, rngs=rngs)
            setattr(self, f"block{number}", block)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)
        self.position_offset = position_offset
        self.grid, self.patch_size, self.depth, self.width, self.dtype = grid, patch_size, depth, dim, dtype

    @property
    def layers(self) -> dict[str, int]:
        return dict.fromkeys(["patches", *self.blocks(), "tokens", "features"], self.width)

    def __call__(
        self, images: Array, visible: Array | None = None, *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        tokens = self.embed(images)
        if visible is not None:
            first = tokens.shape[1] - self.patches_of(images)
            kept = jnp.take_along_axis(tokens[:, first:], visible[:, :, None], axis=1)
            tokens = jnp.concatenate([tokens[:, :first], kept], axis=1)
        layers = OrderedDict(patches=tokens)
        for name, block in self.blocks().items():
            layers[name] = tokens = block(tokens, rngs=rngs)
        layers["tokens"] = normed = self.norm(tokens)
        layers["features"] = normed.mean(1) if self.token is None else normed[:, 0]
        return layers

    def blocks(self) -> dict[str, TransformerLayer]:
        return {f"block{number}": getattr(self, f"block{number}") for number in range(1, self.depth + 1)}

    def patches_of(self, images: Array) -> int:
        return (images.shape[1] // self.patch_size) ** 2

    def embed(self, images: Array) -> Array:
        height, width = images.shape[1:3]
        if height != width or height % self.patch_size or not height:
            raise ValueError(f"vit: images must be square, in patches of {self.patch_size} pixels, got {images.shape}")
        patches = self.embedding(patchify(images.astype(self.dtype), self.patch_size))
        tokens = patches.reshape(len(images), -1, self.width)
        if self.token is not None:
            token = jnp.broadcast_to(self.token[...].astype(self.dtype), (len(images), 1, self.width))
            tokens = jnp.concatenate([token, tokens], axis=1)
        return tokens + self.positions_of(height // self.patch_size)[None].astype(self.dtype)

    def positions_of(self, grid: int) -> Array:
        """Positions of the tokens; those of a smaller or larger grid, of small crops for instance, are interpolated."""
        if self.positions is None:
            fixed = grid_positions(self.grid, self.width)
            positions = jnp.asarray(np.concatenate([np.zeros_like(fixed[: self.token is not None]), fixed]))
        else:
            positions = self.positions[...]
        if grid == self.grid:
            return positions
        first = len(positions) - self.grid**2
        square = positions[first:].reshape(self.grid, self.grid, self.width)
        resized = resize_positions(square, grid, offset=self.position_offset)
        return jnp.concatenate([positions[:first], resized.reshape(grid**2, self.width)])


def check_sizes(image_size: int, patch_size: int, *, dim: int, heads: int) -> None:
    """Raises the `UsageError`s about sizes that do not divide each other."""
    if patch_size < 1 or image_size % patch_size:
        raise UsageError(f"patch_size {patch_size} must divide image_size {image_size}: choose another, or resize")
    if dim % heads or dim % 4:
        raise UsageError(f"vit: dim {dim} must be a multiple of heads ({heads}) and of 4")


vit = network(ViT)


def vit_micro(*, image_size: int, patch_size: int, **options: Any) -> Net:
    """For two CPU cores and 28 x 28 pixels: 4 blocks of 64 features in 4 heads; the options are those of `vit`."""
    return vit(image_size=image_size, patch_size=patch_size, dim=64, depth=4, heads=4, **options)


def vit_tiny(*, image_size: int, patch_size: int, **options: Any) -> Net:
    """ViT-Tiny: 12 blocks of 192 features in 3 heads; the options are those of `vit`."""
    return vit(image_size=image_size, patch_size=patch_size, dim=192, depth=12, heads=3, **options)


def vit_small(*, image_size: int, patch_size: int, **options: Any) -> Net:
    """ViT-Small: 12 blocks of 384 features in 6 heads; the options are those of `vit`."""
    return vit(image_size=image_size, patch_size=patch_size, dim=384, depth=12, heads=6, **options)


def vit_base(*, image_size: int, patch_size: int, **options: Any) -> Net:
    """ViT-Base: 12 blocks of 768 features in 12 heads; the options are those of `vit`."""
    return vit(image_size=image_size, patch_size=patch_size, dim=768, depth=12, heads=12, **options)
