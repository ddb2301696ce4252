"""The transformer that writes one sequence of symbols from another, such as the sounds of a word from its letters.

B: examples; S: symbols of the source; T: of the target; V: symbols that a target may have; D: size of a token; H: heads.
Symbols are integers: PADDING, START and END of `data.vocabulary`, and what follows them. Padding stands at the end, and
nothing reads from it.
"""

from collections import OrderedDict
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.data.vocabulary import FIRST, PADDING
from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import Projection, check_heads
from ssl_jax.networks.encoder_predictor_decoder import Decoder, Encoder, Predictor, delay
from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.transformer_layer import Activation, check_layers, drop
from ssl_jax.ops.positions import sinusoidal_positions

Positions = Literal["sinusoidal", "rotary"]


class Transcriber(nnx.Module):
    """Encoder, predictor and decoder, with symbols as vectors on both sides; see `transformer`."""

    def __init__(
        self,
        *,
        sources: int,
        symbols: int,
        dim: int,
        positions: Positions,
        dropout: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        # Of length 1 here, and of the size of positions once multiplied by sqrt(D), as section 3.4 has it.
        embed: Any = {"embedding_init": nnx.initializers.normal(dim**-0.5), "dtype": dtype, "rngs": rngs}
        stack: Any = {"rotary": positions == "rotary", "dropout": dropout, "dtype": dtype, "rngs": rngs, **options}
        self.source, self.target = nnx.Embed(sources, dim, **embed), nnx.Embed(symbols, dim, **embed)
        self.encoder, self.predictor = Encoder(dim, **stack), Predictor(dim, **stack)
        self.decoder = Decoder(dim, symbols, dtype=dtype, rngs=rngs)
        self.sinusoidal, self.dropout, self.width = positions == "sinusoidal", dropout, dim
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(self, source: Array, target: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        encoded, seen = self.encode(source, rngs)
        known = self.embed(self.target, self.known(source, target), rngs)
        logits = self.decoder(self.predictor(known, None, encoded, seen, rngs=rngs))
        real = seen[:, 0, 0, :, None].astype(jnp.float32)
        features = (encoded.astype(jnp.float32) * real).sum(1) / jnp.maximum(real.sum(1), 1)
        return OrderedDict(encoded=encoded, features=features, logits=logits)

    def start(self, source: Array, length: int) -> dict[str, Any]:
        """What is known before the first symbol; every leaf has the leading axis B."""
        encoded, seen = self.encode(source)
        said, heard = self.predictor.start(encoded, length)
        return {"said": said, "heard": heard, "seen": seen, "place": jnp.zeros(len(source), jnp.int32)}

    def advance(self, cache: dict[str, Any], symbol: Array) -> tuple[Array, dict[str, Any]]:
        """`[B]`, the symbols said last, at first START -> logits `[B, V]` of the next, and what is known now."""
        token = self.embed(self.target, symbol[:, None], place=cache["place"][:, None])
        heard, seen, place = cache["heard"], cache["seen"], cache["place"]
        token, said = self.predictor.advance(token, cache["said"], place, heard, seen)
        return self.decoder(token)[:, 0], {**cache, "said": said, "place": place + 1}

    def alignments(self, source: Array, target: Array) -> Array:
        """Where the last layer looks in the source before it says a symbol, `[B, T, S]`: the mean over heads."""
        encoded, seen = self.encode(source)
        known = self.embed(self.target, self.known(source, target))
        _, weights = self.predictor.inside("weights", known, None, encoded, seen)[-1]
        return weights.mean(1)

    def energies(self, source: Array, target: Array) -> dict[str, Array]:
        """Free energies of the queries of every block among their keys, `[B, H, S]` in the encoder, `[B, H, T]` after it.

        By name: "encoder1", ..., then "predictor1" (self-attention), "cross1", "predictor2", ...
        """
        encoded, seen = self.encode(source)
        known = self.embed(self.target, self.known(source, target))
        energies = OrderedDict()
        for number, (own,) in enumerate(self.encoder.inside("energies", self.embed(self.source, source), seen), 1):
            energies[f"encoder{number}"] = own
        for number, pair in enumerate(self.predictor.inside("energies", known, None, encoded, seen), 1):
            energies[f"predictor{number}"], energies[f"cross{number}"] = pair
        return energies

    def encode(self, source: Array, rngs: nnx.Rngs | None = None) -> tuple[Array, Array]:
        """`[B, S, D]`, and what of it is no padding, `[B, 1, 1, S]`."""
        seen = (checked("source", source) != PADDING)[:, None, None]
        return self.encoder(self.embed(self.source, source, rngs), seen, rngs=rngs), seen

    def known(self, source: Array, target: Array) -> Array:
        if len(source) != len(checked("target", target)):
            raise ValueError(f"source and target: needs as many of each, got {len(source)} and {len(target)}")
        return delay(target)

    def embed(
        self, vectors: nnx.Embed, symbols: Array, rngs: nnx.Rngs | None = None, place: Array | None = None
    ) -> Array:
        tokens = vectors(symbols) * self.width**0.5
        if self.sinusoidal:
            place = jnp.arange(symbols.shape[1])[None] if place is None else place
            tokens = tokens + sinusoidal_positions(place, self.width).astype(tokens.dtype)
        return tokens if self.deterministic else drop("dropout", tokens, self.dropout, tokens.shape, rngs)


def checked(name: str, symbols: Array) -> Array:
    if symbols.ndim != 2 or not jnp.issubdtype(symbols.dtype, jnp.integer) or not symbols.shape[1]:
        raise ValueError(
            f"{name}: needs integers [B, length], at least one of each, got {symbols.dtype} {symbols.shape}"
        )
    return symbols


def transformer(
    *,
    sources: int,
    symbols: int,
    dim: int,
    depth: int,
    heads: int,
    groups: int | None = None,
    mlp_ratio: float = 4.0,
    projection: Projection = "linear",
    norm_first: bool = True,
    activation: Activation = "gelu",
    positions: Positions = "sinusoidal",
    dropout: float = 0.0,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """As `Net`: source `[B, S]`, target `[B, T]` -> "encoded" `[B, S, D]`, "features" `[B, D]` and "logits" `[B, T, V]`.

    "features" is the mean of what was encoded, without padding. Logits at place t know the source and the target before t:
    the delay is inside. `apply(..., method=...)` has more, for evaluation:

    - "start": source, number of places T -> a cache; "advance": cache, symbols `[B]` -> logits `[B, V]`, cache. Symbol by
      symbol, START first, at most T of them: the same logits, at the cost of one place each.
    - "alignments": source, target -> weights of the last cross-attention, `[B, T, S]`.
    - "energies": source, target -> free energies of all queries of every block, by name.

    Args:
      sources, symbols: how many symbols a source and a target may have, the three of every vocabulary among them.
      dim, heads: D and H.
      depth: layers of the encoder, and of the predictor.
      groups: heads of keys and values, a divisor of `heads`; as many as heads when None.
      mlp_ratio: hidden units of a layer over `dim`.
      projection: queries, keys and values by a free "linear" map or by a "rotation" each.
      norm_first: layer norms before the parts of a layer, and a last one; or, as in 2017, after each sum.
      activation: "gelu" or "relu".
      positions: "sinusoidal", added to the symbols, or "rotary", by which queries and keys are turned. Neither has an end.
      dropout: chance in [0, 1) of each number of the embedded symbols and of each part of a layer. Training then needs the
        `rng` of `apply`.
      dtype: of the activations; parameters, "features" and "logits" are float32.

    Raises:
      UsageError: sizes that do not divide, a dropout out of range, unknown projection, activation or positions.
      ValueError: when applied, sequences that are empty or no integers, or no `rng` where dropout needs it.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.
    """
    pick("positions", positions, ("sinusoidal", "rotary"))
    check_heads(dim, heads=heads, groups=groups, projection=projection, rotary=positions == "rotary")
    check_layers(depth=depth, activation=activation, dropout=dropout)
    if positions == "sinusoidal" and dim % 2:
        raise UsageError(f"sinusoidal positions come in pairs, so dim must be even, got {dim}")
    for name, count in (("sources", sources), ("symbols", symbols)):
        if count <= FIRST:
            raise UsageError(f"{name}: got {count}, expected more than the {FIRST} numbers of every vocabulary")
    return functional(
        lambda rngs: Transcriber(
            sources=sources,
            symbols=symbols,
            dim=dim,
            positions=positions,
            dropout=dropout,
            dtype=dtype,
            rngs=rngs,
            depth=depth,
            heads=heads,
            groups=groups,
            hidden=round(mlp_ratio * dim),
            projection=projection,
            norm_first=norm_first,
            activation=activation,
        )
    )
