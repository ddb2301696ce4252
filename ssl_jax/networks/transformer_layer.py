"""The layer that transformers are stacks of: encoders of images and of sequences, and decoders.

B: examples; T: tokens; S: tokens of the context; H: heads; D: size of a token.

Sources: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1; norms first: Xiong et al. 2020,
https://arxiv.org/abs/2002.04745.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import KeyValueCache, MultiHeadAttention, Projection
from ssl_jax.networks.layers import LayerNorm

Activation = Literal["gelu", "relu", "swiglu"]


class TransformerLayer(nnx.Module):
    """Self-attention, then cross-attention if it has one, then a two-layer network; each is added to the stream.

    `[B, T, D]` -> same in `dtype`. Masks of booleans broadcast to `[B, H, T, T]`, and to `[B, H, T, S]` for the context.

    Args:
      dim, heads: D and H.
      hidden: units of the two-layer network.
      cross: whether there is cross-attention, to `context` `[B, S, D]`.
      norm_first: layer norm comes before each part, or, as in 2017, after each sum.
      activation: of the hidden units: exact "gelu", "relu", or "swiglu", a product of twice as many: the first half, by silu,
        gates the second (Shazeer 2020, https://arxiv.org/abs/2002.05202).
      layer_scale: initial value of a gain on each channel of each part (Touvron et al. 2021,
        https://arxiv.org/abs/2103.17239); None for no gain.
      dropout: probability of a value of a part to be zeroed in training, before it is added.
      drop_path: probability of a whole part of an example to be zeroed (stochastic depth, Huang et al. 2016).
      groups, causal, projection, rotary, dtype: of `MultiHeadAttention`.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        hidden: int,
        cross: bool = False,
        norm_first: bool = True,
        activation: Activation = "gelu",
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        groups: int | None = None,
        causal: bool = False,
        projection: Projection = "linear",
        rotary: bool = False,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        norm = lambda: LayerNorm(dim, epsilon=1e-6, dtype=jnp.float32, rngs=rngs)  # noqa: E731
        attention: Any = {"heads": heads, "groups": groups, "projection": projection, "dtype": dtype, "rngs": rngs}
        linear: Any = {"kernel_init": nnx.initializers.xavier_uniform(), "dtype": dtype, "rngs": rngs}
        gain = lambda: None if layer_scale is None else nnx.Param(jnp.full(dim, layer_scale, jnp.float32))  # noqa: E731
        self.attention_norm, self.mlp_norm = norm(), norm()
        self.attention_scale, self.mlp_scale = gain(), gain()
        self.attention = MultiHeadAttention(dim, causal=causal, rotary=rotary, **attention)
        if cross:
            self.cross_norm, self.cross = norm(), MultiHeadAttention(dim, cross=True, **attention)
            self.cross_scale = gain()
        expanded = 2 * hidden if activation == "swiglu" else hidden
        self.expand, self.contract = nnx.Linear(dim, expanded, **linear), nnx.Linear(hidden, dim, **linear)
        self.activation, self.norm_first, self.has_cross, self.dtype, self.width = (
            activation,
            norm_first,
            cross,
            dtype,
            dim,
        )
        self.dropout, self.drop_path = dropout, drop_path
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
        part = self.attention(self.before(self.attention_norm, tokens), None, mask)
        tokens = self.add(self.attention_norm, tokens, part, self.attention_scale, rngs)
        if self.has_cross:
            part = self.cross(self.before(self.cross_norm, tokens), context, context_mask)
            tokens = self.add(self.cross_norm, tokens, part, self.cross_scale, rngs)
        return self.mlp(tokens, rngs)

    def decode_step(
        self, token: Array, cache: KeyValueCache, position: Array, context: KeyValueCache, context_mask: Array
    ) -> tuple[Array, KeyValueCache]:
        """One token of each example, `[B, 1, D]`, at `position` `[B]`, and the cache of self-attention with it."""
        part, cache = self.attention.decode_step(self.before(self.attention_norm, token), cache, position)
        token = self.add(self.attention_norm, token, part, self.attention_scale, None)
        part = self.cross.cross_attend(self.before(self.cross_norm, token), context, context_mask)
        return self.mlp(self.add(self.cross_norm, token, part, self.cross_scale, None), None), cache

    def mlp(self, tokens: Array, rngs: nnx.Rngs | None) -> Array:
        hidden = activate(self.activation, self.expand(self.before(self.mlp_norm, tokens)))
        return self.add(self.mlp_norm, tokens, self.contract(hidden), self.mlp_scale, rngs)

    def before(self, norm: LayerNorm, tokens: Array) -> Array:
        return norm(tokens).astype(self.dtype) if self.norm_first else tokens

    def add(self, norm: LayerNorm, tokens: Array, part: Array, scale: nnx.Param | None, rngs: nnx.Rngs | None) -> Array:
        part = part if scale is None else part * scale[...][None, None].astype(part.dtype)
        if not self.deterministic:
            part = drop("dropout", part, self.dropout, part.shape, rngs)
            part = drop("drop_path", part, self.drop_path, (len(part), 1, 1), rngs)
        return tokens + part if self.norm_first else norm(tokens + part).astype(self.dtype)


def activate(activation: Activation, hidden: Array) -> Array:
    """The activations `[..., N]` of hidden units; "swiglu" takes `[..., 2 N]`."""
    if activation == "swiglu":
        gate, hidden = jnp.split(hidden, 2, axis=-1)
        return jax.nn.silu(gate) * hidden
    return jax.nn.gelu(hidden, approximate=False) if activation == "gelu" else jax.nn.relu(hidden)


def drop(name: str, part: Array, rate: float, shape: tuple[int, ...], rngs: nnx.Rngs | None) -> Array:
    """Zeros at random, drawn in `shape`, which broadcasts to the part's; the rest is scaled to keep the expectation.

    Args:
      name: of the option, for the error.
      rate: probability of a zero, in [0, 1).
      rngs: of the call; needed where `rate` is above 0.
    """
    if not rate:
        return part
    if rngs is None:
        raise ValueError(f"{name}={rate:g} draws at random in training, so `apply` needs `rng`")
    kept = jax.random.bernoulli(rngs(), 1 - rate, shape)
    return jnp.where(kept, part / (1 - rate), jnp.zeros_like(part))


def check_layers(*, depth: int, activation: str, **rates: float) -> None:
    """Raises the `UsageError`s about the options of a stack of layers."""
    if depth < 1:
        raise UsageError(f"depth: got {depth}, expected at least 1 layer")
    pick("activation", activation, get_args(Activation))
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise UsageError(f"{name} must be a probability in [0, 1), got {rate:g}")
