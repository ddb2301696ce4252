import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, linear

from ssl_jax.errors import UsageError
from ssl_jax.optimizers import adamw
from ssl_jax.sequences.decoding import greedy
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.recurrent_layer import gru, lstm
from ssl_jax.sequences.vocabulary import END, FIRST, START

TINY = {"sources": 7, "symbols": 9, "dim": 6, "depth": 2}
SOURCE = np.array([[3, 4, 5, 6, 2], [6, 4, 2, 0, 0], [5, 2, 0, 0, 0]], np.int32)
TARGET = np.array([[8, 3, 7, 2], [3, 2, 0, 0], [4, 4, 5, 6]], np.int32)
KINDS = [("gru", True), ("gru", False), ("lstm", True), ("lstm", False), ("tanh", False)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def naive_gru(x, state, params):
    (hidden,) = state
    of_input = np.split(linear(x, params["read"]), 3)
    of_state = np.split(hidden @ params["kernel"], 3)
    reset, update = (sigmoid(a + b) for a, b in zip(of_input[:2], of_state[:2], strict=True))
    candidate = np.tanh(of_input[2] + reset * (of_state[2] + params["bias"]))
    return (update * hidden + (1 - update) * candidate,)


def naive_lstm(x, state, params):
    hidden, memory = state
    enter, forget, candidate, leave = np.split(linear(x, params["read"]) + hidden @ params["kernel"], 4)
    memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(candidate)
    return sigmoid(leave) * np.tanh(memory), memory


def naive_tanh(x, state, params):
    return (np.tanh(linear(x, params["read"]) + state[0] @ params["kernel"]),)


NAIVE = {"gru": naive_gru, "lstm": naive_lstm, "tanh": naive_tanh}


def naive_layer(word, state, params, cell):
    outputs = []
    for x in word:
        state = NAIVE[cell](x, state, params)
        outputs.append(state[0])
    return np.stack(outputs), state


def naive_net(params, word, target, cell):
    """One word without its padding, one target: the encoded symbols, logits and alignments."""
    tokens, starts = params["source"]["embedding"][word], []
    for number in (1, 2):
        half = (np.zeros(3),) * (2 if cell == "lstm" else 1)
        onward, last = naive_layer(tokens, half, params["encoder"][f"forward{number}"], cell)
        back, first = naive_layer(tokens[::-1], half, params["encoder"][f"backward{number}"], cell)
        tokens = np.concatenate([onward, back[::-1]], axis=1)
        starts.append(tuple(np.concatenate(halves) for halves in zip(last, first, strict=True)))
    outputs = params["target"]["embedding"][[START, *target[:-1]]]
    for number, start in zip((1, 2), starts, strict=True):
        outputs, _ = naive_layer(outputs, start, params[f"predictor{number}"], cell)
    weights = None
    if "query" in params:
        scores = np.exp(linear(outputs, params["query"]) @ tokens.T / np.sqrt(6))
        weights = scores / scores.sum(1, keepdims=True)
        outputs = np.tanh(linear(np.concatenate([outputs, weights @ tokens], axis=1), params["mix"]))
    return tokens, linear(outputs, params["readout"]), weights


@pytest.mark.parametrize(("cell", "attention"), KINDS)
def test_it_is_the_definition_whatever_the_padding(cell, attention):
    net = recurrent(**TINY, cell=cell, attention=attention)
    params, stats = drawn(net)
    outputs, _ = jax.jit(partial(net.apply, train=False))(params, stats, SOURCE, TARGET)
    assert list(outputs) == ["encoded", "features", "logits"] and net.width == 6 and stats == {}
    alignments = None
    if attention:
        inspected, intermediates = jax.jit(net.inspect)(params, stats, SOURCE, TARGET)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), inspected, outputs)
        assert list(intermediates) == ["alignment"]
        alignments = intermediates["alignment"]
    for row, length in enumerate((5, 3, 2)):
        encoded, logits, weights = naive_net(double(params), SOURCE[row, :length], TARGET[row], cell)
        np.testing.assert_allclose(outputs["encoded"][row, :length], encoded, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(outputs["features"][row], encoded.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(outputs["logits"][row], logits, rtol=1e-4, atol=1e-5)
        if attention:
            np.testing.assert_allclose(alignments[row, :, :length], weights, rtol=1e-4, atol=1e-5)
            assert not alignments[row, :, length:].any()


# Of torch 2.14.1: GRU(2, 2) and LSTM(2, 2) in float64 with weights `waves` of their shapes in the order of their
# `named_parameters`, phases 0, 1, 2, 3; input `waves((1, 4, 2), 5)`. Their outputs at the fourth position.
TORCH = {"gru": [-0.4630064620, 0.8162793594], "lstm": [-0.2965886655, 0.0583136641]}


def waves(shape, phase):
    return np.sin(np.arange(math.prod(shape)) + phase).reshape(shape)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_cells_are_those_of_torch(cell):
    parts = 3 if cell == "gru" else 4
    of_input, of_state, *biases = (
        waves(shape, phase).astype(np.float32)
        for phase, shape in enumerate([(2 * parts, 2), (2 * parts, 2), (2 * parts,), (2 * parts,)])
    )
    # One bias here, but for the candidate of a GRU, whose second is behind the reset gate.
    behind = np.arange(2 * parts) >= 4 if cell == "gru" else np.zeros(2 * parts, bool)
    bias = biases[0] + np.where(behind, 0, biases[1])
    step = partial(gru, bias=jnp.asarray(biases[1][4:])) if cell == "gru" else lstm
    state = (jnp.zeros((1, 2)),) * (1 if cell == "gru" else 2)
    for x in waves((1, 4, 2), 5)[0].astype(np.float32):
        read = [jnp.asarray(part)[None] for part in np.split(of_input @ x + bias, parts)]
        state = step(read, state, kernel=jnp.asarray(of_state.T))
    np.testing.assert_allclose(state[0][0], TORCH[cell], rtol=1e-5)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}, attention {kind[1]}")
def trained_net(request):
    cell, attention = request.param
    net = recurrent(**TINY, cell=cell, attention=attention)
    return net, *drawn(net), jax.jit(partial(net.apply, train=False))


def test_more_padding_changes_nothing(trained_net):
    _, params, stats, run = trained_net
    short, _ = run(params, stats, SOURCE, TARGET)
    longer, _ = run(params, stats, np.pad(SOURCE, ((0, 0), (0, 3))), TARGET)
    for name, layer in short.items():
        np.testing.assert_allclose(longer[name][:, : layer.shape[1]], layer, atol=1e-6, err_msg=name)


def test_logits_depend_only_on_symbols_before_them(trained_net):
    _, params, stats, run = trained_net
    other = TARGET.copy()
    other[:, 2] = 6
    before, after = (run(params, stats, SOURCE, target)[0]["logits"] for target in (TARGET, other))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (np.abs(before[:, 3] - after[:, 3]).max(-1) > 1e-3).all()


def test_symbol_by_symbol_gives_the_same_logits(trained_net):
    net, params, stats, run = trained_net
    outputs, _ = run(params, stats, SOURCE, TARGET)
    cache, _ = net.apply(params, stats, SOURCE, 4, train=False, method="init_cache")
    assert all(len(leaf) == 3 for leaf in jax.tree.leaves(cache))
    decode_step = jax.jit(partial(net.apply, train=False, method="decode_step"))
    for position in range(4):
        last = TARGET[:, position - 1] if position else np.full(3, START, np.int32)
        (logits, updated), _ = decode_step(params, stats, cache, last)
        assert jax.tree.structure(updated) == jax.tree.structure(cache)
        np.testing.assert_allclose(logits, outputs["logits"][:, position], rtol=1e-4, atol=1e-5)
        cache = updated


def test_without_attention_there_are_no_intermediates():
    net = recurrent(**TINY, attention=False)
    start = jax.eval_shape(net.init, jax.random.key(0))
    assert jax.eval_shape(net.inspect, *start, SOURCE, TARGET)[1] == {}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_parameter_learns_at_once(cell):
    net = recurrent(**{**TINY, "depth": 1}, cell=cell)
    params, stats = drawn(net)
    loss = lambda params: net.apply(params, stats, SOURCE, TARGET, train=True)[0]["logits"][..., 0].sum()  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(params)
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(leaf.any()), gradient))


