"""Multi-head attention as a layer: tokens become queries, keys and values, and attend to each other once in each head.

B: examples; T: tokens with a query; S: tokens with keys and values; D: size of a token; H: heads of queries; G: heads of keys
and values, each of which serves H / G heads of queries; E: size of a value in a head. Queries and keys are compared, so they
have one size, D / H; values are only averaged, so E is free. Over shards of a sequence (`axis_name`), T and S are those of a
shard, except in masks, of which S is the whole.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Recorder
from ssl_jax.ops.attention import attention, attention_weights
from ssl_jax.ops.blocks import mixed_precision_einsum
from ssl_jax.ops.collectives import row_numbers
from ssl_jax.ops.positions import rotate_pairs
from ssl_jax.ops.rotation import rotation_matrix

Projection = Literal["linear", "rotation"]


class KeyValueCache(NamedTuple):
    """The `keys` `[B, S, G, D / H]` and `values` `[B, S, G, E]` that queries attend to."""

    keys: Array
    values: Array


class Rotations(nnx.Module):
    """`count` rotations of tokens, side by side as one matrix: `[B, T, D]` -> `[B, T, count D]`, norms and angles kept.

    What is trained is any square matrix, so every step gives rotations, and weight decay draws towards the identity.
    """

    def __init__(self, dim: int, count: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        # Rotates planes by up to about 110 degrees, so that queries, keys and values differ from the start.
        far = nnx.initializers.normal(2 * dim**-0.5)
        self.free = nnx.Param(far(rngs.params(), (count, dim, dim)))
        self.dtype = dtype

    def __call__(self, tokens: Array) -> Array:
        matrices = jnp.moveaxis(rotation_matrix(self.free[...]), 0, 1).reshape(tokens.shape[-1], -1)
        return mixed_precision_einsum("btd,de->bte", tokens, matrices.astype(self.dtype)).astype(self.dtype)


class MultiHeadAttention(Recorder):
    """Tokens attend to tokens, once in each head, and a linear map joins the outputs of the heads: `[B, T, D]` -> same.

    In self-attention one matrix makes the queries, keys and values of all heads. In cross-attention tokens attend to others,
    `context` `[B, S, D]`: one matrix makes the queries, one the keys and values. A `mask` of booleans broadcasts to
    `[B, H, T, S]` and is True where a query may attend.

    `Net.inspect` records "weights" `[B, H, T, S]`, rows of which sum to 1, or to 0 where everything is masked, and "energies"
    `[B, H, T]`, see `free_energies`; both are float32.

    Args:
      dim: D, a multiple of `heads`.
      heads, groups: H and G; G is H when None.
      value_size: E; D / H when None, as in the paper.
      cross: tokens attend to `context`.
      causal: no token attends to those after it.
      projection: makes queries, keys and values of tokens: a free "linear" map, or a "rotation" for each of the three, which
        keeps norms and angles of all D values before they are split into heads.
      rotary: queries and keys are rotated by their positions in the sequence; not in cross-attention.
      bias: of the linear maps; rotations have none.
      axis_name: mapped axis over which T and S are sharded, in the order of the positions: sequences that are too long for one
        device. Keys and values then pass through a ring, and the layer is called inside `shard_map`. Weights are not
        recorded, and `decode_step` is refused.
      dtype: of the activations; parameters, weights and energies are float32.

    Raises:
      UsageError: heads do not divide, an unknown projection, or options that exclude each other.
      ValueError: when called, no axis of that name is mapped; weights to be recorded, or a step of decoding, over shards.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2; groups: Ainslie et al. 2023,
    https://arxiv.org/abs/2305.13245.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        groups: int | None = None,
        value_size: int | None = None,
        cross: bool = False,
        causal: bool = False,
        projection: Projection = "linear",
        rotary: bool = False,
        bias: bool = True,
        axis_name: str | None = None,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_heads(dim, heads=heads, groups=groups, projection=projection, rotary=rotary, value_size=value_size)
        if cross and (rotary or causal):
            raise UsageError("attention: cross=True compares two sequences, so rotary and causal must be False")
        self.heads, self.groups, self.size = heads, groups or heads, dim // heads
        self.value_size = value_size or self.size
        # Xavier's range for each of the square matrices, not for the one that holds them.
        linear: Any = partial(
            nnx.Linear,
            kernel_init=nnx.initializers.variance_scaling(1.0, "fan_in", "uniform"),
            use_bias=bias,
            dtype=dtype,
            rngs=rngs,
        )
        rotation = projection == "rotation"
        make: Any = partial(Rotations, dim, dtype=dtype, rngs=rngs) if rotation else partial(linear, dim)
        keys_and_values = 2 if rotation else self.groups * (self.size + self.value_size)
        one = 1 if rotation else dim
        if cross:
            self.query, self.memory = make(one), make(keys_and_values)
        else:
            self.qkv = make(one + keys_and_values)
        self.projection = linear(heads * self.value_size, dim, kernel_init=nnx.initializers.xavier_uniform())
        self.cross, self.causal, self.rotary, self.dtype, self.width = cross, causal, rotary, dtype, dim
        self.axis_name = axis_name

    def __call__(self, tokens: Array, context: Array | None = None, mask: Array | None = None) -> Array:
        query, cache = self.project_qkv(tokens, context)
        if self.recording:
            check_whole("inspect", self.axis_name)
            weights = attention_weights(query, cache.keys, mask=mask, causal=self.causal)
            self.record(weights=weights, energies=free_energies(query, cache.keys, mask=mask, causal=self.causal))
        return self.attend(query, cache, mask, causal=self.causal)

    def project_qkv(
        self, tokens: Array, context: Array | None = None, positions: Array | None = None
    ) -> tuple[Array, KeyValueCache]:
        """Queries `[B, T, H, D / H]` of the tokens at `positions` (from 0 on when None), and the keys and values."""
        if self.cross:
            if context is None:
                raise ValueError("attention: cross=True attends to a context, got None: pass the encoder's output")
            return self.split_heads(self.query(tokens), self.heads), self.cache_context(context)
        query, keys_and_values = jnp.split(self.qkv(tokens), [self.width], axis=-1)
        query, (keys, values) = self.split_heads(query, self.heads), self.split_keys_values(keys_and_values)
        if self.rotary:
            positions = row_numbers(tokens.shape[1], self.axis_name) if positions is None else positions
            query, keys = rotate_pairs(query, positions), rotate_pairs(keys, positions)
        return query, KeyValueCache(keys, values)

    def attend(self, query: Array, cache: KeyValueCache, mask: Array | None, causal: bool = False) -> Array:
        """Outputs `[B, T, D]` of queries `[B, T, H, D / H]`."""
        mixed = attention(query, *cache, mask=mask, causal=causal, axis_name=self.axis_name)
        return self.projection(mixed.reshape(*mixed.shape[:2], -1))

    def cache_context(self, context: Array) -> KeyValueCache:
        """Keys and values of cross-attention, to be computed once for many queries."""
        return self.split_keys_values(self.memory(context))

    def cross_attend(self, tokens: Array, cache: KeyValueCache, mask: Array | None = None) -> Array:
        """Cross-attention to the context that `cache_context` projected."""
        return self.attend(self.split_heads(self.query(tokens), self.heads), cache, mask)

    def init_cache(self, batch: int, length: int) -> KeyValueCache:
        """Room for the keys and values of `length` tokens of self-attention, which `decode_step` fills one by one."""
        check_whole("init_cache", self.axis_name)
        sizes = (self.size, self.value_size)
        return KeyValueCache(*(jnp.zeros((batch, length, self.groups, size), self.dtype) for size in sizes))

    def decode_step(self, token: Array, cache: KeyValueCache, position: Array) -> tuple[Array, KeyValueCache]:
        """One token of each example, `[B, 1, D]`, at `position` `[B]`, attends to itself and to those before it."""
        check_whole("decode_step", self.axis_name)
        query, new = self.project_qkv(token, positions=position[:, None])
        write = jax.vmap(lambda rows, row, position: jax.lax.dynamic_update_slice_in_dim(rows, row, position, 0))
        cache = KeyValueCache(*(write(rows, row, position) for rows, row in zip(cache, new, strict=True)))
        visible = jnp.arange(cache.keys.shape[1])[None] <= position[:, None]
        return self.attend(query, cache, visible[:, None, None]), cache

    def split_keys_values(self, keys_and_values: Array) -> KeyValueCache:
        keys, values = jnp.split(keys_and_values, [self.groups * self.size], axis=-1)
        return KeyValueCache(self.split_heads(keys, self.groups), self.split_heads(values, self.groups))

    def split_heads(self, tokens: Array, heads: int) -> Array:
        return tokens.reshape(*tokens.shape[:2], heads, -1)


