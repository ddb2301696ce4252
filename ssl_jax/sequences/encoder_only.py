"""Networks that read one sequence and have no delay: an encoder with what is read out of it.

B: examples; S: symbols; V: symbols of the vocabulary; D: size of a token; K: size of a code. Symbols are those of
`sequences.transformer`. `encoder_only` is the autoencoder, whose code of K values all information must pass; without a code,
the denoising autoencoder and the model of missing symbols, which noise and masks keep from copying; and the encoder of a
classifier. `context_bag` predicts each symbol from the mean of its neighbours, whatever their order.
"""

from collections import OrderedDict
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.attention import check_heads
from ssl_jax.networks.functional import Recorder, network
from ssl_jax.networks.layers import max_pool
from ssl_jax.networks.transformer_layer import check_layers
from ssl_jax.ops.positions import sinusoidal_positions
from ssl_jax.sequences.encoder_predictor_decoder import Decoder, Encoder, Readout, Stack
from ssl_jax.sequences.transformer import SymbolNetwork, checked, mean_of, vectors_of
from ssl_jax.sequences.vocabulary import FIRST, PADDING


class Decoders(Stack):
    """1-convolutions, each with Add, Norm."""

    layer: Any = Decoder


class EncoderOnly(SymbolNetwork):
    """Symbols `[B, S]` -> "encoded" `[B, S, D]`, "features" `[B, D]` and "logits" `[B, S, V]`, those of each position's symbol.

    A second argument, a target, is not read: with it `Transcription` trains this network, too. `Net.inspect` records weights
    and energies of attention.

    Args:
      symbols: V, including the three of every vocabulary, and a mask where there is one.
      dim, heads: D and H.
      depth: layers of the encoder, and 1-convolutions of the decoder of a code.
      code: K: logits are decoded from K values of the whole word and the positions; None: from each encoded symbol.
      pool: "features" is the "mean" or the "max" of the encoded symbols, without padding.
      mlp_ratio: hidden units of a layer over `dim`.
      dropout: probability in [0, 1) of each value of the embedded symbols and of each part of a layer to be zeroed in training,
        which then needs the `rng` of `apply`.
      dtype: of the activations; parameters, "features" and "logits" are float32.

    Raises:
      UsageError: sizes that do not divide or are too small, an unknown pool.
      ValueError: when applied, symbols that are not integers `[B, S]`, or no `rng` where dropout needs it.

    Example:
      >>> net = encoder_only(symbols=7, dim=8, heads=2, depth=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> outputs, _ = net.apply(params, stats, jnp.array([[3, 4, 2]]), jnp.array([[5, 6, 2]]), train=False)
      >>> print(outputs["logits"].shape)
      (1, 3, 7)

    Sources: the encoder: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; masks: Devlin et al. 2019,
    https://arxiv.org/abs/1810.04805; "max": notebook 15 of https://atcold.github.io/NYU-DLSP20/.
    """

    norm_kind = "layer"

    def __init__(
        self,
        rngs: nnx.Rngs,
        *,
        symbols: int,
        dim: int,
        depth: int,
        heads: int,
        code: int | None = None,
        pool: Literal["mean", "max"] = "mean",
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
    ):
        pick("pool", pool, ("mean", "max"))
        check_heads(dim, heads=heads, groups=None, projection="linear", rotary=False)
        check_layers(depth=depth, activation="gelu", dropout=dropout)
        super().__init__(dim, sinusoidal=True, dropout=dropout)
        check_symbols(symbols)
        if code is not None and code < 1:
            raise UsageError(f"code: got {code}, expected at least 1 value, or None for no code")
        options: Any = {
            "depth": depth, "heads": heads, "hidden": round(mlp_ratio * dim), "dropout": dropout, "dtype": dtype,
            "rngs": rngs,
        }  # fmt: skip
        self.vectors, self.encoder = vectors_of(symbols, dim, dtype=dtype, rngs=rngs), Encoder(dim, **options)
        self.pool = pool
        if code is not None:
            self.code, self.spread = (nnx.Linear(*sizes, rngs=rngs) for sizes in ((dim, code), (code, dim)))
            self.decoder = Decoders(dim, **options)
        self.has_code = code is not None
        self.readout = Readout(dim, symbols, dtype=dtype, rngs=rngs)

    def __call__(
        self, symbols: Array, target: Array | None = None, *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        visible = checked("symbols", symbols) != PADDING
        encoded = self.encoder(self.embed(self.vectors, symbols, rngs), visible[:, None, None], rngs=rngs)
        features = mean_of(encoded, visible) if self.pool == "mean" else max_of(encoded, visible)
        decoded = self.decode(features, symbols.shape[1], rngs) if self.has_code else encoded
        return OrderedDict(encoded=encoded, features=features, logits=self.readout(decoded))

    def decode(self, features: Array, length: int, rngs: nnx.Rngs | None) -> Array:
        """The code of each word, beside each position in turn: `[B, D]` -> `[B, S, D]`."""
        positions = sinusoidal_positions(jnp.arange(length)[None], self.width)
        tokens = self.spread(self.code(features))[:, None] + positions
        return self.decoder(tokens.astype(self.decoder.dtype), rngs=rngs)


class ContextBag(Recorder):
    """Symbols `[B, S]` -> "features" `[B, D]` and "logits" `[B, S, V]`: each symbol from its neighbours, never from itself.

    The vectors of the symbols up to `window` positions before and after are averaged and read out; order does not count, and
    padding is left out. A second argument, a target, is not read, as in `encoder_only`.

    Args:
      symbols: V, including the three of every vocabulary.
      dim: D, size of a vector; `params["vectors"]["embedding"]` `[V, D]` are the vectors.
      window: neighbours on each side, at least 1.

    Raises:
      UsageError: a size is too small.
      ValueError: when applied, symbols that are not integers `[B, S]`.

    Example:
      >>> net = context_bag(symbols=6, dim=8, window=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> outputs, _ = net.apply(params, stats, jnp.array([[3, 4, 2]]), jnp.array([[3, 4, 2]]), train=False)
      >>> print(outputs["logits"].shape)
      (1, 3, 6)

    Source: Mikolov et al. 2013, https://arxiv.org/abs/1301.3781, the continuous bag of words, with a whole softmax.
    """

    def __init__(self, rngs: nnx.Rngs, *, symbols: int, dim: int, window: int):
        check_symbols(symbols)
        if dim < 1 or window < 1:
            raise UsageError(f"dim and window: got {dim} and {window}, expected at least 1 of each")
        self.vectors = vectors_of(symbols, dim, dtype=jnp.float32, rngs=rngs)
        self.readout = Readout(dim, symbols, dtype=jnp.float32, rngs=rngs)
        self.window, self.width = window, dim

    def __call__(
        self, symbols: Array, target: Array | None = None, *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        visible = checked("symbols", symbols) != PADDING
        vectors, positions = self.vectors(symbols), jnp.arange(symbols.shape[1])
        distance = jnp.abs(positions[:, None] - positions[None])
        near = (((distance > 0) & (distance <= self.window))[None] & visible[:, None]).astype(jnp.float32)
        weights = near / jnp.maximum(near.sum(axis=2, keepdims=True), 1)
        context = jnp.einsum("bts,bsd->btd", weights, vectors)
        return OrderedDict(features=mean_of(vectors, visible), logits=self.readout(context))


encoder_only = network(EncoderOnly)
context_bag = network(ContextBag)


def max_of(tokens: Array, visible: Array) -> Array:
    """The largest of each value of `[B, S, D]` where `visible` `[B, S]`, float32 `[B, D]`; zeros where nothing is.

    Example:
      >>> print(max_of(jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[True, True, False]])))
      [[3.]]
    """
    hidden = jnp.where(visible[:, :, None], tokens.astype(jnp.float32), -jnp.inf)
    return jnp.where(visible.any(axis=1, keepdims=True), max_pool(hidden), 0)


def check_symbols(symbols: int) -> None:
    """Raises the `UsageError` about a vocabulary without symbols of its own.

    Example:
      >>> check_symbols(30)
    """
    if symbols <= FIRST:
        raise UsageError(f"symbols: got {symbols}, expected more than the {FIRST} symbols of every vocabulary")
