"""The layer that transformers are stacks of: encoders of images and of sequences, and predictors.

B: examples; T: tokens; S: tokens that were encoded; H: heads; D: size of a token.

Sources: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1; norms first: Xiong et al. 2020,
https://arxiv.org/abs/2002.04745.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import Memory, MultiHeadAttention, Projection
from ssl_jax.networks.layers import LayerNorm

Activation = Literal["gelu", "relu"]
Inside = Literal["weights", "energies"]


class Layer(nnx.Module):
    """Self-attention, then cross-attention if it has one, then a two-layer network; each is added to the stream.

    `[B, T, D]` -> same in `dtype`. Masks of booleans broadcast to `[B, H, T, T]`, and to `[B, H, T, S]` for what is encoded.

    Args:
      dim, heads: D and H.
      hidden: units of the two-layer network.
      cross: whether there is cross-attention, to `encoded` `[B, S, D]`.
      norm_first: layer norm comes before each part, or, as in 2017, after each sum.
      activation: of the hidden units: exact "gelu" or "relu".
      dropout: chance that a number of a part is left out in training, before it is added.
      drop_path: chance that the whole part is left out of an example (stochastic depth, Huang et al. 2016).
      groups, causal, projection, rotary, dtype: as `MultiHeadAttention` has them.
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
        attend: Any = {"heads": heads, "groups": groups, "projection": projection, "dtype": dtype, "rngs": rngs}
        linear: Any = {"kernel_init": nnx.initializers.xavier_uniform(), "dtype": dtype, "rngs": rngs}
        self.attention_norm, self.mlp_norm = norm(), norm()
        self.attention = MultiHeadAttention(dim, causal=causal, rotary=rotary, **attend)
        if cross:
            self.cross_norm, self.cross = norm(), MultiHeadAttention(dim, cross=True, **attend)
        self.expand, self.contract = nnx.Linear(dim, hidden, **linear), nnx.Linear(hidden, dim, **linear)
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
        encoded: Array | None = None,
        encoded_mask: Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Array:
        read = self.attention(self.before(self.attention_norm, tokens), None, mask)
        tokens = self.after(self.attention_norm, tokens, read, rngs)
        if self.has_cross:
            read = self.cross(self.before(self.cross_norm, tokens), encoded, encoded_mask)
            tokens = self.after(self.cross_norm, tokens, read, rngs)
        return self.think(tokens, rngs)

    def inside(
        self,
        what: Inside,
        tokens: Array,
        mask: Array | None = None,
        encoded: Array | None = None,
        encoded_mask: Array | None = None,
    ) -> list[Array]:
        """The weights or energies of self-attention and, if there is one, of cross-attention, in evaluation."""
        asking = self.before(self.attention_norm, tokens)
        found = [getattr(self.attention, what)(asking, None, mask)]
        if self.has_cross:
            tokens = self.after(self.attention_norm, tokens, self.attention(asking, None, mask), None)
            asking = self.before(self.cross_norm, tokens)
            found.append(getattr(self.cross, what)(asking, encoded, encoded_mask))
        return found

    def advance(self, token: Array, said: Memory, place: Array, encoded: Memory, seen: Array) -> tuple[Array, Memory]:
        """One token of each example, `[B, 1, D]`, at `place` `[B]`; what was said before it grows by it."""
        read, said = self.attention.advance(self.before(self.attention_norm, token), said, place)
        token = self.after(self.attention_norm, token, read, None)
        read = self.cross.recall(self.before(self.cross_norm, token), encoded, seen)
        return self.think(self.after(self.cross_norm, token, read, None), None), said

    def think(self, tokens: Array, rngs: nnx.Rngs | None) -> Array:
        hidden = self.expand(self.before(self.mlp_norm, tokens))
        hidden = jax.nn.gelu(hidden, approximate=False) if self.activation == "gelu" else jax.nn.relu(hidden)
        return self.after(self.mlp_norm, tokens, self.contract(hidden), rngs)

    def before(self, norm: LayerNorm, tokens: Array) -> Array:
        return norm(tokens).astype(self.dtype) if self.norm_first else tokens

    def after(self, norm: LayerNorm, tokens: Array, part: Array, rngs: nnx.Rngs | None) -> Array:
        if not self.deterministic:
            part = drop("dropout", part, self.dropout, part.shape, rngs)
            part = drop("drop_path", part, self.drop_path, (len(part), 1, 1), rngs)
        return tokens + part if self.norm_first else norm(tokens + part).astype(self.dtype)


def drop(name: str, part: Array, chance: float, shape: tuple[int, ...], rngs: nnx.Rngs | None) -> Array:
    """Zeros at random, drawn in `shape`, which broadcasts to the part's, and the rest larger: its expectation is kept."""
    if not chance:
        return part
    if rngs is None:
        raise ValueError(f"{name}={chance:g} draws at random in training, so `apply` needs `rng`")
    kept = jax.random.bernoulli(rngs(), 1 - chance, shape)
    return jnp.where(kept, part / (1 - chance), jnp.zeros_like(part))


def check_layers(*, depth: int, activation: str, **chances: float) -> None:
    """The `UsageError`s about what a stack of layers is made of."""
    if depth < 1:
        raise UsageError(f"depth: got {depth}, expected at least 1 layer")
    pick("activation", activation, ("gelu", "relu"))
    for name, chance in chances.items():
        if not 0 <= chance < 1:
            raise UsageError(f"{name} is a chance of at least 0 and below 1, got {chance:g}")
