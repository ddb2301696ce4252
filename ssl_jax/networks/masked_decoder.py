"""A transformer that predicts masked patches from tokens of visible ones: MAE's decoder, I-JEPA's predictor.

B: examples; S: visible patches; W: patches to predict; D: size of the encoder's tokens; P: values to predict for each patch.
"""

from functools import partial

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import network
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.ops.positions import grid_positions
from ssl_jax.sizes import ImageSize


class MaskedDecoder(nnx.Module):
    """Tokens `[B, S, D]`, indices of their patches `[B, S]` and of masked patches `[B, W]` -> predictions `[B, W, P]` float32.

    Tokens of visible patches and one mask token for each masked one, with fixed positions, go through `depth` blocks. Patches
    are numbered row by row. A class token, one more token than there are indices, comes first and has no position.

    Args:
      inputs, outputs: D and P.
      grid: patches on a side of the image, or rows and columns.
      dim, depth, heads: width, number and attention heads of the blocks.
      dtype: of the activations; parameters and predictions are float32.

    Raises:
      UsageError: `dim` is no multiple of `heads` and of 4.

    Source: He et al. 2021, https://arxiv.org/abs/2111.06377, section 3; Assran et al. 2023,
    https://arxiv.org/abs/2301.08243, section 3.
    """

    norm_kind = "layer"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        inputs: int,
        outputs: int,
        grid: ImageSize,
        dim: int,
        depth: int,
        heads: int,
        dtype: DTypeLike = jnp.float32,
    ):
        if dim % heads or dim % 4:
            raise UsageError(f"masked_decoder: dim {dim} must be a multiple of heads ({heads}) and of 4")
        linear = partial(nnx.Linear, kernel_init=nnx.initializers.xavier_uniform(), dtype=dtype, rngs=rngs)
        self.embedding, self.prediction = linear(inputs, dim), linear(dim, outputs)
        self.token = nnx.Param(nnx.initializers.truncated_normal(0.02)(rngs.params(), (dim,)))
        for number in range(1, depth + 1):
            block = TransformerLayer(dim, heads=heads, hidden=4 * dim, dtype=dtype, rngs=rngs)
            setattr(self, f"block{number}", block)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)
        self.grid, self.dim, self.depth, self.width = grid, dim, depth, outputs

    def __call__(self, tokens: Array, visible: Array, hidden: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        positions = jnp.asarray(grid_positions(self.grid, self.dim))
        tokens = self.embedding(tokens)
        first = tokens.shape[1] - visible.shape[1]  # A class token has no position.
        seen = tokens[:, first:] + positions[visible].astype(tokens.dtype)
        masked = (self.token[...][None, None] + positions[hidden]).astype(tokens.dtype)
        tokens = jnp.concatenate([tokens[:, :first], seen, masked], axis=1)
        for number in range(1, self.depth + 1):
            tokens = getattr(self, f"block{number}")(tokens, rngs=rngs)
        return self.prediction(self.norm(tokens[:, -hidden.shape[1] :])).astype(jnp.float32)


masked_decoder = network(MaskedDecoder)
