"""A summary of the rows of a grid down to each of its rows: CPC's context.

B: examples; H, W: rows and columns of the grid; D: size of the inputs; E: size of the context.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.functional import network
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.ops.convolution import convolution


class RowContext(nnx.Module):
    """`[B, H, W, D]` -> `[B, H, W, E]`, float32; each position depends on its row and on the `depth` rows above it.

    Blocks of a convolution over a row and the one above it, each added to the residual stream. The receptive field spans
    `depth` columns to either side, in the same row, too.

    Args:
      inputs, width: D and E.
      depth: number of blocks.
      dtype: of the activations; parameters and the result are float32.

    Source: in place of the PixelCNN of van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, section 3.3.
    """

    norm_kind = "layer"

    def __init__(self, rngs: nnx.Rngs, *, inputs: int, width: int, depth: int, dtype: DTypeLike = jnp.float32):
        self.embedding = nnx.Linear(inputs, width, dtype=dtype, rngs=rngs)
        for number in range(1, depth + 1):
            # Normalised at each position separately: statistics over the grid would make a row depend on those below it.
            setattr(self, f"norm{number}", LayerNorm(width, dtype=dtype, rngs=rngs))
            options: Any = {"conv_general_dilated": convolution, "dtype": dtype, "rngs": rngs}
            conv = nnx.Conv(width, width, (2, 3), padding=((1, 0), (1, 1)), **options)
            setattr(self, f"conv{number}", conv)
        self.depth, self.width, self.dtype = depth, width, dtype

    def __call__(self, grid: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        x = self.embedding(grid.astype(self.dtype))
        for number in range(1, self.depth + 1):
            x = x + jax.nn.relu(getattr(self, f"conv{number}")(getattr(self, f"norm{number}")(x)))
        return x.astype(jnp.float32)


row_context = network(RowContext)
