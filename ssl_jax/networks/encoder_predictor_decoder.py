"""The parts of a transformer: encoder, predictor, decoder, and the unit delay between what is said and what is known.

B: examples; S: tokens of the source; T: tokens of the target; D: size of a token; V: symbols of the target. The encoder finds
out what is in x, `h = Enc(x)`; the predictor tells what comes next from what came before, and looks at h,
`h' = Pred(delay(y), h)`; the decoder says it in symbols, `y~ = Dec(h')`. The energy of x and y is the cross-entropy of y
under y~.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; in these terms LeCun and Canziani, Deep Learning, week 12,
https://atcold.github.io/NYU-DLSP20/en/week12/12-3/.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.data.vocabulary import START
from ssl_jax.networks.attention import Memory
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import Inside, Layer

Cache = dict[str, Memory]


class Stack(nnx.Module):
    """`depth` layers, and where norms come first a last one: `[B, T, D]` -> same; takes what a `Layer` takes."""

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        norm_first: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        for number in range(1, depth + 1):
            layer = Layer(dim, norm_first=norm_first, dtype=dtype, rngs=rngs, **options)
            setattr(self, f"block{number}", layer)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs) if norm_first else None
        self.depth, self.dtype, self.width = depth, dtype, dim

    def blocks(self) -> dict[str, Layer]:
        return {f"block{number}": getattr(self, f"block{number}") for number in range(1, self.depth + 1)}

    def __call__(self, tokens: Array, *masks_and_encoded: Array | None, rngs: nnx.Rngs | None = None) -> Array:
        for block in self.blocks().values():
            tokens = block(tokens, *masks_and_encoded, rngs=rngs)
        return self.finish(tokens)

    def inside(self, what: Inside, tokens: Array, *masks_and_encoded: Array | None) -> list[list[Array]]:
        """Of each layer its weights, or energies."""
        found = []
        for block in self.blocks().values():
            found.append(block.inside(what, tokens, *masks_and_encoded))
            tokens = block(tokens, *masks_and_encoded)
        return found

    def finish(self, tokens: Array) -> Array:
        return tokens if self.norm is None else self.norm(tokens).astype(self.dtype)


class Encoder(Stack):
    """What there is, in the light of all that there is: without positions, a function of sets of vectors."""


class Predictor(Stack):
    """What comes next at each place, from what came before it and from what was encoded."""

    def __init__(self, dim: int, **options: Any):
        super().__init__(dim, cross=True, causal=True, **options)

    def start(self, encoded: Array, length: int) -> tuple[Cache, Cache]:
        """Of each layer room for what will be said, `length` tokens, and keys and values of what was encoded."""
        said = {name: block.attention.start(len(encoded), length) for name, block in self.blocks().items()}
        return said, {name: block.cross.remember(encoded) for name, block in self.blocks().items()}

    def advance(self, token: Array, said: Cache, place: Array, encoded: Cache, seen: Array) -> tuple[Array, Cache]:
        grown = {}
        for name, block in self.blocks().items():
            token, grown[name] = block.advance(token, said[name], place, encoded[name], seen)
        return self.finish(token), grown


class Decoder(nnx.Module):
    """What the predictor says, in symbols: `[B, T, D]` -> logits `[B, T, V]` float32."""

    def __init__(self, dim: int, symbols: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        xavier = nnx.initializers.xavier_uniform()
        self.logits, self.width = nnx.Linear(dim, symbols, kernel_init=xavier, dtype=dtype, rngs=rngs), symbols

    def __call__(self, tokens: Array) -> Array:
        return self.logits(tokens).astype(jnp.float32)


def delay(target: Array) -> Array:
    """What is known when each symbol is to be said: `[B, T]` moved right by one place, with START in front."""
    return jnp.concatenate([jnp.full_like(target[:, :1], START), target[:, :-1]], axis=1)
