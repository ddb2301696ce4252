"""What is seen so far on a grid read from top to bottom: CPC's context.

B: examples; H, W: rows and columns of the grid; D: size of what comes in; E: of the context.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.layers import LayerNorm


class RowContext(nnx.Module):
    """Blocks of a convolution over a row and the one above it, each added to the stream."""

    def __init__(self, inputs: int, width: int, *, depth: int, dtype: DTypeLike, rngs: nnx.Rngs):
        self.embedding = nnx.Linear(inputs, width, dtype=dtype, rngs=rngs)
        for number in range(1, depth + 1):
            # Normed by place: statistics over the grid would tell a row what is below it.
            setattr(self, f"norm{number}", LayerNorm(width, dtype=dtype, rngs=rngs))
            conv = nnx.Conv(width, width, (2, 3), padding=((1, 0), (1, 1)), dtype=dtype, rngs=rngs)
            setattr(self, f"conv{number}", conv)
        self.depth, self.width, self.dtype = depth, width, dtype

    def __call__(self, grid: Array, *, rngs: nnx.Rngs | None = None) -> Array:
        x = self.embedding(grid.astype(self.dtype))
        for number in range(1, self.depth + 1):
            x = x + jax.nn.relu(getattr(self, f"conv{number}")(getattr(self, f"norm{number}")(x)))
        return x.astype(jnp.float32)


def row_context(*, inputs: int, width: int, depth: int, dtype: DTypeLike = jnp.float32) -> Net:
    """As `Net`: `[B, H, W, D]` -> `[B, H, W, E]`, float32, a place of which knows its row and `depth` rows above it.

    Columns are seen `depth` to either side, in the same row, too.

    Source: in place of the PixelCNN of van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, section 3.3.
    """
    return functional(lambda rngs: RowContext(inputs, width, depth=depth, dtype=dtype, rngs=rngs))
