"""Decoding of a sequence network: symbol by symbol, greedily or by beam search.

B: words; W: width, hypotheses of each word; V: symbols; L: length, positions to fill. The network is a `Net` with the methods
"init_cache" and "decode_step"; with its cache each position costs about the same. PADDING and START are never chosen,
but keep their probability, so that scores are those of the network itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net, Tree
from ssl_jax.sequences.vocabulary import END, PADDING, START


class Decoded(NamedTuple):
    """The `symbols` `[rows, L]` before `position`, the `last` of them `[rows]`, and the network's cache."""

    position: Array
    last: Array
    symbols: Array
    cache: Any

    @property
    def ended(self) -> Array:
        return (self.last == END) | (self.last == PADDING)


@partial(jax.jit, static_argnames=("net", "length"))
def greedy(net: Net, params: Tree, stats: Tree, source: Array, *, length: int) -> Array:
    """The most probable symbol at each position, given those before it: `[B, S]` -> `[B, L]`, END and then PADDING.

    Stops when all words have ended; a word without an end within `length` has none.

    Args:
      net, params, stats: the sequence network and its values.
      source: `[B, S]`.
      length: L, at least 1.

    Raises:
      UsageError: `length` is below 1.

    Example:
      >>> net = transformer(sources=6, symbols=6, dim=8, heads=2, depth=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> print(greedy(net, params, stats, jnp.array([[3, 4, 2]]), length=5).shape)
      (1, 5)
    """
    begin, decode_step = _decoder(net, params, stats, length)

    def extend(decoded: Decoded) -> Decoded:
        logits, cache = decode_step(decoded.cache, decoded.last)
        best = jnp.argmax(_without_start(logits), axis=1).astype(jnp.int32)
        return _append(decoded, jnp.where(decoded.ended, PADDING, best), cache)

    return lax.while_loop(lambda decoded: _unfinished(decoded, length), extend, begin(source)).symbols


@partial(jax.jit, static_argnames=("net", "length", "width"))
def beam(
    net: Net,
    params: Tree,
    stats: Tree,
    source: Array,
    *,
    length: int,
    width: int,
    length_penalty: float = 0.0,
) -> tuple[Array, Array]:
    """Beam search: the W best extensions of the W best hypotheses, position by position.

    `[B, S]` -> symbols `[B, W, L]`, scores `[B, W]`. Hypotheses that ended stay among the W while they are good enough; no two
    are equal. Stops when all have ended.

    Args:
      net, params, stats: the sequence network and its values.
      source: `[B, S]`.
      length: L, at least 1.
      width: W; 1 is equivalent to `greedy`.
      length_penalty: hypotheses are ordered by `score / ((5 + symbols) / 6) ** length_penalty`, END counted. 0 orders them
        by probability, which favours short ones; about 0.6 to 1 compensates.

    Returns:
      Symbols in the form of `greedy`, the best hypothesis first, and log-probabilities in nats, without the penalty.

    Raises:
      UsageError: `length` is below 1, or `width` below 1 or above the V - 2 symbols that can come first.

    Example:
      >>> net = transformer(sources=6, symbols=6, dim=8, heads=2, depth=1)
      >>> params, stats = net.init(jax.random.key(0))
      >>> symbols, scores = beam(net, params, stats, jnp.array([[3, 4, 2]]), length=5, width=2)
      >>> print(symbols.shape, scores.shape)
      (1, 2, 5) (1, 2)

    Source: Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 7, without the penalty for coverage.
    """
    begin, decode_step = _decoder(net, params, stats, length)
    one, batch = begin(source), len(source)
    logits, _ = jax.eval_shape(decode_step, one.cache, one.last)
    symbols = logits.shape[1]
    if not 1 <= width <= symbols - 2:
        raise UsageError(f"width: got {width}, expected 1 to {symbols - 2}, the symbols that can come first")

    def extend(state: tuple[Decoded, Array]) -> tuple[Decoded, Array]:
        decoded, scores = state
        logits, cache = decode_step(decoded.cache, decoded.last)
        found = scores[:, :, None] + _nats(logits, decoded.ended).reshape(batch, width, symbols)
        sizes = jnp.sum(decoded.symbols != PADDING, axis=1) + jnp.where(decoded.ended, 0, 1)
        penalties = ((5 + sizes.astype(jnp.float32)) / 6) ** length_penalty
        _, best = lax.top_k((found / penalties.reshape(batch, width, 1)).reshape(batch, -1), width)
        parents = (jnp.arange(batch)[:, None] * width + best // symbols).reshape(-1)
        # Parts of the cache that a step returns unchanged, such as the encoder's output, are shared by a word's hypotheses.
        cache = jax.tree.map(lambda new, old: new if new is old else new[parents], cache, decoded.cache)
        kept = decoded._replace(symbols=decoded.symbols[parents])
        decoded = _append(kept, (best % symbols).reshape(-1), cache)
        return decoded, jnp.take_along_axis(found.reshape(batch, -1), best, axis=1)

    rows = Decoded(one.position, *jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=0), one[1:]))
    # All W start equal, so only the first has a finite score.
    scores = jnp.where(jnp.arange(width)[None] == 0, jnp.zeros((batch, 1), jnp.float32), -jnp.inf)
    decoded, scores = lax.while_loop(lambda state: _unfinished(state[0], length), extend, (rows, scores))
    return decoded.symbols.reshape(batch, width, length), scores


def _decoder(net: Net, params: Tree, stats: Tree, length: int) -> tuple[Callable[..., Decoded], Callable[..., Any]]:
    """The function that makes the state before the first symbol of a source, and the network's step."""
    if length < 1:
        raise UsageError(f"length: got {length}, expected room for at least 1 symbol")

    def begin(source: Array) -> Decoded:
        cache, _ = net.apply(params, stats, source, length, train=False, method="init_cache")
        symbols = jnp.full((len(source), length), PADDING, jnp.int32)
        return Decoded(jnp.int32(0), jnp.full(len(source), START, jnp.int32), symbols, cache)

    def decode_step(cache: Any, symbol: Array) -> tuple[Array, Any]:
        return net.apply(params, stats, cache, symbol, train=False, method="decode_step")[0]

    return begin, decode_step


def _append(decoded: Decoded, symbol: Array, cache: Any) -> Decoded:
    symbols = lax.dynamic_update_slice_in_dim(decoded.symbols, symbol[:, None], decoded.position, axis=1)
    return Decoded(decoded.position + 1, symbol, symbols, cache)


def _unfinished(decoded: Decoded, length: int) -> Array:
    return (decoded.position < length) & ~jnp.all(decoded.ended)


def _nats(logits: Array, ended: Array) -> Array:
    """Log-probabilities `[rows, V]` of the next symbol; after the end that of PADDING is 0."""
    nats = _without_start(jax.nn.log_softmax(logits.astype(jnp.float32)))
    padding = jnp.where(jnp.arange(logits.shape[1])[None] == PADDING, 0.0, -jnp.inf)
    return jnp.where(ended[:, None], padding, nats)


def _without_start(scores: Array) -> Array:
    """`[rows, V]`, minus infinity for PADDING and START."""
    symbol = jnp.arange(scores.shape[1])[None]
    return jnp.where((symbol == PADDING) | (symbol == START), -jnp.inf, scores)
