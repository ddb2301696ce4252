"""Against definitions: whole networks run anew at each position, all sequences tried, and a beam search in float64.

Most tests take a network that is a table, logits by word, position and the symbol before, since it compiles at once.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import drawn

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net
from ssl_jax.sequences.decoding import beam, greedy
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, PADDING, START

WORDS, LENGTH, SYMBOLS = 3, 5, 7
SOURCE = np.arange(WORDS, dtype=np.int32)[:, None]
SPELLING = np.random.default_rng(0).integers(3, 7, (20, 5)).astype(np.int32)
SPELLING[::2, 3:] = [END, PADDING]


def table_net(called=lambda position: None):
    """`called` gets the position of each step that is taken."""

    def apply(params, stats, *inputs, train, method):
        if method == "init_cache":
            source, _ = inputs
            return {"word": source[:, 0], "position": jnp.zeros(len(source), jnp.int32)}, stats
        cache, last = inputs
        jax.debug.callback(called, cache["position"][0])
        logits = params["table"][cache["word"], cache["position"], last]
        return (logits, {**cache, "position": cache["position"] + 1}), stats

    return Net(lambda rng: ({}, {}), apply, 1)


TABLE_NET = table_net()


def drawn_table(seed, *, end=0.0):
    table = np.random.default_rng(seed).normal(0, 2, (WORDS, LENGTH, SYMBOLS, SYMBOLS)).astype(np.float32)
    table[..., END] += end
    return {"table": jnp.asarray(table)}


def log_probability(params, word, symbols):
    """Of a sequence up to its END, by the table, in float64."""
    table, last, nats = np.asarray(params["table"], np.float64), START, 0.0
    for position, symbol in enumerate(symbols):
        logits = table[word, position, last]
        nats += logits[symbol] - np.log(np.exp(logits).sum())
        if symbol == END:
            break
        last = symbol
    return nats


def naive_beam(params, word, *, width, power):
    """Hypotheses as tuples without padding."""
    kept = [()]
    for _ in range(LENGTH):
        longer = [h for h in kept if h[-1:] == (END,)]
        longer += [(*h, symbol) for h in kept if h[-1:] != (END,) for symbol in range(END, SYMBOLS)]
        worth = lambda h: log_probability(params, word, h) / ((5 + len(h)) / 6) ** power  # noqa: E731
        kept = sorted(longer, key=worth, reverse=True)[:width]
    return kept


def without_padding(row):
    return tuple(int(symbol) for symbol in row if symbol != PADDING)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_the_beam_is_its_definition(power):
    params = drawn_table(0)
    symbols, scores = beam(TABLE_NET, params, {}, SOURCE, length=LENGTH, width=3, length_penalty=power)
    assert symbols.shape == (WORDS, 3, LENGTH) and symbols.dtype == jnp.int32
    lengths = set()
    for word in range(WORDS):
        found = [without_padding(row) for row in symbols[word]]
        assert found == naive_beam(params, word, width=3, power=power)
        lengths |= set(map(len, found))
        expected = [log_probability(params, word, h) for h in found]
        np.testing.assert_allclose(scores[word], expected, rtol=1e-5)
    assert len(lengths) > 1  # Else the penalty would change nothing.


def test_the_penalty_prefers_longer_ones():
    params = drawn_table(1, end=4.0)
    lengths = [
        float((beam(TABLE_NET, params, {}, SOURCE, length=LENGTH, width=5, length_penalty=p)[0][:, 0] != PADDING).sum())
        for p in (0.0, 3.0)
    ]
    assert lengths[0] < lengths[1]


def test_a_beam_of_everything_finds_the_best_of_all_sequences():
    """Two positions and a width of all symbols leave nothing out; greedy, from the same table, misses some."""
    missed = 0
    for seed in range(5):
        params = drawn_table(seed)
        symbols, scores = beam(TABLE_NET, params, {}, SOURCE, length=2, width=SYMBOLS - 2)
        first = greedy(TABLE_NET, params, {}, SOURCE, length=2)
        for word in range(WORDS):
            every = [(END,), *itertools.product(range(END + 1, SYMBOLS), range(END, SYMBOLS))]
            ranked = sorted(every, key=lambda h, word=word: log_probability(params, word, h), reverse=True)
            assert [without_padding(row) for row in symbols[word]] == ranked[: SYMBOLS - 2]
            np.testing.assert_allclose(scores[word, 0], log_probability(params, word, ranked[0]), rtol=1e-5)
            missed += without_padding(first[word]) != ranked[0]
    assert 0 < missed < 5 * WORDS


def test_a_beam_of_one_is_greedy():
    for seed in range(5):
        params = drawn_table(seed)
        symbols, _ = beam(TABLE_NET, params, {}, SOURCE, length=LENGTH, width=1)
        np.testing.assert_array_equal(symbols[:, 0], greedy(TABLE_NET, params, {}, SOURCE, length=LENGTH))


def test_after_the_end_comes_only_padding_and_before_it_none():
    """Though PADDING, and START, are the most probable of all."""
    params = {"table": drawn_table(0)["table"].at[..., PADDING].add(9.0).at[..., START].add(9.0)}
    rows = greedy(TABLE_NET, params, {}, SOURCE, length=LENGTH)
    ended = 0
    for row in map(list, np.asarray(rows)):
        end = row.index(END) if END in row else LENGTH
        assert all(symbol > END for symbol in row[:end]) and not any(row[end + 1 :])
        ended += END in row[:-1]
    assert ended


@pytest.mark.parametrize("write", [greedy, partial(beam, width=2)])
def test_it_stops_when_all_have_ended(write):
    """By the table one symbol or two come before the end, for sure, so that of five positions three are filled."""
    table = np.full((WORDS, LENGTH, SYMBOLS, SYMBOLS), -20, np.float32)
    table[:, 0, :, 3:5] = [20, 19]
    table[1:, 1, :, 5:] = [20, 19]
    table[:1, 1:, :, END] = table[1:, 2:, :, END] = 40
    positions = []
    found = write(
        table_net(lambda position: positions.append(int(position))), {"table": jnp.asarray(table)}, {}, SOURCE, length=5
    )
    jax.block_until_ready(found)
    jax.effects_barrier()
    assert sorted(positions) == [0, 1, 2]


REAL = {  # With seeds of parameters with which words are decoded differently, some to their end and some not.
    "gru with attention": (recurrent(sources=7, symbols=SYMBOLS, dim=6, depth=1), 2),
    "lstm without": (recurrent(sources=7, symbols=SYMBOLS, dim=6, depth=1, cell="lstm", attention=False), 8),
    "transformer": (transformer(sources=7, symbols=SYMBOLS, dim=8, depth=1, heads=2), 7),
}


@pytest.mark.parametrize("name", REAL)
def test_with_a_cache_decoding_is_that_of_the_whole_network(name):
    net, seed = REAL[name]
    params, stats = drawn(net, seed=seed)
    params = jax.tree.map(lambda leaf: 3 * leaf, params)
    whole = jax.jit(lambda target: net.apply(params, stats, SPELLING, target, train=False)[0]["logits"])
    target = np.full((len(SPELLING), LENGTH), PADDING, np.int32)
    for position in range(LENGTH):
        best = np.argmax(whole(target)[:, position, END:], axis=1) + END
        ended = np.isin(target[:, position - 1], (END, PADDING)) if position else np.zeros(len(target), bool)
        target[:, position] = np.where(ended, PADDING, best)
    assert len({tuple(row) for row in target}) > 4 and (target == END).any() and (target[:, -1] > END).any()
    np.testing.assert_array_equal(greedy(net, params, stats, SPELLING, length=LENGTH), target)

    symbols, scores = beam(net, params, stats, SPELLING, length=LENGTH, width=2)
    for rank, targets in enumerate((symbols[:, 0], symbols[:, 1])):
        nats = np.take_along_axis(
            np.asarray(jax.nn.log_softmax(whole(targets))), np.asarray(targets)[..., None], axis=2
        )
        expected = np.where(targets == PADDING, 0, nats[..., 0]).sum(1)
        np.testing.assert_allclose(scores[:, rank], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (partial(greedy, length=0), "length: got 0, expected room for at least 1 symbol"),
        (partial(beam, length=0, width=1), "length: got 0, expected room for at least 1 symbol"),
        (partial(beam, length=1, width=0), "width: got 0, expected 1 to 5"),
        (partial(beam, length=1, width=6), "width: got 6, expected 1 to 5, the symbols that can come first"),
    ],
)
def test_wrong_arguments_are_named(write, sentence):
    with pytest.raises(UsageError, match=sentence):
        write(TABLE_NET, drawn_table(0), {}, SOURCE)
