"""The parts of a transformer: encoders, predictor and decoder, and the unit delay of the target.

B: examples; S: tokens of the source; T: tokens of the target; D: size of a token; V: symbols of the target. An encoder
represents the source x, another the delayed target y; the predictor compares the two, `h = Pred(Enc(x), Enc(delay(y)))`; the
decoder turns h into what is read out as logits of symbols, `y~ = Dec(h)`. The energy of x and y is the cross-entropy of y under
y~.

These are the modules of one layer. Where there are several, encoder of y, predictor and decoder follow one another in each of
them; what Vaswani et al. call the decoder is all three.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; in these terms Canziani, Deep Learning, week 10,
https://atcold.github.io/NYU-DLSP21/en/week10/10-3/, figures 3 to 6.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.networks.attention import KeyValueCache
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.ops.collectives import pass_on
from ssl_jax.sequences.vocabulary import START

Caches = dict[str, KeyValueCache]  # One for each layer.


class TargetEncoder(TransformerLayer):
    """The encoder of y: self-attention, Add, Norm; `[B, T, D]` -> same, each token in the context of those up to it."""

    def __init__(self, dim: int, **options: Any):
        super().__init__(dim, parts=("attention",), **options)


class Predictor(TransformerLayer):
    """Cross-attention of the encoded y to the encoded x, Add, Norm; `[B, T, D]`, context `[B, S, D]` -> h `[B, T, D]`."""

    def __init__(self, dim: int, **options: Any):
        super().__init__(dim, parts=("cross",), **options)


class Decoder(TransformerLayer):
    """1-convolution, Add, Norm: the same two-layer network at each position, `[B, T, D]` -> same."""

    def __init__(self, dim: int, **options: Any):
        super().__init__(dim, parts=("mlp",), **options)


class TargetLayer(nnx.Module):
    """Encoder of y, predictor and decoder, in turn; without a source there is no predictor."""

    def __init__(self, dim: int, *, source: bool, causal: bool, **options: Any):
        self.encoder = TargetEncoder(dim, causal=causal, **options)
        self.predictor = Predictor(dim, **{**options, "rotary": False}) if source else None
        self.decoder, self.width = Decoder(dim, **options), dim

    def __call__(
        self, tokens: Array, context: Array | None, context_mask: Array | None, *, rngs: nnx.Rngs | None = None
    ) -> Array:
        tokens = self.encoder(tokens, rngs=rngs)
        if self.predictor is not None:
            tokens = self.predictor(tokens, None, context, context_mask, rngs=rngs)
        return self.decoder(tokens, rngs=rngs)

    def decode_step(
        self, token: Array, cache: KeyValueCache, position: Array, context: KeyValueCache | None, mask: Array | None
    ) -> tuple[Array, KeyValueCache]:
        """One token of each example, `[B, 1, D]`, at `position` `[B]`, and the encoder's cache with it."""
        token, cache = self.encoder.decode_step(token, cache, position)
        if self.predictor is not None:
            assert context is not None
            token = self.predictor.cross_attend(token, context, mask)
        return self.decoder(token), cache


class Stack(nnx.Module):
    """`depth` layers, and where norms come first a last norm: `[B, T, D]` -> same; options are those of the layers."""

    layer: Any = TransformerLayer

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
            layer = self.layer(dim, norm_first=norm_first, dtype=dtype, rngs=rngs, **options)
            setattr(self, f"block{number}", layer)
        self.norm = LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs) if norm_first else None
        self.depth, self.dtype, self.width = depth, dtype, dim

    def blocks(self) -> dict[str, Any]:
        return {f"block{number}": getattr(self, f"block{number}") for number in range(1, self.depth + 1)}

    def __call__(self, tokens: Array, *masks_and_context: Array | None, rngs: nnx.Rngs | None = None) -> Array:
        for block in self.blocks().values():
            tokens = block(tokens, *masks_and_context, rngs=rngs)
        return self.last_norm(tokens)

    def last_norm(self, tokens: Array) -> Array:
        return tokens if self.norm is None else self.norm(tokens).astype(self.dtype)


class Encoder(Stack):
    """The encoder of x, each token in the context of all tokens: without positions, a function of sets of vectors."""


class TargetLayers(Stack):
    """Layers of encoder of y, predictor and decoder: `[B, T, D]`, context `[B, S, D]` and its mask -> `[B, T, D]`."""

    layer: Any = TargetLayer

    def init_cache(self, batch: int, length: int, context: Array | None) -> tuple[Caches, Caches]:
        """Caches of each layer for `length` target tokens, and the keys and values of the encoded x, none without a source."""
        blocks = self.blocks().items()
        targets = {name: block.encoder.attention.init_cache(batch, length) for name, block in blocks}
        if context is None:
            return targets, {}
        return targets, {name: block.predictor.cross.cache_context(context) for name, block in blocks}

    def decode_step(
        self, token: Array, targets: Caches, position: Array, context: Caches, context_mask: Array | None
    ) -> tuple[Array, Caches]:
        """One token of each example, `[B, 1, D]`, at `position` `[B]`, and the caches of self-attention with it."""
        updated = {}
        for name, block in self.blocks().items():
            token, updated[name] = block.decode_step(token, targets[name], position, context.get(name), context_mask)
        return self.last_norm(token), updated


class Readout(nnx.Linear):
    """The logits of symbols from decoded tokens: `[B, T, D]` -> `[B, T, V]` float32."""

    def __init__(self, dim: int, symbols: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        super().__init__(dim, symbols, kernel_init=nnx.initializers.xavier_uniform(), dtype=dtype, rngs=rngs)

    def __call__(self, tokens: Array) -> Array:  # type: ignore[override]
        return super().__call__(tokens).astype(jnp.float32)


def delay(target: Array, axis_name: str | None = None) -> Array:
    """The symbol before each symbol: `[B, T]` moved right by one position, with START in front.

    Over shards of T, the last symbol of each shard moves to the next one.

    Example:
      >>> print(delay(jnp.array([[5, 6, 2]])))
      [[1 5 6]]
    """
    first = jnp.full_like(target[:, :1], START)
    if axis_name is not None:
        first = jnp.where(jax.lax.axis_index(axis_name) == 0, first, pass_on(target[:, -1:], axis_name))
    return jnp.concatenate([first, target[:, :-1]], axis=1)
