"""The layer that transformers are stacks of, or some of its parts: encoders, predictors, decoders.

B: examples; T: tokens; S: tokens of the context; H: heads; D: size of a token.

Sources: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1; norms first: Xiong et al. 2020,
https://arxiv.org/abs/2002.04745.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import KeyValueCache, MultiHeadAttention, Projection
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.ops.collectives import row_numbers, shards

Activation = Literal["gelu", "relu", "swiglu"]
Part = Literal["attention", "cross", "mlp"]


class TransformerLayer(nnx.Module):
    """Self-attention, cross-attention and a two-layer network, those of them that it has; each is added to the stream.

    `[B, T, D]` -> same in `dtype`. Masks of booleans broadcast to `[B, H, T, T]`, and to `[B, H, T, S]` for the context.

    Args:
      dim, heads: D and H.
      hidden: units of the two-layer network.
      parts: "attention" is self-attention; "cross" is cross-attention, to `context` `[B, S, D]`; "mlp" is the two-layer
        network, the same at each position (a convolution of width 1). They follow one another in this order.
      norm_first: layer norm comes before each part, or, as in 2017, after each sum.
      activation: of the hidden units: exact "gelu", "relu", or "swiglu", a product of twice as many: the first half, by silu,
        gates the second (Shazeer 2020, https://arxiv.org/abs/2002.05202).
      layer_scale: initial value of a gain on each channel of each part (Touvron et al. 2021,
        https://arxiv.org/abs/2103.17239); None for no gain.
      dropout: probability of a value of a part to be zeroed in training, before it is added.
      drop_path: probability of a whole part of an example to be zeroed (stochastic depth, Huang et al. 2016).
      groups, value_size, causal, projection, rotary, axis_name, dtype: of `MultiHeadAttention`; `causal` and `rotary` of
        self-attention. Over shards of a sequence, all get one key of `rngs`, and dropout draws as for the whole sequence.
    """

    attention_norm: LayerNorm
    cross_norm: LayerNorm
    mlp_norm: LayerNorm
    attention_scale: nnx.Param | None
    cross_scale: nnx.Param | None
    mlp_scale: nnx.Param | None

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        hidden: int,
        parts: Sequence[Part] = ("attention", "mlp"),
        norm_first: bool = True,
        activation: Activation = "gelu",
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        groups: int | None = None,
        value_size: int | None = None,
        causal: bool = False,
        projection: Projection = "linear",
        rotary: bool = False,
        axis_name: str | None = None,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        attention: Any = {
            "heads": heads, "groups": groups, "value_size": value_size, "projection": projection,
            "axis_name": axis_name, "dtype": dtype, "rngs": rngs,
        }  # fmt: skip
        linear: Any = {"kernel_init": nnx.initializers.xavier_uniform(), "dtype": dtype, "rngs": rngs}
        for part in ("attention", "mlp", "cross"):  # In this order, which decides what is drawn for which.
            if part in parts:
                gain = None if layer_scale is None else nnx.Param(jnp.full(dim, layer_scale, jnp.float32))
                setattr(self, f"{part}_norm", LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs))
                setattr(self, f"{part}_scale", gain)
        if "attention" in parts:
            self.attention = MultiHeadAttention(dim, causal=causal, rotary=rotary, **attention)
        if "cross" in parts:
            self.cross = MultiHeadAttention(dim, cross=True, **attention)
        if "mlp" in parts:
            expanded = 2 * hidden if activation == "swiglu" else hidden
            self.expand, self.contract = nnx.Linear(dim, expanded, **linear), nnx.Linear(hidden, dim, **linear)
        self.parts, self.activation, self.norm_first = tuple(parts), activation, norm_first
        self.dtype, self.width, self.dropout, self.drop_path = dtype, dim, dropout, drop_path
        self.axis_name = axis_name
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(
        self,
        tokens: Array,
        mask: Array | None = None,
        context: Array | None = None,
        context_mask: Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Array:
        if "attention" in self.parts:
            part = self.attention(self.before(self.attention_norm, tokens), None, mask)
            tokens = self.add(self.attention_norm, tokens, part, self.attention_scale, rngs)
        if "cross" in self.parts:
            part = self.cross(self.before(self.cross_norm, tokens), context, context_mask)
            tokens = self.add(self.cross_norm, tokens, part, self.cross_scale, rngs)
        return self.mlp(tokens, rngs) if "mlp" in self.parts else tokens

    def decode_step(self, token: Array, cache: KeyValueCache, position: Array) -> tuple[Array, KeyValueCache]:
        """Self-attention of one token of each example, `[B, 1, D]`, at `position` `[B]`, and the cache with it."""
        part, cache = self.attention.decode_step(self.before(self.attention_norm, token), cache, position)
        return self.add(self.attention_norm, token, part, self.attention_scale, None), cache

    def cross_attend(self, tokens: Array, context: KeyValueCache, context_mask: Array | None) -> Array:
        """Cross-attention to the context that `cross.cache_context` projected, in evaluation."""
        part = self.cross.cross_attend(self.before(self.cross_norm, tokens), context, context_mask)
        return self.add(self.cross_norm, tokens, part, self.cross_scale, None)

    def mlp(self, tokens: Array, rngs: nnx.Rngs | None) -> Array:
        hidden = activate(self.activation, self.expand(self.before(self.mlp_norm, tokens)))
        return self.add(self.mlp_norm, tokens, self.contract(hidden), self.mlp_scale, rngs)

    def before(self, norm: LayerNorm, tokens: Array) -> Array:
        return norm(tokens).astype(self.dtype) if self.norm_first else tokens

    def add(self, norm: LayerNorm, tokens: Array, part: Array, scale: nnx.Param | None, rngs: nnx.Rngs | None) -> Array:
        part = part if scale is None else part * scale[...][None, None].astype(part.dtype)
        if not self.deterministic:
            part = drop("dropout", part, self.dropout, rngs, axis_name=self.axis_name)
            part = drop("drop_path", part, self.drop_path, rngs, whole_examples=True)
        return tokens + part if self.norm_first else norm(tokens + part).astype(self.dtype)


def activate(activation: Activation, hidden: Array) -> Array:
    """The activations `[..., N]` of hidden units; "swiglu" takes `[..., 2 N]`.

    Example:
      >>> print(activate("relu", jnp.array([-1.0, 2.0])))
      [0. 2.]
    """
    if activation == "swiglu":
        gate, hidden = jnp.split(hidden, 2, axis=-1)
        return jax.nn.silu(gate) * hidden
    return jax.nn.gelu(hidden, approximate=False) if activation == "gelu" else jax.nn.relu(hidden)


def drop(
    name: str,
    part: Array,
    rate: float,
    rngs: nnx.Rngs | None,
    *,
    whole_examples: bool = False,
    axis_name: str | None = None,
) -> Array:
    """Zeros at random among the values of `[B, T, D]`; the rest is scaled to keep the expectation.

    Args:
      name: of the option, for the error.
      rate: probability of a zero, in [0, 1).
      rngs: of the call; needed where `rate` is above 0.
      whole_examples: draw once for each example, all values of which are zeroed or none.
      axis_name: mapped axis over which T is sharded. Every shard draws for all positions, of which the compiler computes only
        its own: the zeros are those of the whole sequence.

    Example:
      >>> print(drop("dropout", jnp.ones((1, 2, 3)), 0.0, None).shape)
      (1, 2, 3)
    """
    if not rate:
        return part
    if rngs is None:
        raise ValueError(f"{name}={rate:g} draws at random in training, so `apply` needs `rng`")
    if whole_examples:
        kept = jax.random.bernoulli(rngs(), 1 - rate, (len(part), 1, 1))
    else:
        batch, length, *rest = part.shape
        kept = jax.random.bernoulli(rngs(), 1 - rate, (batch, length * shards(axis_name), *rest))
        if axis_name is not None:
            kept = jax.lax.dynamic_slice_in_dim(kept, row_numbers(length, axis_name)[0], length, axis=1)
    return jnp.where(kept, part / (1 - rate), jnp.zeros_like(part))


def check_layers(*, depth: int, activation: str, **rates: float) -> None:
    """Raises the `UsageError`s about the options of a stack of layers.

    Example:
      >>> check_layers(depth=2, activation="gelu", dropout=0.1)
    """
    if depth < 1:
        raise UsageError(f"depth: got {depth}, expected at least 1 layer")
    pick("activation", activation, get_args(Activation))
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise UsageError(f"{name} must be a probability in [0, 1), got {rate:g}")
