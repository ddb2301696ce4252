"""The recurrent network that predicts one sequence of symbols from another, with or without attention.

B: examples; S: symbols of the source; T: of the target; V: symbols that a target may have; D: size of a state. Symbols,
padding, methods and outputs are those of `sequences.transformer`.

Sources: Sutskever et al. 2014, https://arxiv.org/abs/1409.3215; attention: Bahdanau et al. 2015,
https://arxiv.org/abs/1409.0473, and Luong et al. 2015, https://arxiv.org/abs/1508.04025, "general" and "global", but the output
of attention is not fed into the next state, so that all positions of a target attend at once.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Recorder, network
from ssl_jax.networks.transformer_layer import drop
from ssl_jax.ops.attention import attention, attention_weights
from ssl_jax.sequences.encoder_predictor_decoder import Readout, delay
from ssl_jax.sequences.recurrent_layer import PARTS, Bidirectional, Cell, Recurrence, State
from ssl_jax.sequences.transformer import as_many, checked, outputs_of
from ssl_jax.sequences.vocabulary import PADDING


class Recurrent(Recorder):
    """Source `[B, S]` and target `[B, T]` -> "encoded" `[B, S, D]`, "features" `[B, D]`, "logits" `[B, T, V]`.

    A bidirectional encoder, a predictor whose first states are the encoder's last, and a linear readout. "features" is the mean
    of the encoded symbols, without padding. Logits at position t depend on the source and on the target before t: the delay is
    inside. `apply(..., method=...)` has "init_cache" and "decode_step", see `transformer`. With attention `Net.inspect`
    records "alignment" `[B, T, S]`, the attention weights.

    Args:
      sources, symbols: numbers of symbols of sources and of targets, including the three of every vocabulary.
      dim: D, even; also the size of an embedded symbol.
      depth: layers of the encoder, and of the predictor.
      cell: "gru", "lstm", or "tanh", without gates.
      attention: the predictor attends to the encoded symbols before each prediction; else the source reaches it by the
        encoder's last state alone.
      dropout: probability in [0, 1) of each value of the embedded symbols and of a layer's output to be zeroed; states have no
        dropout, as in Zaremba et al. 2014, https://arxiv.org/abs/1409.2329. Training then needs the `rng` of `apply`.
      dtype: of the activations; parameters, states, "features" and "logits" are float32.

    Raises:
      UsageError: an odd dim, no layers, a dropout out of range, an unknown cell.
      ValueError: when applied, sequences that are empty, not integers or of different numbers; no `rng` where dropout needs it.

    Example:
      >>> net = recurrent(sources=6, symbols=7, dim=8, depth=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> outputs, _ = net.apply(params, stats, jnp.array([[3, 4, 2]]), jnp.array([[5, 2]]), train=False)
      >>> print(outputs["logits"].shape)
      (1, 2, 7)
    """

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        sources: int,
        symbols: int,
        dim: int,
        depth: int,
        cell: Cell = "gru",
        attention: bool = True,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
    ):
        pick("cell", cell, tuple(PARTS))
        if dim < 2 or dim % 2:
            raise UsageError(f"dim: got {dim}, expected an even number, since half of an encoder's units run backwards")
        if depth < 1:
            raise UsageError(f"depth: got {depth}, expected at least 1 layer")
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout must be a probability in [0, 1), got {dropout:g}")
        common: Any = {"dtype": dtype, "rngs": rngs}
        embed: Any = {"embedding_init": nnx.initializers.normal(1.0), **common}
        self.source, self.target = nnx.Embed(sources, dim, **embed), nnx.Embed(symbols, dim, **embed)
        self.encoder = Bidirectional(dim, depth=depth, cell=cell, dropout=dropout, **common)
        for number in range(1, depth + 1):
            setattr(self, f"predictor{number}", Recurrence(dim, dim, cell=cell, **common))
        if attention:
            self.query = nnx.Linear(dim, dim, use_bias=False, **common)
            self.mix = nnx.Linear(2 * dim, dim, **common)
        self.readout = Readout(dim, symbols, **common)
        self.attention, self.dropout_rate, self.depth, self.width = attention, dropout, depth, dim
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(self, source: Array, target: Array, *, rngs: nnx.Rngs | None = None) -> dict[str, Array]:
        encoded, visible, states = self.encode(source, rngs)
        outputs = self.predict(as_many("target", target, source), states, rngs)
        logits = self.readout(self.dropout(self.attend(outputs, encoded, visible), rngs))
        return outputs_of(encoded, visible, logits)

    def init_cache(self, source: Array, length: int) -> dict[str, Any]:
        """The cache before the first symbol; every leaf has the leading axis B, and none grows with `length`."""
        encoded, visible, states = self.encode(source)
        return {"states": states, **({"encoded": encoded, "visible": visible} if self.attention else {})}

    def decode_step(self, cache: dict[str, Any], symbol: Array) -> tuple[Array, dict[str, Any]]:
        """`[B]`, the last symbols, initially START -> logits `[B, V]` of the next, and the cache with these symbols."""
        output, states = self.target(symbol), []
        for layer, state in zip(self.predictor(), cache["states"], strict=True):
            output, state = layer.decode_step(output, state)
            states.append(state)
        output = self.attend(output[:, None], cache.get("encoded"), cache.get("visible"))
        return self.readout(output)[:, 0], {**cache, "states": states}

    def encode(self, source: Array, rngs: nnx.Rngs | None = None) -> tuple[Array, Array, list[State]]:
        """`[B, S, D]`, a mask without padding `[B, S]`, and the first states of the predictor."""
        visible = checked("source", source) != PADDING
        encoded, states = self.encoder(self.dropout(self.source(source), rngs), visible, rngs=rngs)
        return encoded, visible, states

    def predict(self, target: Array, states: list[State], rngs: nnx.Rngs | None = None) -> Array:
        """The outputs of the last layer before each symbol, from the source's state and the symbols before it, `[B, T, D]`."""
        outputs = self.target(delay(target))
        for layer, state in zip(self.predictor(), states, strict=True):
            outputs, _ = layer(self.dropout(outputs, rngs), state)
        return outputs

    def attend(self, outputs: Array, encoded: Any, visible: Any) -> Array:
        """The outputs, combined with those encoded symbols that they attend to, `[B, T, D]`."""
        if not self.attention:
            return outputs
        query, keys, mask = self.query(outputs)[:, :, None], encoded[:, :, None], visible[:, None, None]  # One head.
        if self.recording:
            self.record(alignment=attention_weights(query, keys, mask=mask)[:, 0])
        attended = attention(query, keys, keys, mask=mask)[:, :, 0]
        return jnp.tanh(self.mix(jnp.concatenate([outputs, attended], axis=2)))

    def predictor(self) -> list[Recurrence]:
        return [getattr(self, f"predictor{number}") for number in range(1, self.depth + 1)]

    def dropout(self, tokens: Array, rngs: nnx.Rngs | None) -> Array:
        return tokens if self.deterministic else drop("dropout", tokens, self.dropout_rate, rngs)


recurrent = network(Recurrent)
