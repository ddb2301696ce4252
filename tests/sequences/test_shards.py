"""Sequences over several devices: layers and transformers give the value and the gradient of the whole sequence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import drawn
from sharding import in_pieces

from ssl_jax.networks.functional import functional
from ssl_jax.networks.transformer_layer import TransformerLayer
from ssl_jax.ops.collectives import mean_over_shards, shards
from ssl_jax.ops.comparison import Comparison, comparing
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import PADDING

RNG = np.random.default_rng(0)
TOKENS, CONTEXT = (RNG.normal(size=(2, length, 8)).astype(np.float32) for length in (16, 8))
SOURCE, TARGET = (RNG.integers(3, 7, (2, length)).astype(np.int32) for length in (16, 8))
SOURCE[1, 9:] = TARGET[1, 5:] = PADDING  # Some shards have padding alone.
KEY = jax.random.key(5)
LAYERS = {
    "causal, rotary, dropout": {"causal": True, "rotary": True, "groups": 1, "dropout": 0.4, "drop_path": 0.2},
    "cross": {"parts": ("attention", "cross", "mlp"), "norm_first": False, "activation": "swiglu"},
}
NETWORKS = {
    "sinusoidal, dropout": {"sources": 9, "dropout": 0.3},
    "rotary": {"sources": 9, "positions": "rotary", "groups": 1, "value_size": 3},
    "language model": {"sources": None, "depth": 2},
}


def total(numbers, axis_name):
    return mean_over_shards(jnp.sum(numbers), axis_name) * shards(axis_name)


def same(loss, params, arrays, *, way="shard_map", count=8):
    """`loss(axis_name)(params, *arrays)` and its gradient, over the second axis of the arrays in pieces, are the whole's."""
    whole = jax.jit(jax.value_and_grad(loss(None)))(params, *arrays)
    pieces = in_pieces(loss("data"), way, count, cut=(None, *(1 for _ in arrays)))
    found = jax.jit(jax.value_and_grad(pieces))(params, *arrays)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, whole)


@pytest.mark.parametrize("kind", [pytest.param("causal, rotary, dropout", marks=pytest.mark.slow), "cross"])
def test_layers(kind):
    make = functools.partial(TransformerLayer, 8, heads=2, hidden=12, **LAYERS[kind])

    def loss(axis_name):
        net = functional(lambda rngs: make(axis_name=axis_name, rngs=rngs))

        def number(params, tokens, context):
            outputs, _ = net.apply(params, {}, tokens, None, context, train=True, rng=KEY)
            return total(outputs**3 + outputs, axis_name)

        return number

    params, _ = drawn(functional(lambda rngs: make(rngs=rngs)))
    same(loss, params, (TOKENS, CONTEXT))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "way", "count"), [*((kind, "shard_map", 8) for kind in NETWORKS), ("rotary", "vmap", 4)]
)
def test_transformers(kind, way, count):
    make = functools.partial(transformer, **{"symbols": 7, "dim": 8, "depth": 1, "heads": 2} | NETWORKS[kind])

    def loss(axis_name):
        net = make(axis_name=axis_name)

        def number(params, source, target):
            with comparing(Comparison(keys="ring", block_size=1)):
                outputs, _ = net.apply(params, {}, source, target, train=True, rng=KEY)
            counted = (target != PADDING).astype(jnp.float32)
            picked = jnp.take_along_axis(jax.nn.log_softmax(outputs["logits"]), target[:, :, None], axis=2)[:, :, 0]
            encoded = outputs.get("encoded", jnp.zeros(1))
            return total(picked * counted, axis_name) + total(encoded**2, axis_name) + jnp.sum(outputs["features"] ** 3)

        return number

    params, _ = drawn(make())
    same(loss, params, (SOURCE, TARGET), way=way, count=count)


def test_mistakes_are_one_sentence():
    make = functools.partial(transformer, sources=9, symbols=7, dim=8, depth=1, heads=2)
    net, (params, _) = make(axis_name="data"), drawn(make())
    with pytest.raises(ValueError, match="'data' is not bound: call inside shard_map"):
        net.apply(params, {}, SOURCE, TARGET, train=False)
    with pytest.raises(ValueError, match=r"^init_cache: takes whole sequences, and this network has axis_name='data'"):
        net.apply(params, {}, SOURCE, 4, train=False, method="init_cache")
    inspected = in_pieces(
        lambda source, target: net.inspect(params, {}, source, target)[0]["features"], "vmap", 2, cut=(1, 1)
    )
    with pytest.raises(ValueError, match=r"^inspect: takes whole sequences"):
        inspected(SOURCE, TARGET)