def free_energies(query: Array, keys: Array, *, mask: Array | None = None, causal: bool = False) -> Array:
    """Free energy of each query among its keys, `-1/b log sum_j exp(b key_j . query)`, `[B, H, T]` float32.

    Args:
      query, keys: `[B, T, H, D / H]` and `[B, S, G, D / H]`; b is `sqrt(H / D)`, attention's.
      mask: booleans that broadcast to `[B, H, T, S]`; a query of which everything is masked has infinite energy.
      causal: keys after the position of a query are masked, too.

    See `ops.energy`.
    """
    batch, length, heads, size = query.shape
    grouped = query.reshape(batch, length, keys.shape[2], -1, size)
    scores = mixed_precision_einsum("btgrd,bsgd->bgrts", grouped, keys).reshape(batch, heads, length, -1)
    visible = jnp.ones(scores.shape, bool) if mask is None else jnp.broadcast_to(mask, scores.shape)
    if causal:
        visible &= jnp.tri(length, dtype=bool)[None, None]
    return -jax.nn.logsumexp(scores * size**-0.5, axis=-1, where=visible) * size**0.5


def check_whole(method: str, axis_name: str | None) -> None:
    """Raises the `ValueError` about a method that takes no part of a sequence."""
    if axis_name is not None:
        raise ValueError(
            f"{method}: takes whole sequences, and this network has axis_name={axis_name!r}: make the same network without "
            "axis_name, whose parameters are the same"
        )


def check_heads(
    dim: int, *, heads: int, groups: int | None, projection: str, rotary: bool, value_size: int | None = None
) -> None:
    """Raises the `UsageError`s about sizes and projections of attention layers."""
    pick("projection", projection, ("linear", "rotation"))
    if heads < 1 or dim % heads:
        raise UsageError(f"heads {heads} must divide dim {dim}: choose another of the two")
    if groups is not None and (groups < 1 or heads % groups):
        raise UsageError(f"groups {groups} must divide heads {heads}: choose 1, or None for as many as heads")
    if groups is not None and projection == "rotation":
        raise UsageError(f"groups {groups}: a rotation keeps all of a token, so leave groups None, or project linearly")
    if value_size is not None and value_size < 1:
        raise UsageError(f"value_size: got {value_size}, expected at least 1, or None for dim / heads")
    if value_size is not None and projection == "rotation":
        raise UsageError(
            f"value_size {value_size}: a rotation keeps all of a token, so leave value_size None, or project linearly"
        )
    if rotary and dim // heads % 2:
        raise UsageError(
            f"rotary positions rotate pairs, but dim {dim} in {heads} heads has {dim // heads} values in each"
        )
