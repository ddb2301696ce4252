"""The transformer that predicts one sequence of symbols from another, such as the sounds of a word from its letters.

Without a source it is a language model: each symbol is predicted from those before it.

B: examples; S: symbols of the source; T: of the target; V: symbols that a target may have; D: size of a token; H: heads.
Symbols are integers: PADDING, START and END of `sequences.vocabulary`, and those that follow them. Padding is at the end,
and no token attends to it. Over shards of a sequence (`axis_name`), S and T are those of a shard.
"""

from collections import OrderedDict
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import Projection, check_heads, check_whole
from ssl_jax.networks.functional import Recorder, network
from ssl_jax.networks.transformer_layer import Activation, check_layers, drop
from ssl_jax.ops.collectives import gather_positions, mean_over_shards, row_numbers
from ssl_jax.ops.positions import sinusoidal_positions
from ssl_jax.sequences.encoder_predictor_decoder import Encoder, Readout, TargetLayers, delay
from ssl_jax.sequences.vocabulary import FIRST, PADDING

Positions = Literal["sinusoidal", "rotary"]


class SymbolNetwork(Recorder):
    """A network of embedded symbols: each is a vector of length 1, multiplied by sqrt(D), with a sinusoid of its position."""

    def __init__(self, dim: int, *, sinusoidal: bool, dropout: float, axis_name: str | None = None):
        if sinusoidal and dim % 2:
            raise UsageError(f"sinusoidal positions come in pairs, so dim must be even, got {dim}")
        self.sinusoidal, self.dropout, self.width, self.axis_name = sinusoidal, dropout, dim, axis_name
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def embed(
        self, vectors: nnx.Embed, symbols: Array, rngs: nnx.Rngs | None = None, position: Array | None = None
    ) -> Array:
        tokens = vectors(symbols) * self.width**0.5
        if self.sinusoidal:
            position = row_numbers(symbols.shape[1], self.axis_name)[None] if position is None else position
            tokens = tokens + sinusoidal_positions(position, self.width).astype(tokens.dtype)
        return tokens if self.deterministic else drop("dropout", tokens, self.dropout, rngs, axis_name=self.axis_name)