@pytest.mark.slow
def test_it_starts_with_orthogonal_matrices_and_open_forget_gates():
    params, _ = jax.jit(recurrent(**{**TINY, "depth": 1}, cell="lstm").init)(jax.random.key(0))
    layer = params["predictor1"]
    np.testing.assert_array_equal(np.split(layer["read"]["bias"], 4), np.repeat([[0], [1], [0], [0]], 6, axis=1))
    for square in np.split(np.asarray(layer["kernel"]), 4, axis=1):
        np.testing.assert_allclose(square @ square.T, np.eye(6), atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_bfloat16_keeps_states_features_and_logits_in_float32(cell):
    half, whole = (recurrent(**{**TINY, "depth": 1}, cell=cell, dtype=dtype) for dtype in (jnp.bfloat16, jnp.float32))
    params, stats = drawn(whole)
    rough, exact = (jax.jit(partial(n.apply, train=False))(params, stats, SOURCE, TARGET)[0] for n in (half, whole))
    assert {name: layer.dtype.name for name, layer in rough.items()} == {
        "encoded": "bfloat16",
        "features": "float32",
        "logits": "float32",
    }
    np.testing.assert_allclose(rough["logits"], exact["logits"], rtol=0.1, atol=0.1)
    cache, _ = jax.eval_shape(lambda: half.apply(params, stats, SOURCE, 4, train=False, method="init_cache"))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(cache["states"])} == {"float32"}


