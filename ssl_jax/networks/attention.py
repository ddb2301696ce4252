"""Attention as a layer: tokens become queries, keys and values, and read from each other in several ways at once.

B: examples; T: tokens that ask; S: tokens that are read; D: size of a token; H: heads of queries; G: heads of keys and
values, of which each serves H / G heads of queries.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.ops.attention import attention, attention_weights
from ssl_jax.ops.blocks import mixed_precision_einsum
from ssl_jax.ops.positions import rotate_pairs
from ssl_jax.ops.rotation import rotation_matrix

Projection = Literal["linear", "rotation"]


class Memory(NamedTuple):
    """What can be read: `keys` and `values`, `[B, S, G, D / H]`."""

    keys: Array
    values: Array


class Rotations(nnx.Module):
    """`count` rotations of tokens, side by side as one matrix: `[B, T, D]` -> `[B, T, count D]`, norms and angles kept.

    What is trained is any square matrix, so no step can leave the rotations, and weight decay draws towards none at all.
    """

    def __init__(self, dim: int, count: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        # Turns planes by up to about 110 degrees, so that queries, keys and values differ from the start.
        far = nnx.initializers.normal(2 * dim**-0.5)
        self.free = nnx.Param(far(rngs.params(), (count, dim, dim)))
        self.dtype = dtype

    def __call__(self, tokens: Array) -> Array:
        matrices = jnp.moveaxis(rotation_matrix(self.free[...]), 0, 1).reshape(tokens.shape[-1], -1)
        return mixed_precision_einsum("btd,de->bte", tokens, matrices.astype(self.dtype)).astype(self.dtype)


class MultiHeadAttention(nnx.Module):
    """Tokens read from tokens, once for each head, and a matrix puts together what the heads read: `[B, T, D]` -> same.

    In self-attention one matrix makes the queries, keys and values of all heads. In cross-attention tokens read from
    others, `context` `[B, S, D]`: one matrix makes the queries, one the keys and values. A `mask` of booleans broadcasts to
    `[B, H, T, S]` and is True where a token may look.

    Args:
      dim: D, a multiple of `heads`.
      heads, groups: H and G; G is H when None.
      cross: tokens read from `context`.
      causal: no token reads from those after it.
      projection: what makes queries, keys and values of tokens: a free "linear" map, or a "rotation" for each of the three,
        which keeps norms and angles of all D numbers before heads cut them into parts.
      rotary: queries and keys are turned by their places in the sequence; not in cross-attention.
      bias: of the linear maps; rotations have none.
      dtype: of the activations; parameters, weights and energies are float32.

    Raises:
      UsageError: heads do not divide, an unknown projection, or options that exclude each other.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2; groups: Ainslie et al. 2023,
    https://arxiv.org/abs/2305.13245.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        groups: int | None = None,
        cross: bool = False,
        causal: bool = False,
        projection: Projection = "linear",
        rotary: bool = False,
        bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_heads(dim, heads=heads, groups=groups, projection=projection, rotary=rotary)
        if cross and (rotary or causal):
            raise UsageError("attention: cross=True compares two sequences, so rotary and causal must be False")
        self.heads, self.groups, self.size = heads, groups or heads, dim // heads
        # Xavier's range for each of the square matrices, not for the one that holds them.
        linear: Any = partial(
            nnx.Linear,
            dim,
            kernel_init=nnx.initializers.variance_scaling(1.0, "fan_in", "uniform"),
            use_bias=bias,
            dtype=dtype,
            rngs=rngs,
        )
        rotation = projection == "rotation"
        make: Any = partial(Rotations, dim, dtype=dtype, rngs=rngs) if rotation else linear
        of_memory = 2 if rotation else 2 * self.groups * self.size
        one = 1 if rotation else dim
        if cross:
            self.query, self.memory = make(one), make(of_memory)
        else:
            self.qkv = make(one + of_memory)
        self.projection = linear(dim, kernel_init=nnx.initializers.xavier_uniform())
        self.cross, self.causal, self.rotary, self.dtype, self.width = cross, causal, rotary, dtype, dim

    def __call__(self, tokens: Array, context: Array | None = None, mask: Array | None = None) -> Array:
        query, memory = self.look(tokens, context)
        return self.read(query, memory, mask, causal=self.causal)

    def weights(self, tokens: Array, context: Array | None = None, mask: Array | None = None) -> Array:
        """How much each token reads from each, `[B, H, T, S]` float32; a row sums to 1, or to 0 if it may look nowhere."""
        query, memory = self.look(tokens, context)
        return attention_weights(query, memory.keys, mask=mask, causal=self.causal)

    def energies(self, tokens: Array, context: Array | None = None, mask: Array | None = None) -> Array:
        """Free energy of each query among its keys, `-1/b log sum_j exp(b key_j . query)`, `[B, H, T]` float32.

        b is `sqrt(H / D)`, attention's; a query that may look nowhere has infinite energy. See `ops.energy`.
        """
        query, (keys, _) = self.look(tokens, context)
        batch, length, heads, size = query.shape
        groups = query.reshape(batch, length, self.groups, -1, size)
        scores = mixed_precision_einsum("btgrd,bsgd->bgrts", groups, keys).reshape(batch, heads, length, -1)
        seen = jnp.ones(scores.shape, bool) if mask is None else jnp.broadcast_to(mask, scores.shape)
        if self.causal:
            seen &= jnp.tri(length, dtype=bool)[None, None]
        return -jax.nn.logsumexp(scores * size**-0.5, axis=-1, where=seen) * size**0.5

    def look(self, tokens: Array, context: Array | None = None, places: Array | None = None) -> tuple[Array, Memory]:
        """Queries `[B, T, H, D / H]` of the tokens, which stand in `places` (from 0 on when None), and what they can read."""
        if self.cross:
            if context is None:
                raise ValueError("attention: cross=True reads from a context, got None: pass what was encoded")
            return self.by_head(self.query(tokens), self.heads), self.remember(context)
        query, memory = jnp.split(self.qkv(tokens), [self.width], axis=-1)
        query, (keys, values) = self.by_head(query, self.heads), self.cut(memory)
        if self.rotary:
            places = jnp.arange(tokens.shape[1]) if places is None else places
            query, keys = rotate_pairs(query, places), rotate_pairs(keys, places)
        return query, Memory(keys, values)

    def remember(self, context: Array) -> Memory:
        """Keys and values of what cross-attention reads, to be made once for many queries."""
        return self.cut(self.memory(context))

    def recall(self, tokens: Array, memory: Memory, mask: Array | None = None) -> Array:
        """Cross-attention to what `remember` made."""
        return self.read(self.by_head(self.query(tokens), self.heads), memory, mask)

    def start(self, batch: int, length: int) -> Memory:
        """Room for the keys and values of `length` tokens of self-attention, to be read token by token."""
        empty = jnp.zeros((batch, length, self.groups, self.size), self.dtype)
        return Memory(empty, empty)

    def advance(self, token: Array, memory: Memory, place: Array) -> tuple[Array, Memory]:
        """One token of each example, `[B, 1, D]`, at `place` `[B]`, reads from itself and what came before it."""
        query, new = self.look(token, places=place[:, None])
        write = jax.vmap(lambda room, row, place: jax.lax.dynamic_update_slice_in_dim(room, row, place, 0))
        memory = Memory(*(write(room, row, place) for room, row in zip(memory, new, strict=True)))
        seen = jnp.arange(memory.keys.shape[1])[None] <= place[:, None]
        return self.read(query, memory, seen[:, None, None]), memory

    def read(self, query: Array, memory: Memory, mask: Array | None, causal: bool = False) -> Array:
        mixed = attention(query, *memory, mask=mask, causal=causal)
        return self.projection(mixed.reshape(*mixed.shape[:2], self.width))

    def cut(self, memory: Array) -> Memory:
        keys, values = jnp.split(memory, 2, axis=-1)
        return Memory(self.by_head(keys, self.groups), self.by_head(values, self.groups))

    def by_head(self, tokens: Array, heads: int) -> Array:
        return tokens.reshape(*tokens.shape[:2], heads, self.size)


def check_heads(dim: int, *, heads: int, groups: int | None, projection: str, rotary: bool) -> None:
    """The `UsageError`s about sizes and projections, for those who make layers of attention."""
    pick("projection", projection, ("linear", "rotation"))
    if heads < 1 or dim % heads:
        raise UsageError(f"heads {heads} must divide dim {dim}: choose another of the two")
    if groups is not None and (groups < 1 or heads % groups):
        raise UsageError(f"groups {groups} must divide heads {heads}: choose 1, or None for as many as heads")
    if groups is not None and projection == "rotation":
        raise UsageError(f"groups {groups}: a rotation keeps all of a token, so leave groups None, or project linearly")
    if rotary and dim // heads % 2:
        raise UsageError(
            f"rotary positions turn pairs, but dim {dim} in {heads} heads has {dim // heads} numbers in each"
        )
