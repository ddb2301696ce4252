"""The parts of a transformer: encoder, predictor and decoder, and the unit delay of the predictor's input.

B: examples; S: tokens of the source; T: tokens of the target; D: size of a token; V: symbols of the target. The encoder
represents the source x, `h = Enc(x)`; the predictor predicts each symbol of the target y from those before it, and attends to
h, `h' = Pred(delay(y), h)`; the decoder turns predictions into logits of symbols, `y~ = Dec(h')`. The energy of x and y is the
cross-entropy of y under y~.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; in these terms LeCun and Canziani, Deep Learning, week 12,
https://atcold.github.io/NYU-DLSP20/en/week12/12-3/.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.attention import KeyValueCache
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.sequences.vocabulary import START

Caches = dict[str, KeyValueCache]  # One for each layer.


class Stack(nnx.Module):
    """`depth` layers, and where norms come first a last norm: `[B, T, D]` -> same; options are those of `TransformerLayer`."""

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
            layer = TransformerLayer(dim, norm_first=norm_first, dtype=dtype, rngs=rngs, **options)
            setattr(self, f"block{number}", layer)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs) if norm_first else None
        self.depth, self.dtype, self.width = depth, dtype, dim

    def blocks(self) -> dict[str, TransformerLayer]:
        return {f"block{number}": getattr(self, f"block{number}") for number in range(1, self.depth + 1)}

    def __call__(self, tokens: Array, *masks_and_context: Array | None, rngs: nnx.Rngs | None = None) -> Array:
        for block in self.blocks().values():
            tokens = block(tokens, *masks_and_context, rngs=rngs)
        return self.last_norm(tokens)

    def last_norm(self, tokens: Array) -> Array:
        return tokens if self.norm is None else self.norm(tokens).astype(self.dtype)


class Encoder(Stack):
    """Each token in the context of all tokens: without positions, a function of sets of vectors."""


class Predictor(Stack):
    """Predicts the next symbol at each position, from the symbols before it and the encoder's output."""

    def __init__(self, dim: int, **options: Any):
        super().__init__(dim, cross=True, causal=True, **options)

    def init_cache(self, context: Array, length: int) -> tuple[Caches, Caches]:
        """Caches of each layer for `length` target tokens, and the keys and values of the encoder's output."""
        targets = {name: block.attention.init_cache(len(context), length) for name, block in self.blocks().items()}
        return targets, {name: block.cross.cache_context(context) for name, block in self.blocks().items()}

    def decode_step(
        self, token: Array, targets: Caches, position: Array, context: Caches, context_mask: Array
    ) -> tuple[Array, Caches]:
        """One token of each example, `[B, 1, D]`, at `position` `[B]`, and the caches of self-attention with it."""
        updated = {}
        for name, block in self.blocks().items():
            token, updated[name] = block.decode_step(token, targets[name], position, context[name], context_mask)
        return self.last_norm(token), updated


class Decoder(nnx.Module):
    """The logits of symbols from predictions: `[B, T, D]` -> `[B, T, V]` float32."""

    def __init__(self, dim: int, symbols: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        xavier = nnx.initializers.xavier_uniform()
        self.logits, self.width = nnx.Linear(dim, symbols, kernel_init=xavier, dtype=dtype, rngs=rngs), symbols

    def __call__(self, tokens: Array) -> Array:
        return self.logits(tokens).astype(jnp.float32)


def delay(target: Array) -> Array:
    """The symbol before each symbol: `[B, T]` moved right by one position, with START in front."""
    return jnp.concatenate([jnp.full_like(target[:, :1], START), target[:, :-1]], axis=1)