def vectors_of(symbols: int, dim: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Embed:
    """Vectors of length 1, and of the size of positions after multiplication by sqrt(D), as in section 3.4 of the paper.

    Example:
      >>> vectors = vectors_of(6, 4, dtype=jnp.float32, rngs=nnx.Rngs(0))
      >>> print(vectors(jnp.array([[3, 4]])).shape)
      (1, 2, 4)
    """
    return nnx.Embed(symbols, dim, embedding_init=nnx.initializers.normal(dim**-0.5), dtype=dtype, rngs=rngs)


class Transformer(SymbolNetwork):
    """Source `[B, S]`, target `[B, T]` -> "encoded" `[B, S, D]`, "features" `[B, D]` and "logits" `[B, T, V]`.

    "features" is the mean of the encoded symbols, without padding. Logits at position t depend on the source and on the target
    before t: the delay is inside. `apply(..., method=...)` decodes step by step, in evaluation: "init_cache" takes the source
    and the number of positions T and returns a cache; "decode_step" takes a cache and symbols `[B]`, START first, and returns
    logits `[B, V]` and a cache. The logits are the same, at the cost of one position each.

    `Net.inspect` records "alignment" `[B, T, S]`, the weights of the last cross-attention, their mean over heads; and weights
    and energies of all attention: `intermediates["layers"]["block1"]["predictor"]["cross"]["energies"]` `[B, H, T]`.

    With `sources=None` there is no source: no encoder of x and no predictor, hence no cross-attention. What is passed as source
    is then not read but counted (`init_cache` needs B), there is no "encoded" and no "alignment", and "features" is the mean of
    the decoded target.

    Args:
      sources, symbols: numbers of symbols of sources and of targets, including the three of every vocabulary; `sources` is None
        for a language model.
      dim, heads: D and H.
      depth: layers of the encoder of x, and of the encoder of y, predictor and decoder.
      groups: heads of keys and values, a divisor of `heads`; as many as heads when None.
      value_size: values of each head; dim / heads when None.
      mlp_ratio: hidden units of a layer over `dim`.
      projection: queries, keys and values by a free "linear" map or by a "rotation" each.
      norm_first: layer norms before the parts of a layer, and a last one; or, as in 2017, after each sum.
      activation: "gelu", "relu" or "swiglu", see `TransformerLayer`.
      positions: "sinusoidal", added to the symbols, or "rotary", which rotates queries and keys. Both take any length.
      dropout: probability in [0, 1) of each value of the embedded symbols and of each part of a layer to be zeroed. Training
        then needs the `rng` of `apply`.
      axis_name: mapped axis over which S and T are sharded, in the order of the positions: each shard is given its symbols and
        returns their outputs, and all return the same "features". The parameters are those of the network without it, which
        decodes and is inspected. See docs/sharding.md.
      dtype: of the activations; parameters, "features" and "logits" are float32.

    Raises:
      UsageError: sizes that do not divide, a dropout out of range, unknown projection, activation or positions.
      ValueError: when applied, sequences that are empty or not integers, or no `rng` where dropout needs it.

    Example:
      >>> net = transformer(sources=6, symbols=7, dim=8, heads=2, depth=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> outputs, _ = net.apply(params, stats, jnp.array([[3, 4, 2]]), jnp.array([[5, 2]]), train=False)
      >>> print(outputs["logits"].shape, outputs["features"].shape)
      (1, 2, 7) (1, 8)

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.
    """

    norm_kind = "layer"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        sources: int | None,
        symbols: int,
        dim: int,
        depth: int,
        heads: int,
        groups: int | None = None,
        value_size: int | None = None,
        mlp_ratio: float = 4.0,
        projection: Projection = "linear",
        norm_first: bool = True,
        activation: Activation = "gelu",
        positions: Positions = "sinusoidal",
        dropout: float = 0.0,
        axis_name: str | None = None,
        dtype: DTypeLike = jnp.float32,
    ):
        rotary = pick("positions", positions, ("sinusoidal", "rotary")) == "rotary"
        check_heads(dim, heads=heads, groups=groups, projection=projection, rotary=rotary, value_size=value_size)
        check_layers(depth=depth, activation=activation, dropout=dropout)
        super().__init__(dim, sinusoidal=not rotary, dropout=dropout, axis_name=axis_name)
        for name, count in (("sources", sources), ("symbols", symbols)):
            if count is not None and count <= FIRST:
                raise UsageError(f"{name}: got {count}, expected more than the {FIRST} symbols of every vocabulary")
        stack: Any = {
            "depth": depth, "heads": heads, "groups": groups, "value_size": value_size, "hidden": round(mlp_ratio * dim),
            "rotary": rotary, "projection": projection, "norm_first": norm_first, "activation": activation, "dropout": dropout,
            "axis_name": axis_name, "dtype": dtype, "rngs": rngs,
        }  # fmt: skip
        self.source = None if sources is None else vectors_of(sources, dim, dtype=dtype, rngs=rngs)
        self.target = vectors_of(symbols, dim, dtype=dtype, rngs=rngs)
        self.encoder = None if sources is None else Encoder(dim, **stack)
        self.layers = TargetLayers(dim, source=sources is not None, causal=True, **stack)
        self.readout = Readout(dim, symbols, dtype=dtype, rngs=rngs)

    def __call__(self, source: Array, target: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        encoded, mask = self.encode(source, rngs)
        tokens = self.embed(self.target, delay(as_many("target", target, source), self.axis_name), rngs)
        decoded = self.layers(tokens, encoded, mask, rngs=rngs)
        logits = self.readout(decoded)
        if encoded is None or mask is None:
            return {"features": mean_of(decoded, target != PADDING, self.axis_name), "logits": logits}
        if self.recording:
            *_, last = self.layers.blocks().values()
            self.record(alignment=last.predictor.cross.recorded("weights").mean(1))
        return outputs_of(encoded, source != PADDING, logits, self.axis_name)

    def init_cache(self, source: Array, length: int) -> dict[str, Any]:
        """The cache before the first symbol; every leaf has the leading axis B."""
        check_whole("init_cache", self.axis_name)
        encoded, mask = self.encode(source)
        targets, context = self.layers.init_cache(len(source), length, encoded)
        return {"targets": targets, "context": context, "mask": mask, "position": jnp.zeros(len(source), jnp.int32)}

    def decode_step(self, cache: dict[str, Any], symbol: Array) -> tuple[Array, dict[str, Any]]:
        """`[B]`, the last symbols, initially START -> logits `[B, V]` of the next, and the cache with these symbols."""
        context, mask, position = cache["context"], cache["mask"], cache["position"]
        token = self.embed(self.target, symbol[:, None], position=position[:, None])
        token, targets = self.layers.decode_step(token, cache["targets"], position, context, mask)
        return self.readout(token)[:, 0], {**cache, "targets": targets, "position": position + 1}

    def encode(self, source: Array, rngs: nnx.Rngs | None = None) -> tuple[Array | None, Array | None]:
        """`[B, S, D]`, and the mask `[B, 1, 1, S]`, of all shards, that excludes padding; None for both without a source."""
        if self.encoder is None or self.source is None:
            return None, None
        mask = gather_positions(checked("source", source) != PADDING, self.axis_name)[:, None, None]
        return self.encoder(self.embed(self.source, source, rngs), mask, rngs=rngs), mask


transformer = network(Transformer)


def outputs_of(encoded: Array, visible: Array, logits: Array, axis_name: str | None = None) -> dict[str, Array]:
    """The outputs of a sequence network; "features" is the mean of `encoded` `[B, S, D]` where `visible` `[B, S]`.

    Example:
      >>> outputs = outputs_of(jnp.ones((1, 2, 4)), jnp.array([[True, False]]), jnp.zeros((1, 3, 6)))
      >>> print({name: array.shape for name, array in outputs.items()})
      {'encoded': (1, 2, 4), 'features': (1, 4), 'logits': (1, 3, 6)}
    """
    return OrderedDict(encoded=encoded, features=mean_of(encoded, visible, axis_name), logits=logits)


def mean_of(tokens: Array, visible: Array, axis_name: str | None = None) -> Array:
    """The mean of `[B, S, D]` where `visible` `[B, S]`, of all shards, float32 `[B, D]`; zeros where nothing is.

    Example:
      >>> print(mean_of(jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[True, True, False]])))
      [[2.]]
    """
    counted = visible[:, :, None].astype(jnp.float32)
    total = mean_over_shards((tokens.astype(jnp.float32) * counted).sum(1), axis_name)
    count = mean_over_shards(counted.sum(1), axis_name)
    return total / jnp.where(count > 0, count, 1)


def checked(name: str, symbols: Array) -> Array:
    """The symbols; a `ValueError` where they are not `[B, length]` integers.

    Example:
      >>> print(checked("source", jnp.array([[3, 4, 2]])))
      [[3 4 2]]
    """
    if symbols.ndim != 2 or not jnp.issubdtype(symbols.dtype, jnp.integer) or not symbols.shape[1]:
        raise ValueError(
            f"{name}: needs integers [B, length], at least one of each, got {symbols.dtype} {symbols.shape}"
        )
    return symbols


def as_many(name: str, target: Array, source: Array) -> Array:
    """The target; a `ValueError` where their numbers differ from those of sources.

    Example:
      >>> print(as_many("target", jnp.array([[3, 2]]), jnp.array([[5, 4, 2]])))
      [[3 2]]
    """
    if len(source) != len(checked(name, target)):
        raise ValueError(f"source and {name}: need equal numbers of sequences, got {len(source)} and {len(target)}")
    return target
