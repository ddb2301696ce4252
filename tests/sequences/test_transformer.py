"""The encoder-predictor-decoder: which symbols its outputs depend on, the same step by step, with all its energies."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, layer_norm, linear

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import functional
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.sequences.encoder_predictor_decoder import Decoder, Encoder, Predictor, TargetEncoder, TargetLayer, delay
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import PADDING, START

SIZES = {"sources": 9, "symbols": 7, "dim": 8, "depth": 1, "heads": 2}
SOURCE = np.array([[3, 4, 5, 6, 4], [8, 3, 7, 0, 0]], np.int32)
TARGET = np.array([[3, 4, 6, 2], [5, 5, 2, 0]], np.int32)
KINDS = {
    "plain": {"depth": 2},
    "rotation": {"projection": "rotation", "activation": "relu"},
    "rotary": {"positions": "rotary", "groups": 1, "norm_first": False},
}


@cache
def made(kind):
    net = transformer(**{**SIZES, **KINDS[kind]})
    return net, drawn(net)[0]


@cache
def program(kind, method):
    net, _ = made(kind)
    return jax.jit(lambda params, *inputs: net.apply(params, {}, *inputs, train=False, method=method)[0])


def run(kind, *inputs, method="__call__", params=None):
    return program(kind, method)(params or made(kind)[1], *inputs)


@cache
def inspecting(kind):
    return jax.jit(lambda params, *inputs: made(kind)[0].inspect(params, {}, *inputs))


def inspect(kind, *inputs, params=None):
    """The outputs and the intermediates."""
    return inspecting(kind)(params or made(kind)[1], *inputs)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_the_delay_is_one_position_with_the_start_in_front():
    np.testing.assert_array_equal(delay(jnp.asarray(TARGET)), [[START, 3, 4, 6], [START, 5, 5, 2]])


def test_outputs_by_name(kind):
    outputs = run(kind, SOURCE, TARGET)
    shapes = {name: (array.shape, array.dtype) for name, array in outputs.items()}
    assert shapes == {
        "encoded": ((2, 5, 8), "float32"),
        "features": ((2, 8), "float32"),
        "logits": ((2, 4, 7), "float32"),
    }
    means = outputs["encoded"][0].mean(0), outputs["encoded"][1, :3].mean(0)
    np.testing.assert_allclose(outputs["features"], means, atol=1e-6)
    assert made(kind)[0].width == 8


def test_a_change_of_the_target_changes_nothing_before_or_at_its_position(kind):
    """Logits depend on the symbol at position t from position t + 1 on: the delay."""
    logits = run(kind, SOURCE, TARGET)["logits"]
    for position in range(4):
        changed = TARGET.copy()
        changed[:, position] = np.where(TARGET[:, position] == 3, 4, 3)
        found = run(kind, SOURCE, changed)["logits"]
        np.testing.assert_array_equal(found[:, : position + 1], logits[:, : position + 1])
        assert position == 3 or (jnp.abs(found[:, position + 1] - logits[:, position + 1]).max(1) > 1e-4).all()


@pytest.mark.parametrize("kind", ["plain", "rotary"])
def test_more_padding_changes_nothing(kind):
    longer = [np.pad(symbols, ((0, 0), (0, 3)), constant_values=PADDING) for symbols in (SOURCE, TARGET)]
    short, long = run(kind, SOURCE, TARGET), run(kind, *longer)
    np.testing.assert_allclose(long["logits"][:, :4], short["logits"], atol=1e-5)
    np.testing.assert_allclose(long["encoded"][:, :5], short["encoded"], atol=1e-5)
    np.testing.assert_allclose(long["features"], short["features"], atol=1e-5)


def test_without_positions_the_encoder_takes_sets():
    net = functional(lambda rngs: Encoder(8, depth=2, heads=2, hidden=12, rngs=rngs))
    params, _ = drawn(net)
    encode = jax.jit(lambda tokens: net.apply(params, {}, tokens, train=False)[0])
    tokens, order = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32), np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(encode(tokens[:, order]), encode(tokens)[:, order], atol=1e-5)
    of_sequence, of_another = (run("plain", source, TARGET)["features"][0] for source in (SOURCE, SOURCE[:, order]))
    assert jnp.abs(of_sequence - of_another).max() > 0.01


def test_step_by_step_is_all_at_once(kind):
    logits, cached, last = run(kind, SOURCE, TARGET)["logits"], init_cache(kind), jnp.full(2, START)
    assert {len(leaf) for leaf in jax.tree.leaves(cached)} == {2}
    for position in range(4):
        found, cached = run(kind, cached, last, method="decode_step")
        np.testing.assert_allclose(found, logits[:, position], rtol=1e-5, atol=1e-5)
        last = TARGET[:, position]


def init_cache(kind):
    net, params = made(kind)
    return jax.jit(lambda source: net.apply(params, {}, source, 4, train=False, method="init_cache")[0])(SOURCE)


def test_a_cache_can_be_reordered_and_examples_be_at_different_positions():
    """The first example stays behind while the second is a symbol ahead; then they are exchanged."""
    logits, cached = run("rotary", SOURCE, TARGET)["logits"], init_cache("rotary")
    _, ahead = run("rotary", cached, jnp.full(2, START), method="decode_step")
    cached = jax.tree.map(lambda now, next: np.stack([next[1], now[0]]), cached, ahead)
    found, _ = run("rotary", cached, jnp.array([TARGET[1, 0], START]), method="decode_step")
    np.testing.assert_allclose(found, [logits[1, 1], logits[0, 0]], rtol=1e-5, atol=1e-5)


def test_inspect_returns_the_outputs_too(kind):
    outputs, _ = inspect(kind, SOURCE, TARGET)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), outputs, run(kind, SOURCE, TARGET))


def test_the_alignment_is_the_mean_of_the_last_cross_attention():
    intermediates = inspect("plain", SOURCE, TARGET)[1]
    weights = intermediates["alignment"]
    every_head = intermediates["layers"]["block2"]["predictor"]["cross"]["weights"]
    np.testing.assert_allclose(weights, every_head.mean(1), rtol=1e-6)
    assert weights.shape == (2, 4, 5) and weights.dtype == jnp.float32
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    assert (weights[1, :, 3:] == 0).all() and (weights[0] > 0).all()
    params = jax.tree.map(np.copy, made("plain")[1])
    block = params["layers"]["block2"]["predictor"]["cross"]
    block["query"] = jax.tree.map(np.zeros_like, block["query"])  # Equal scores, equal weights.
    even = inspect("plain", SOURCE, TARGET, params=params)[1]["alignment"]
    np.testing.assert_allclose(even[1], np.broadcast_to([1 / 3, 1 / 3, 1 / 3, 0, 0], (4, 5)), rtol=1e-5)


def test_energies_of_every_block_by_name():
    net, params = made("plain")
    intermediates = jax.eval_shape(lambda: net.inspect(params, {}, SOURCE, TARGET)[1])
    shapes = jax.tree.map(lambda array: array.shape, intermediates)
    of_x, of_y, of_both = (2, 2, 5), (2, 2, 4), (2, 2, 4)
    for name in ("block1", "block2"):
        assert shapes["encoder"][name]["attention"]["energies"] == of_x
        assert shapes["layers"][name]["encoder"]["attention"]["energies"] == of_y
        assert shapes["layers"][name]["predictor"]["cross"]["energies"] == of_both
        assert set(shapes["layers"][name]) == {"encoder", "predictor"}


def test_energies_of_the_first_block_are_the_definition():
    params, positions, size = double(made("plain")[1]), np.arange(5), 4
    waves = [wave(np.outer(positions, [1, 0.1, 0.01, 0.001])) for wave in (np.sin, np.cos)]
    tokens = params["source"]["embedding"][SOURCE] * np.sqrt(8) + np.stack(waves, axis=-1).reshape(5, 8)
    block = params["encoder"]["block1"]
    query, keys, _ = np.split(
        linear(layer_norm(tokens, block["attention_norm"]), block["attention"]["qkv"]), 3, axis=-1
    )
    heads = lambda x: x.reshape(2, 5, 2, size).swapaxes(1, 2)  # noqa: E731
    scores = heads(query) @ heads(keys).swapaxes(2, 3) / np.sqrt(size)
    likely = np.exp(scores) * (SOURCE != 0)[:, None, None]
    expected = -np.sqrt(size) * np.log(likely.sum(-1))
    found = inspect("plain", SOURCE, TARGET)[1]["encoder"]["block1"]["attention"]["energies"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_dropout_draws_in_training_only_and_needs_a_key():
    net = transformer(**SIZES, dropout=0.5)
    params, _ = drawn(net)
    train = jax.jit(lambda rng: net.apply(params, {}, SOURCE, TARGET, train=True, rng=rng)[0]["logits"])
    first, second = train(jax.random.key(0)), train(jax.random.key(1))
    assert jnp.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(first, train(jax.random.key(0)))
    still = jax.jit(lambda rng: net.apply(params, {}, SOURCE, TARGET, train=False, rng=rng)[0]["logits"])
    np.testing.assert_array_equal(still(jax.random.key(0)), still(jax.random.key(1)))
    with pytest.raises(ValueError, match=r"dropout=0.5 draws at random in training, so `apply` needs `rng`"):
        jax.eval_shape(lambda: net.apply(params, {}, SOURCE, TARGET, train=True))


def test_dropout_keeps_half_of_the_values_twice_as_large():
    net = functional(lambda rngs: TransformerLayer(8, heads=2, hidden=12, dropout=0.5, rngs=rngs))
    params, _ = drawn(net)
    params["contract"] = jax.tree.map(np.zeros_like, params["contract"])
    tokens = np.random.default_rng(1).normal(size=(64, 3, 8)).astype(np.float32)
    dropped = jax.jit(lambda rng: net.apply(params, {}, tokens, train=True, rng=rng)[0])(jax.random.key(1))
    still = jax.jit(lambda: net.apply(params, {}, tokens, train=False)[0])()
    kept = np.abs(dropped - tokens) > 1e-6
    assert kept.mean() == pytest.approx(0.5, abs=0.05)  # Standard error 0.013.
    np.testing.assert_allclose((dropped - tokens)[kept], 2 * (still - tokens)[kept], rtol=1e-3, atol=1e-5)


def energy(net, params):
    outputs, _ = net.apply(params, {}, SOURCE, TARGET, train=True)
    chances = jax.nn.log_softmax(outputs["logits"])
    return -jnp.take_along_axis(chances, TARGET[..., None], axis=-1).mean(), outputs


def test_bfloat16_computes_in_it_and_keeps_the_rest_in_float32(kind):
    net = transformer(**{**SIZES, **KINDS[kind]}, dtype=jnp.bfloat16)
    gradient, outputs = jax.eval_shape(jax.grad(partial(energy, net), has_aux=True), made(kind)[1])
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype(jnp.float32)}
    assert outputs["logits"].dtype == outputs["features"].dtype == jnp.float32
    assert outputs["encoded"].dtype == jnp.bfloat16


@pytest.mark.slow
def test_every_parameter_learns_and_the_same_in_bfloat16():
    options = {**SIZES, **KINDS["rotary"]}
    whole, half = (transformer(**options, dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16))
    params, _ = drawn(whole)
    expected, found = (jax.jit(jax.grad(lambda p, net=net: energy(net, p)[0]))(params) for net in (whole, half))
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(leaf.any()), expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.2, atol=0.03), found, expected)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"heads": 3}, "heads 3 must divide dim 8"),
        ({"positions": "rotation"}, "choose one of: rotary, sinusoidal"),
        ({"positions": "rotary", "heads": 8}, "rotary positions rotate pairs"),
        ({"dim": 9, "heads": 3}, "sinusoidal positions come in pairs, so dim must be even, got 9"),
        ({"dropout": 1.0}, r"dropout must be a probability in \[0, 1\), got 1"),
        ({"activation": "gelus"}, "did you mean 'gelu'"),
        ({"depth": 0}, "depth: got 0, expected at least 1"),
        ({"sources": 3}, "sources: got 3, expected more than"),
    ],
)
def test_wrong_arguments_are_named(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        transformer(**{**SIZES, **wrong})


@pytest.mark.parametrize("name", ["source", "target"])
def test_wrong_sequences_are_named(name):
    right = {"source": SOURCE, "target": TARGET}
    for wrong, got in ((TARGET[:, :0], r"int32 \(2, 0\)"), (TARGET[0], r"int32 \(4,\)"), (TARGET * 1.0, "float32")):
        with pytest.raises(ValueError, match=rf"{name}: needs integers \[B, length\], at least one of each, got {got}"):
            run("plain", *{**right, name: wrong}.values())
    with pytest.raises(ValueError, match="source and target: need equal numbers of sequences, got 2 and 1"):
        run("plain", SOURCE, TARGET[:1])


def language_model():
    net = transformer(**{**SIZES, "sources": None, "depth": 2})
    return net, drawn(net)[0]


def test_without_a_source_it_is_a_language_model():
    """No predictor; what is passed as source is only counted; each symbol depends on those before it alone."""
    net, params = language_model()
    apply = jax.jit(lambda source, target: net.apply(params, {}, source, target, train=False)[0])
    assert set(params) == {"layers", "readout", "target"} and set(params["layers"]["block1"]) == {"decoder", "encoder"}
    outputs = apply(SOURCE, TARGET)
    assert set(outputs) == {"features", "logits"} and outputs["features"].shape == (2, 8)
    np.testing.assert_array_equal(apply(SOURCE[:, :1] + 1, TARGET)["logits"], outputs["logits"])
    changed = TARGET.copy()
    changed[0, 1] = 5
    found = apply(SOURCE, changed)["logits"]
    np.testing.assert_array_equal(found[0, :2], outputs["logits"][0, :2])
    assert jnp.abs(found[0, 2] - outputs["logits"][0, 2]).max() > 1e-4


@pytest.mark.slow
def test_a_language_model_step_by_step():
    net, params = language_model()
    logits = net.apply(params, {}, SOURCE, TARGET, train=False)[0]["logits"]
    cached, _ = net.apply(params, {}, SOURCE, 4, train=False, method="init_cache")
    step = jax.jit(lambda cached, last: net.apply(params, {}, cached, last, train=False, method="decode_step")[0])
    last = jnp.full(2, START)
    for position in range(4):
        found, cached = step(cached, last)
        np.testing.assert_allclose(found, logits[:, position], rtol=1e-5, atol=1e-5)
        last = TARGET[:, position]


@pytest.mark.slow
def test_the_modules_of_a_layer_have_the_boundaries_of_the_lecture():
    """Encoder of y, predictor and decoder in turn are the layer, bit for bit; the decoder sees one position at a time."""
    _, params = made("plain")
    stack: dict = {"heads": 2, "hidden": 32}
    whole = functional(lambda rngs: TargetLayer(8, source=True, causal=True, rngs=rngs, **stack))
    parts = {
        "encoder": functional(lambda rngs: TargetEncoder(8, causal=True, rngs=rngs, **stack)),
        "predictor": functional(lambda rngs: Predictor(8, rngs=rngs, **stack)),
        "decoder": functional(lambda rngs: Decoder(8, rngs=rngs, **stack)),
    }
    block = params["layers"]["block1"]
    assert {name: set(part) for name, part in block.items()} == {
        "encoder": {"attention", "attention_norm"},
        "predictor": {"cross", "cross_norm"},
        "decoder": {"expand", "contract", "mlp_norm"},
    }
    random = np.random.default_rng(0)
    tokens, context = (random.normal(size=(2, length, 8)).astype(np.float32) for length in (4, 5))

    def run(name, *inputs):
        return parts[name].apply(block[name], {}, *inputs, train=False)[0]

    h = run("predictor", run("encoder", tokens), None, context)
    found = run("decoder", h)
    np.testing.assert_array_equal(found, whole.apply(block, {}, tokens, context, None, train=False)[0])
    np.testing.assert_allclose(run("decoder", h[:, 2:3]), found[:, 2:3], rtol=1e-5, atol=1e-6)
    alone = run("predictor", run("encoder", tokens)[:, 2:3], None, context)
    np.testing.assert_allclose(alone, h[:, 2:3], rtol=1e-5, atol=1e-6)  # It compares, and mixes no positions of y.
