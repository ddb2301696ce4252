"""Vision transformers of any patch size: pre-norm blocks over square patches.

B: examples; T: tokens: the class token if there is one, registers, and the patches, row by row; D: `dim`. A network takes
images `[B, H, W, C]` and returns, in order of depth, "patches" (tokens with their positions), "block1" .. "block12"
`[B, T, D]` in `dtype`, and in float32 "tokens", those of the last block normed, and "features" `[B, D]`: the class token of
these, or the mean of the patches. A second input, indices of patches `[B, K]`, leaves out all other patches; a third, booleans
`[B, patches]`, replaces patches by the mask token where they are True. `Net.inspect` records the attention weights and energies
of each block: `intermediates["block1"]["attention"]["weights"]` `[B, H, T, T]`.

Parameters at 224 pixels, patches of 16, with a class token: 5,524,416 (tiny), 21,665,664 (small), 85,798,656 (base),
303,301,632 (large).
Sources: Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929; tiny and small: Touvron et al. 2021,
https://arxiv.org/abs/2012.12877; fixed positions and the initial weights: Chen, Xie and He 2021,
https://arxiv.org/abs/2104.02057; mask token, layer scale and gated hidden units as in DINOv2, Oquab et al. 2023,
https://arxiv.org/abs/2304.07193, and the authors' dinov2/models/vision_transformer.py and dinov2/layers/swiglu_ffn.py of
facebookresearch/dinov2; registers: Darcet et al. 2023, https://arxiv.org/abs/2309.16588.
"""

import math
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
from ssl_jax.networks.transformer_layer import Activation, TransformerLayer, check_layers
from ssl_jax.ops.patches import patchify
from ssl_jax.ops.positions import grid_positions, resize_positions
from ssl_jax.sizes import ImageSize, in_words, sides_of

Pool = Literal["token", "mean"]
Positions = Literal["learned", "sincos"]