def test_dropout_leaves_out_a_share_drawn_anew_and_needs_a_key():
    net = recurrent(**{**TINY, "depth": 1}, dropout=0.5)
    params, stats = drawn(net)
    train = jax.jit(partial(net.apply, train=True))
    first, second = (train(params, stats, SOURCE, TARGET, rng=jax.random.key(seed))[0] for seed in (0, 1))
    assert np.abs(first["logits"] - second["logits"]).max() > 1e-3
    dropped = np.asarray(first["encoded"] == 0)
    assert dropped.mean() == pytest.approx(0.5, abs=0.2)  # 90 values: standard error 0.05.
    with pytest.raises(ValueError, match=r"dropout=0.5 draws at random in training, so `apply` needs `rng`"):
        jax.eval_shape(train, params, stats, SOURCE, TARGET)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dim": 7}, "dim: got 7, expected an even number"),
        ({"depth": 0}, "depth: got 0, expected at least 1 layer"),
        ({"dropout": 1.0}, r"dropout must be a probability in \[0, 1\), got 1"),
        ({"cell": "lstn"}, "did you mean 'lstm'"),
    ],
)
def test_wrong_arguments_are_named(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        recurrent(**{**TINY, **wrong})


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        (SOURCE[0], TARGET, r"source: needs integers \[B, length\], at least one of each, got int32 \(5,\)"),
        (SOURCE, TARGET[:, :0], r"target: needs integers"),
        (SOURCE, TARGET[:2], "source and target: need equal numbers of sequences, got 3 and 2"),
    ],
)
def test_wrong_sequences_are_named(source, target, sentence):
    net = recurrent(**{**TINY, "depth": 1})
    start = jax.eval_shape(net.init, jax.random.key(0))
    with pytest.raises(ValueError, match=sentence):
        jax.eval_shape(partial(net.apply, train=False), *start, source, target)


def words(rng, count):
    """Four letters of six, and the same backwards."""
    letters = jax.random.randint(rng, (count, 4), FIRST, FIRST + 6)
    end = jnp.full((count, 1), END)
    return jnp.concatenate([letters, end], axis=1), jnp.concatenate([letters[:, ::-1], end], axis=1)


def share_reversed(*, attention, steps=600):
    """Of 200 words, those that are written backwards without a fault, after training on 32 others a step."""
    net = recurrent(sources=9, symbols=9, dim=16, depth=1, attention=attention)
    optimizer = adamw(lambda step: 1e-2 * (1 - step / steps), weight_decay=0.0).transformation
    params, stats = jax.tree.map(jnp.asarray, drawn(net))

    def loss(params, source, target):
        logits = net.apply(params, stats, source, target, train=True)[0]["logits"]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, :, None], axis=2).mean()

    def step(state, rng):
        params, memory = state
        change, memory = optimizer.update(jax.grad(loss)(params, *words(rng, 32)), memory, params)
        return (jax.tree.map(jnp.add, params, change), memory), None

    rngs = jax.random.split(jax.random.key(1), steps)
    (params, _), _ = jax.jit(lambda *start: jax.lax.scan(step, start, rngs))(params, optimizer.init(params))
    source, target = words(jax.random.key(2), 200)
    return float((greedy(net, params, stats, source, length=5) == target).all(1).mean())


@pytest.mark.slow
@pytest.mark.parametrize("attention", [True, False])
def test_it_learns_to_write_words_backwards(attention):
    """Chance is 1 in 1,296; measured 100 % with attention and without."""
    assert share_reversed(attention=attention) > 0.95
