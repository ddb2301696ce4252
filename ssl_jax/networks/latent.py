"""The network of a conditional energy-based model with a latent variable: a predictor of x, and a decoder of it and of z.

B: examples; X, Z, Y: sizes of an input, of the latent variable and of an output.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import network


class LatentDecoder(nnx.Module):
    """Input `[B, X]` and latent variable `[B, Z]` -> output `[B, Y]`: `h = Pred(x)`, `y~ = Dec(h, z)`.

    The energy of x, y and z is a distance of y and y~; see `ops.latent` for what becomes of z. Two hidden layers each.

    Args:
      inputs, outputs: X and Y.
      latents: Z; 0 for one output for each input: `[B, 0]` is then what is passed as z.
      dim: hidden units.

    Raises:
      UsageError: a size is too small.

    Source: figure 1 of https://atcold.github.io/NYU-DLSP21/en/week10/10-3/.
    """

    def __init__(self, rngs: nnx.Rngs, *, inputs: int, latents: int, outputs: int, dim: int):
        if min(inputs, outputs, dim) < 1 or latents < 0:
            raise UsageError(
                f"latent_decoder: got inputs {inputs}, latents {latents}, outputs {outputs} and dim {dim}, expected at "
                "least 1, and 0 or more latents"
            )
        self.predictor = nnx.List([nnx.Linear(size, dim, rngs=rngs) for size in (inputs, dim)])
        self.decoder = nnx.List([nnx.Linear(size, dim, rngs=rngs) for size in (dim + latents, dim)])
        self.output, self.width = nnx.Linear(dim, outputs, rngs=rngs), outputs

    def __call__(self, x: Array, z: Array) -> Array:
        for layer in self.predictor:
            x = jax.nn.gelu(layer(x))
        both = jnp.concatenate([x, z], axis=1)
        for layer in self.decoder:
            both = jax.nn.gelu(layer(both))
        return self.output(both)


latent_decoder = network(LatentDecoder)