class ViT(nnx.Module):
    """A vision transformer: patch embedding, positions, `depth` blocks, a last norm.

    Args:
      image_size: pixels of a side of the images whose positions it has, or their height and width; for others the positions are
        interpolated.
      patch_size: pixels of a side of a patch; divides `image_size`.
      dim, depth, heads: size of a token, blocks, and attention heads of each.
      channels: of the images.
      mlp_ratio: hidden units of a block's two-layer network over `dim`.
      pool: "features" is the class "token", or the "mean" of the patches, and then there is no class token.
      positions: "learned" (as in DINO) or fixed "sincos" (as in MoCo v3 and MAE).
      position_offset: see `resize_positions`; 0.1 for DINO's published weights, 0 for others.
      drop_path: probability in [0, 1) of a branch of the last block to be left out in training; rises to it linearly with
        depth. Training then needs the `rng` of `apply`.
      activation: of a block's hidden units, see `TransformerLayer`; "swiglu" has two thirds of them, rounded up to a multiple
        of 8, for about as many parameters.
      layer_scale: initial gain of each branch, 1e-5 in DINOv2; None for no gain.
      registers: learned tokens without position after the class token, which needs pool="token"; 4 in the paper's networks.
      mask_token: whether there is a token to replace masked patches by.
      dtype: of the activations; parameters, the last norm and "features" are float32.

    Raises:
      UsageError: sizes that do not divide, a drop_path out of range, unknown pool, positions or activation, registers without a
        class token.
      ValueError: when applied, images that patches do not divide, no `rng` where `drop_path` needs it, masked patches without
        a mask token.

    Example:
      >>> net = vit(image_size=28, patch_size=7, dim=32, depth=2, heads=2)
      >>> print(net.layers, net.patch_size)
      {'patches': 32, 'block1': 32, 'block2': 32, 'tokens': 32, 'features': 32} 7
    """

    norm_kind = "layer"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        image_size: ImageSize,
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
        activation: Activation = "gelu",
        layer_scale: float | None = None,
        registers: int = 0,
        mask_token: bool = False,
        dtype: DTypeLike = jnp.float32,
    ):
        check_sizes(image_size, patch_size, dim=dim, heads=heads)
        check_layers(depth=depth, activation=activation, drop_path=drop_path)
        if registers < 0 or (registers and pool != "token"):
            raise UsageError(f'vit: registers, got {registers}, must be 0, or above 0 with pool="token", got {pool}')
        pick("pool", pool, ("token", "mean"))
        pick("positions", positions, ("learned", "sincos"))
        height, width = sides_of(image_size)
        grid = height // patch_size, width // patch_size
        tokens = math.prod(grid) + (pool == "token")
        xavier, small = nnx.initializers.xavier_uniform(), nnx.initializers.truncated_normal(0.02)
        self.embedding = nnx.Linear(patch_size**2 * channels, dim, kernel_init=xavier, dtype=dtype, rngs=rngs)
        # A vector, so that weight decay, which goes by the number of axes, passes it by.
        self.token = nnx.Param(small(rngs.params(), (dim,))) if pool == "token" else None
        self.positions = nnx.Param(small(rngs.params(), (tokens, dim))) if positions == "learned" else None
        for number in range(1, depth + 1):
            block = TransformerLayer(
                dim, heads=heads, hidden=hidden_units(activation, mlp_ratio * dim), activation=activation,
                layer_scale=layer_scale, drop_path=drop_path * (number - 1) / max(depth - 1, 1), dtype=dtype, rngs=rngs,
            )  # fmt: skip
            setattr(self, f"block{number}", block)
        self.registers = nnx.Param(small(rngs.params(), (registers, dim))) if registers else None
        self.mask_token = nnx.Param(jnp.zeros(dim, jnp.float32)) if mask_token else None
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)
        self.position_offset = position_offset
        self.grid, self.patch_size, self.depth, self.width, self.dtype = grid, patch_size, depth, dim, dtype

    @property
    def layers(self) -> dict[str, int]:
        return dict.fromkeys(["patches", *self.blocks(), "tokens", "features"], self.width)

    def __call__(
        self,
        images: Array,
        visible: Array | None = None,
        masked: Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        tokens = self.embed(images, masked)
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
        return (images.shape[1] // self.patch_size) * (images.shape[2] // self.patch_size)

    def embed(self, images: Array, masked: Array | None) -> Array:
        height, width = images.shape[1:3]
        if height % self.patch_size or width % self.patch_size or not height * width:
            raise ValueError(f"vit: images must be in whole patches of {self.patch_size} pixels, got {images.shape}")
        patches = self.embedding(patchify(images.astype(self.dtype), self.patch_size))
        tokens = patches.reshape(len(images), -1, self.width)
        if masked is not None:
            if self.mask_token is None:
                raise ValueError(
                    "vit: masked patches are replaced by the mask token: make the network with mask_token=True"
                )
            tokens = jnp.where(masked[:, :, None], self.mask_token[...][None, None].astype(self.dtype), tokens)
        if self.token is not None:
            tokens = self.with_learned(tokens, self.token[...][None], at=0)
        tokens = tokens + self.positions_of((height // self.patch_size, width // self.patch_size))[None].astype(
            self.dtype
        )
        return tokens if self.registers is None else self.with_learned(tokens, self.registers[...], at=1)

    def with_learned(self, tokens: Array, learned: Array, *, at: int) -> Array:
        """Tokens `[B, T, D]` with learned ones `[R, D]` among them, from index `at` on."""
        learned = jnp.broadcast_to(learned.astype(self.dtype)[None], (len(tokens), *learned.shape))
        return jnp.concatenate([tokens[:, :at], learned, tokens[:, at:]], axis=1)

    def positions_of(self, grid: ImageSize) -> Array:
        """Positions of the tokens; those of another grid than the network's, such as of small crops, are interpolated."""
        rows, columns = sides_of(grid)
        if self.positions is None:
            fixed = grid_positions(self.grid, self.width)
            positions = jnp.asarray(np.concatenate([np.zeros_like(fixed[: self.token is not None]), fixed]))
        else:
            positions = self.positions[...]
        if (rows, columns) == self.grid:
            return positions
        first = len(positions) - math.prod(self.grid)
        own = positions[first:].reshape(*self.grid, self.width)
        resized = resize_positions(own, (rows, columns), offset=self.position_offset)
        return jnp.concatenate([positions[:first], resized.reshape(rows * columns, self.width)])


def hidden_units(activation: Activation, units: float) -> int:
    return (int(units * 2 / 3) + 7) // 8 * 8 if activation == "swiglu" else round(units)


def check_sizes(image_size: ImageSize, patch_size: int, *, dim: int, heads: int) -> None:
    """Raises the `UsageError`s about sizes that do not divide each other."""
    if patch_size < 1 or any(side % patch_size for side in sides_of(image_size)):
        raise UsageError(
            f"patch_size {patch_size} must divide image_size {in_words(image_size)}: choose another, or resize"
        )
    if dim % heads or dim % 4:
        raise UsageError(f"vit: dim {dim} must be a multiple of heads ({heads}) and of 4")


vit = network(ViT)


def vit_micro(*, image_size: ImageSize, patch_size: int, heads: int = 4, **options: Any) -> Net:
    """For two CPU cores and 28 x 28 pixels: 4 blocks of 64 features in 4 heads; the options are those of `vit`."""
    return vit(image_size=image_size, patch_size=patch_size, dim=64, depth=4, heads=heads, **options)


def vit_tiny(*, image_size: ImageSize, patch_size: int, heads: int = 3, **options: Any) -> Net:
    """ViT-Tiny: 12 blocks of 192 features in 3 heads; the options are those of `vit`.

    Example:
      >>> print(vit_tiny(image_size=32, patch_size=4).width)
      192
    """
    return vit(image_size=image_size, patch_size=patch_size, dim=192, depth=12, heads=heads, **options)


def vit_small(*, image_size: ImageSize, patch_size: int, heads: int = 6, **options: Any) -> Net:
    """ViT-Small: 12 blocks of 384 features in 6 heads; the options are those of `vit`.

    Example:
      >>> print(vit_small(image_size=32, patch_size=4).width)
      384
    """
    return vit(image_size=image_size, patch_size=patch_size, dim=384, depth=12, heads=heads, **options)


def vit_base(*, image_size: ImageSize, patch_size: int, heads: int = 12, **options: Any) -> Net:
    """ViT-Base: 12 blocks of 768 features in 12 heads; the options are those of `vit`.

    Example:
      >>> print(vit_base(image_size=32, patch_size=4).width)
      768
    """
    return vit(image_size=image_size, patch_size=patch_size, dim=768, depth=12, heads=heads, **options)


def vit_large(*, image_size: ImageSize, patch_size: int, heads: int = 16, **options: Any) -> Net:
    """ViT-Large: 24 blocks of 1024 features in 16 heads; the options are those of `vit`.

    Example:
      >>> print(vit_large(image_size=32, patch_size=4).width)
      1024
    """
    return vit(image_size=image_size, patch_size=patch_size, dim=1024, depth=24, heads=heads, **options)
