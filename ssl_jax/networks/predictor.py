"""A transformer that tells what is in some places from tokens of other places: MAE's decoder, I-JEPA's predictor.

B: examples; S: places that were seen; W: places that are wanted; D: size of the encoder's tokens; P: values to predict.
"""

from functools import partial

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import Layer
from ssl_jax.ops.positions import grid_positions


class Predictor(nnx.Module):
    """Tokens of the places seen beside one learned token in each place wanted, all with fixed positions; `depth` blocks."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        grid: int,
        dim: int,
        depth: int,
        heads: int,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        linear = partial(nnx.Linear, kernel_init=nnx.initializers.xavier_uniform(), dtype=dtype, rngs=rngs)
        self.embedding, self.prediction = linear(inputs, dim), linear(dim, outputs)
        self.token = nnx.Param(nnx.initializers.truncated_normal(0.02)(rngs.params(), (dim,)))
        for number in range(1, depth + 1):
            block = Layer(dim, heads=heads, hidden=4 * dim, dtype=dtype, rngs=rngs)
            setattr(self, f"block{number}", block)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)
        self.grid, self.dim, self.depth, self.width = grid, dim, depth, outputs

    def __call__(self, tokens: Array, seen: Array, wanted: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        positions = jnp.asarray(grid_positions(self.grid, self.dim))
        tokens = self.embedding(tokens)
        first = tokens.shape[1] - seen.shape[1]  # A class token has no place.
        there = tokens[:, first:] + positions[seen].astype(tokens.dtype)
        asked = (self.token[...][None, None] + positions[wanted]).astype(tokens.dtype)
        tokens = jnp.concatenate([tokens[:, :first], there, asked], axis=1)
        for number in range(1, self.depth + 1):
            tokens = getattr(self, f"block{number}")(tokens, rngs=rngs)
        return self.prediction(self.norm(tokens[:, -wanted.shape[1] :])).astype(jnp.float32)


def predictor(
    *, inputs: int, outputs: int, grid: int, dim: int, depth: int, heads: int, dtype: DTypeLike = jnp.float32
) -> Net:
    """As `Net`: tokens `[B, S, D]`, their places `[B, S]`, places wanted `[B, W]` -> predictions `[B, W, P]`, float32.

    A class token, one more than there are places, comes first and keeps no position.

    Args:
      inputs, outputs: D and P.
      grid: places on a side of the square; they are numbered row by row.
      dim, depth, heads: of its blocks.
      dtype: of the activations; parameters and predictions are float32.

    Source: He et al. 2021, https://arxiv.org/abs/2111.06377, section 3; Assran et al. 2023,
    https://arxiv.org/abs/2301.08243, section 3.
    """
    if dim % heads or dim % 4:
        raise UsageError(f"predictor: dim {dim} must be a multiple of heads ({heads}) and of 4")
    return functional(
        lambda rngs: Predictor(inputs, outputs, grid=grid, dim=dim, depth=depth, heads=heads, dtype=dtype, rngs=rngs)
    )
