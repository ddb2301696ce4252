"""Networks without a delay: the bag against its definition, what passes a code, and no target is read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, linear

from ssl_jax.errors import UsageError
from ssl_jax.sequences.encoder_only import context_bag, encoder_only, max_of

WORDS = np.array([[3, 4, 5, 6, 2], [8, 3, 2, 0, 0]], np.int32)
SIZES = {"symbols": 9, "dim": 8, "depth": 1, "heads": 2}


def run(net, params, words):
    return jax.jit(lambda words: net.apply(params, {}, words, train=False)[0])(words)


def test_a_bag_is_the_mean_of_the_neighbours():
    net = context_bag(symbols=9, dim=4, window=2)
    params, _ = drawn(net)
    outputs, exact = run(net, params, WORDS), double(params)
    vectors = exact["vectors"]["embedding"]
    for row, length in ((0, 5), (1, 3)):
        for position in range(length):
            near = [at for at in range(length) if 0 < abs(at - position) <= 2]
            expected = linear(vectors[WORDS[row, near]].mean(axis=0), exact["readout"])
            np.testing.assert_allclose(outputs["logits"][row, position], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(outputs["features"][row], vectors[WORDS[row, :length]].mean(axis=0), rtol=1e-5)
    changed = WORDS.copy()
    changed[0, 2] = 7  # No symbol is predicted from itself, and order does not count.
    np.testing.assert_array_equal(run(net, params, changed)["logits"][0, 2], outputs["logits"][0, 2])
    changed = WORDS[:, [1, 0, 2, 4, 3]]
    np.testing.assert_allclose(run(net, params, changed)["logits"][0, 2], outputs["logits"][0, 2], rtol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_features_are_pooled_without_padding_and_more_padding_changes_nothing(pool):
    net = encoder_only(**SIZES, pool=pool)
    params, _ = drawn(net)
    outputs = run(net, params, WORDS)
    assert {name: array.shape for name, array in outputs.items()} == {
        "encoded": (2, 5, 8),
        "features": (2, 8),
        "logits": (2, 5, 9),
    }
    for row, length in ((0, 5), (1, 3)):
        expected = getattr(np.asarray(outputs["encoded"])[row, :length], pool)(axis=0)
        np.testing.assert_allclose(outputs["features"][row], expected, atol=1e-6)
    longer = run(net, params, np.pad(WORDS, ((0, 0), (0, 3))))
    np.testing.assert_allclose(longer["features"], outputs["features"], atol=1e-5)
    np.testing.assert_allclose(longer["logits"][:, :5], outputs["logits"], atol=1e-5)
    changed = WORDS.copy()
    changed[0, 4] = 7  # There is no delay: the last symbol counts at the first position.
    assert jnp.abs(run(net, params, changed)["logits"][0, 0] - outputs["logits"][0, 0]).max() > 1e-3


def test_everything_passes_the_code():
    net = encoder_only(**SIZES, code=2)
    params, _ = drawn(net)
    logits = run(net, params, WORDS)["logits"]
    assert params["code"]["kernel"].shape == (8, 2) and jnp.abs(logits[0] - logits[1]).max() > 1e-3
    params["code"] = jax.tree.map(np.zeros_like, params["code"])
    logits = run(net, params, WORDS)["logits"]
    np.testing.assert_array_equal(logits[0], logits[1])  # Without it all words are one.
    assert jnp.abs(logits[0, 0] - logits[0, 1]).max() > 1e-3  # Positions are known.


def test_a_target_is_not_read():
    net = encoder_only(**SIZES)
    params, _ = drawn(net)
    call = jax.jit(lambda target: net.apply(params, {}, WORDS, target, train=True)[0]["logits"])
    np.testing.assert_array_equal(call(WORDS), call(np.ones_like(WORDS)))


def test_the_maximum_of_nothing_is_zero():
    tokens = np.array([[[-1.0], [-2.0]], [[-1.0], [-2.0]]], np.float32)
    np.testing.assert_array_equal(max_of(tokens, np.array([[False, True], [False, False]])), [[-2], [0]])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: encoder_only(**{**SIZES, "symbols": 3}), "symbols: got 3, expected more than"),
        (lambda: encoder_only(**SIZES, code=0), "code: got 0, expected at least 1"),
        (lambda: encoder_only(**SIZES, pool="sum"), "choose one of: max, mean"),
        (lambda: encoder_only(**{**SIZES, "dim": 9, "heads": 3}), "dim must be even, got 9"),
        (lambda: context_bag(symbols=9, dim=4, window=0), "dim and window: got 4 and 0"),
    ],
)
def test_wrong_arguments_are_named(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
