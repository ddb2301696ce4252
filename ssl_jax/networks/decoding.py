"""How a sequence network writes: symbol by symbol, the best each time, or the best few side by side.

B: words; W: width, hypotheses of each word; V: symbols; L: length, places to write in. The network is a `Net` with the methods
"start" and "advance"; its cache makes a place cost the same wherever it is, or nearly so. PADDING and START are never said,
though they keep their share of probability, so that scores are those of the network itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.data.vocabulary import END, PADDING, START
from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net, Tree


class Written(NamedTuple):
    """What has been written up to `place`: `symbols` `[rows, L]`, the `last` of them `[rows]`, and the network's cache."""

    place: Array
    last: Array
    symbols: Array
    cache: Any

    @property
    def ended(self) -> Array:
        return (self.last == END) | (self.last == PADDING)


@partial(jax.jit, static_argnames=("net", "length"))
def greedy(net: Net, params: Tree, stats: Tree, source: Array, *, length: int) -> Array:
    """The most probable symbol at each place, given those before it: `[B, S]` -> `[B, L]`, END and then PADDING.

    Stops when all words have ended; a word that finds no end within `length` has none.

    Raises:
      UsageError: `length` is below 1.
    """
    begin, advance = _writer(net, params, stats, length)

    def write(written: Written) -> Written:
        logits, cache = advance(written.cache, written.last)
        best = jnp.argmax(_sayable(logits), axis=1).astype(jnp.int32)
        return _append(written, jnp.where(written.ended, PADDING, best), cache)

    return lax.while_loop(lambda written: _unfinished(written, length), write, begin(source)).symbols


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
    """The best of what follows from the best W beginnings, place by place: `[B, S]` -> symbols `[B, W, L]`, scores `[B, W]`.

    Hypotheses that ended keep their place among the W while they are good enough; no two are alike. Stops when all have ended.

    Args:
      length: L, at least 1.
      width: W; 1 is `greedy`.
      length_penalty: hypotheses are ordered by `score / ((5 + symbols) / 6) ** length_penalty`, END counted. 0 orders them
        by probability, which favours short ones; about 0.6 to 1 makes up for it.

    Returns:
      Symbols as `greedy` has them, the best hypothesis first, and log-probabilities in nats, whatever the penalty.

    Raises:
      UsageError: `length` is below 1, or `width` below 1 or above the V - 2 symbols that can be said first.

    Source: Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 7, without the penalty for coverage.
    """
    begin, advance = _writer(net, params, stats, length)
    one, batch = begin(source), len(source)
    logits, _ = jax.eval_shape(advance, one.cache, one.last)
    symbols = logits.shape[1]
    if not 1 <= width <= symbols - 2:
        raise UsageError(f"width: got {width}, expected 1 to {symbols - 2}, the symbols that can be said first")

    def write(state: tuple[Written, Array]) -> tuple[Written, Array]:
        written, scores = state
        logits, cache = advance(written.cache, written.last)
        found = scores[:, :, None] + _nats(logits, written.ended).reshape(batch, width, symbols)
        sizes = jnp.sum(written.symbols != PADDING, axis=1) + jnp.where(written.ended, 0, 1)
        penalties = ((5 + sizes.astype(jnp.float32)) / 6) ** length_penalty
        _, best = lax.top_k((found / penalties.reshape(batch, width, 1)).reshape(batch, -1), width)
        parents = (jnp.arange(batch)[:, None] * width + best // symbols).reshape(-1)
        # What a network passes on as it came, such as what it encoded, is the same for all hypotheses of a word.
        cache = jax.tree.map(lambda new, old: new if new is old else new[parents], cache, written.cache)
        kept = written._replace(symbols=written.symbols[parents])
        written = _append(kept, (best % symbols).reshape(-1), cache)
        return written, jnp.take_along_axis(found.reshape(batch, -1), best, axis=1)

    rows = Written(one.place, *jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=0), one[1:]))
    # All W begin alike, so only the first counts.
    scores = jnp.where(jnp.arange(width)[None] == 0, jnp.zeros((batch, 1), jnp.float32), -jnp.inf)
    written, scores = lax.while_loop(lambda state: _unfinished(state[0], length), write, (rows, scores))
    return written.symbols.reshape(batch, width, length), scores


def _writer(net: Net, params: Tree, stats: Tree, length: int) -> tuple[Callable[..., Written], Callable[..., Any]]:
    """What is there before the first symbol of a source, and how the network moves on by one."""
    if length < 1:
        raise UsageError(f"length: got {length}, expected room for at least 1 symbol")

    def begin(source: Array) -> Written:
        cache, _ = net.apply(params, stats, source, length, train=False, method="start")
        symbols = jnp.full((len(source), length), PADDING, jnp.int32)
        return Written(jnp.int32(0), jnp.full(len(source), START, jnp.int32), symbols, cache)

    def advance(cache: Any, symbol: Array) -> tuple[Array, Any]:
        return net.apply(params, stats, cache, symbol, train=False, method="advance")[0]

    return begin, advance


def _append(written: Written, symbol: Array, cache: Any) -> Written:
    symbols = lax.dynamic_update_slice_in_dim(written.symbols, symbol[:, None], written.place, axis=1)
    return Written(written.place + 1, symbol, symbols, cache)


def _unfinished(written: Written, length: int) -> Array:
    return (written.place < length) & ~jnp.all(written.ended)


def _nats(logits: Array, ended: Array) -> Array:
    """Log-probabilities `[rows, V]` of what may be said next; after the end PADDING alone, for sure."""
    nats = _sayable(jax.nn.log_softmax(logits.astype(jnp.float32)))
    nothing = jnp.where(jnp.arange(logits.shape[1])[None] == PADDING, 0.0, -jnp.inf)
    return jnp.where(ended[:, None], nothing, nats)


def _sayable(scores: Array) -> Array:
    """`[rows, V]`, minus infinity for what is never said."""
    symbol = jnp.arange(scores.shape[1])[None]
    return jnp.where((symbol == PADDING) | (symbol == START), -jnp.inf, scores)
