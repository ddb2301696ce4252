"""The recurrent network that writes one sequence of symbols from another, with or without attention.

B: examples; S: symbols of the source; T: of the target; V: symbols that a target may have; D: size of a state. Symbols,
padding and what can be called are those of `networks.transformer`.

Sources: Sutskever et al. 2014, https://arxiv.org/abs/1409.3215; attention: Bahdanau et al. 2015,
https://arxiv.org/abs/1409.0473, and Luong et al. 2015, https://arxiv.org/abs/1508.04025, "general" and "global", but what was
read is not fed into the next state, so that all places of a target read at once.
"""

from collections import OrderedDict
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.data.vocabulary import PADDING
from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.encoder_predictor_decoder import Decoder, delay
from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.recurrent_layer import Bidirectional, Cell, Recurrence, State
from ssl_jax.networks.transformer import checked
from ssl_jax.networks.transformer_layer import drop
from ssl_jax.ops.attention import attention, attention_weights


class RecurrentTranscriber(nnx.Module):
    """A bidirectional encoder, a predictor that starts from its last states, and a decoder; see `recurrent`."""

    def __init__(
        self,
        *,
        sources: int,
        symbols: int,
        dim: int,
        depth: int,
        cell: Cell,
        attention: bool,
        dropout: float,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        common: Any = {"dtype": dtype, "rngs": rngs}
        embed: Any = {"embedding_init": nnx.initializers.normal(1.0), **common}
        self.source, self.target = nnx.Embed(sources, dim, **embed), nnx.Embed(symbols, dim, **embed)
        self.encoder = Bidirectional(dim, depth=depth, cell=cell, dropout=dropout, **common)
        for number in range(1, depth + 1):
            setattr(self, f"predictor{number}", Recurrence(dim, dim, cell=cell, **common))
        if attention:
            self.query = nnx.Linear(dim, dim, use_bias=False, **common)
            self.mix = nnx.Linear(2 * dim, dim, **common)
        self.decoder = Decoder(dim, symbols, **common)
        self.attention, self.dropout, self.depth, self.width = attention, dropout, depth, dim
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(self, source: Array, target: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        encoded, seen, states = self.encode(source, rngs)
        known = self.predict(target, states, rngs)
        logits = self.decoder(self.thin(self.look(known, encoded, seen), rngs))
        real = seen[:, :, None].astype(jnp.float32)
        features = (encoded.astype(jnp.float32) * real).sum(1) / jnp.maximum(real.sum(1), 1)
        return OrderedDict(encoded=encoded, features=features, logits=logits)

    def start(self, source: Array, length: int) -> dict[str, Any]:
        """What is known before the first symbol; every leaf has the leading axis B, and none grows with `length`."""
        encoded, seen, states = self.encode(source)
        return {"states": states, **({"encoded": encoded, "seen": seen} if self.attention else {})}

    def advance(self, cache: dict[str, Any], symbol: Array) -> tuple[Array, dict[str, Any]]:
        """`[B]`, the symbols said last, at first START -> logits `[B, V]` of the next, and what is known now."""
        known, states = self.target(symbol), []
        for layer, state in zip(self.predictor(), cache["states"], strict=True):
            known, state = layer.advance(known, state)
            states.append(state)
        known = self.look(known[:, None], cache.get("encoded"), cache.get("seen"))
        return self.decoder(known)[:, 0], {**cache, "states": states}

    def alignments(self, source: Array, target: Array) -> Array:
        """Where the network looks in the source before it says a symbol, `[B, T, S]`."""
        if not self.attention:
            raise UsageError("alignments: this network has no attention: make it with attention=True")
        encoded, seen, states = self.encode(source)
        query = self.query(self.predict(target, states))
        return attention_weights(query[:, :, None], encoded[:, :, None], mask=seen[:, None, None])[:, 0]

    def encode(self, source: Array, rngs: nnx.Rngs | None = None) -> tuple[Array, Array, list[State]]:
        """`[B, S, D]`, what of it is no padding `[B, S]`, and the states that the predictor starts from."""
        seen = checked("source", source) != PADDING
        encoded, states = self.encoder(self.thin(self.source(source), rngs), seen, rngs=rngs)
        return encoded, seen, states

    def predict(self, target: Array, states: list[State], rngs: nnx.Rngs | None = None) -> Array:
        """What is known before each symbol: of the source as a whole, and of the symbols before it, `[B, T, D]`."""
        if len(states[0][0]) != len(checked("target", target)):
            raise ValueError(f"source and target: needs as many of each, got {len(states[0][0])} and {len(target)}")
        known = self.target(delay(target))
        for layer, state in zip(self.predictor(), states, strict=True):
            known, _ = layer(self.thin(known, rngs), state)
        return known

    def look(self, known: Array, encoded: Any, seen: Any) -> Array:
        """What is known, put together with what it makes the network read in the source, `[B, T, D]`."""
        if not self.attention:
            return known
        query, memory = self.query(known)[:, :, None], encoded[:, :, None]  # One head.
        read = attention(query, memory, memory, mask=seen[:, None, None])[:, :, 0]
        return jnp.tanh(self.mix(jnp.concatenate([known, read], axis=2)))

    def predictor(self) -> list[Recurrence]:
        return [getattr(self, f"predictor{number}") for number in range(1, self.depth + 1)]

    def thin(self, tokens: Array, rngs: nnx.Rngs | None) -> Array:
        return tokens if self.deterministic else drop("dropout", tokens, self.dropout, tokens.shape, rngs)


def recurrent(
    *,
    sources: int,
    symbols: int,
    dim: int,
    depth: int,
    cell: Cell = "gru",
    attention: bool = True,
    dropout: float = 0.0,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """As `Net`: source `[B, S]` and target `[B, T]` -> "encoded" `[B, S, D]`, "features" `[B, D]`, "logits" `[B, T, V]`.

    "features" is the mean of what was encoded, without padding. Logits at place t know the source and the target before t:
    the delay is inside. `apply(..., method=...)` has "start", "advance" and, with attention, "alignments": see `transformer`.

    Args:
      sources, symbols: how many symbols a source and a target may have, the three of every vocabulary among them.
      dim: D, even; also the size of an embedded symbol.
      depth: layers of the encoder, and of the predictor.
      cell: "gru" or "lstm".
      attention: the network looks at what was encoded before it says a symbol; else all it knows of the source is the
        encoder's last state.
      dropout: chance in [0, 1) of each number of the embedded symbols and of what a layer says; states stay whole, as in
        Zaremba et al. 2014, https://arxiv.org/abs/1409.2329. Training then needs the `rng` of `apply`.
      dtype: of the activations; parameters, states, "features" and "logits" are float32.

    Raises:
      UsageError: an odd dim, no layers, a dropout out of range, an unknown cell, or "alignments" without attention.
      ValueError: when applied, sequences that are empty, no integers or not as many of each; no `rng` where dropout needs it.
    """
    pick("cell", cell, ("gru", "lstm"))
    if dim < 2 or dim % 2:
        raise UsageError(f"dim: got {dim}, expected an even number, since half of an encoder's units read backwards")
    if depth < 1:
        raise UsageError(f"depth: got {depth}, expected at least 1 layer")
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout is a chance of at least 0 and below 1, got {dropout:g}")
    return functional(
        lambda rngs: RecurrentTranscriber(
            sources=sources,
            symbols=symbols,
            dim=dim,
            depth=depth,
            cell=cell,
            attention=attention,
            dropout=dropout,
            dtype=dtype,
            rngs=rngs,
        )
    )
