"""Properties of every network, on the smallest of each kind."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from naive_layers import drawn

from ssl_jax.networks import (
    encoder,
    functional,
    linear_head,
    projection_head,
    prototype_head,
    resnet,
    small_convnet,
    vit,
)
from ssl_jax.networks.audio_video import audio_convnet, r2plus1d_18, small_video_convnet
from ssl_jax.networks.context import row_context
from ssl_jax.networks.functional import network
from ssl_jax.networks.masked_decoder import masked_decoder
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.transformer import transformer

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
FEATURES = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
VIT = {"image_size": 8, "patch_size": 4, "channels": 1, "dim": 8, "depth": 1, "heads": 2}
NETS = {
    "resnet": (lambda dtype: resnet((1,), bottleneck=True, stem="mnist", channels=1, width=4, dtype=dtype), IMAGES),
    "vit": (lambda dtype: vit(**VIT, dtype=dtype), IMAGES),
    "small": (lambda dtype: small_convnet(widths=(4,), strides=(2,), dtype=dtype), IMAGES),
    "head": (lambda dtype: projection_head(inputs=6, widths=(8, 5), last_norm=True, dtype=dtype), FEATURES),
}


@pytest.fixture(params=NETS, scope="module")
def make(request):
    return NETS[request.param][0]


@pytest.fixture(scope="module")
def net(make):
    return make(jnp.float32)


@pytest.fixture(scope="module")
def x(make):
    return next(x for factory, x in NETS.values() if factory is make)


@pytest.fixture(scope="module")
def start(net):
    return drawn(net)


@pytest.fixture(scope="module")
def train(net):
    return jax.jit(lambda params, stats, x: net.apply(params, stats, x, train=True, rng=jax.random.key(1)))


@pytest.fixture(scope="module")
def trained(train, start, x):
    return train(*start, x)


def last(outputs):
    return outputs["features"] if isinstance(outputs, dict) else outputs


def equal(first, second):
    return jax.tree.all(jax.tree.map(np.array_equal, first, second))


def all_float32(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("net", [small_convnet(widths=(64,), strides=(2,)), projection_head(inputs=6, widths=(4,))])
def test_init_gives_the_same_bits_under_jit_and_others_from_another_key(net):
    start, under_jit = net.init(jax.random.key(0)), jax.jit(lambda rng: net.init(rng))(jax.random.key(0))
    assert equal(start, under_jit) and not equal(start, net.init(jax.random.key(1)))
    if "conv" in start[0].get("layer1", {}):
        deviation = np.sqrt(2 / (3 * 3 * 64))  # Of He et al. 2015, over the outputs.
        assert start[0]["layer1"]["conv"]["kernel"].std() == pytest.approx(deviation, rel=0.1)


def test_params_and_stats_are_plain_nested_dicts_of_float32_arrays(net):
    def check(tree):
        assert type(tree) is dict and all(isinstance(key, str) for key in tree)
        for value in tree.values():
            if not isinstance(value, jax.ShapeDtypeStruct):
                check(value)

    for tree in jax.eval_shape(net.init, jax.random.key(0)):
        check(tree)
        assert not tree or all_float32(tree)


def test_training_keeps_the_structure_and_moves_the_statistics(trained, start):
    assert jax.tree.structure(trained[1]) == jax.tree.structure(start[1])
    assert not jax.tree.leaves(start[1]) or not equal(trained[1], start[1])


def test_evaluation_needs_no_key_and_leaves_the_statistics(net, start, x):
    outputs, stats = jax.jit(lambda *inputs: net.apply(*inputs, train=False))(*start, x)
    assert equal(stats, start[1])
    assert last(outputs).shape == (4, net.width) and last(outputs).dtype == jnp.float32


def test_evaluation_sees_one_example_at_a_time(net, start, x):
    evaluate = jax.jit(lambda *inputs: last(net.apply(*inputs, train=False)[0]))
    np.testing.assert_allclose(evaluate(*start, x)[:2], evaluate(*start, x[:2]), rtol=1e-5, atol=1e-5)


def test_features_are_the_last_layer_under_jit_too(net, trained, start, x):
    outputs, _ = trained
    if isinstance(outputs, dict):
        traced = []
        jax.eval_shape(lambda *inputs: traced.extend(net.apply(*inputs, train=False)[0]), *start, x)
        assert list(outputs) == traced and traced[-1] == "features"


def test_vmap_over_networks_is_a_loop_over_networks(train, trained, start, x):
    other = jax.tree.map(lambda leaf: leaf * 1.25, start)
    both = jax.jit(jax.vmap(train, in_axes=(0, 0, None)))(
        *jax.tree.map(lambda *leaves: jnp.stack(leaves), start, other), x
    )
    for i, one in enumerate((trained, train(*other, x))):
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-4), both, one)


def test_bfloat16_computes_in_it_and_keeps_the_rest_in_float32(make, trained, start, x):
    def loss(params):
        outputs, stats = half.apply(params, start[1], x, train=True)
        return last(outputs).sum(), (outputs, stats)

    half = make(jnp.bfloat16)
    gradient, (outputs, stats) = jax.jit(jax.grad(loss, has_aux=True))(start[0])
    assert all_float32((gradient, stats, last(outputs))) and all_float32(jax.eval_shape(half.init, jax.random.key(0)))
    if isinstance(outputs, dict):
        assert {layer.dtype for name, layer in outputs.items() if name not in ("tokens", "features")} == {
            jnp.dtype(jnp.bfloat16)
        }
    np.testing.assert_allclose(last(outputs), last(trained[0]), rtol=0.1, atol=0.1)


def test_a_method_by_name_sees_the_same_parameters():
    class Doubling(nnx.Module):
        def __init__(self, rngs):
            self.linear, self.width = nnx.Linear(3, 2, rngs=rngs), 2

        def __call__(self, x):
            return self.linear(x)

        def twice(self, x, times, *, rngs=None):
            noise = 0.0 if rngs is None else jax.random.normal(rngs(), (2,))
            return times * self.linear(x) + noise

    net = functional(Doubling)
    params, stats = drawn(net)
    x = jnp.ones((3,))
    once, _ = net.apply(params, stats, x, train=False)
    twice, kept = net.apply(params, stats, x, 2, train=False, method="twice")
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)
    assert kept == stats == {}
    noisy, _ = net.apply(params, stats, x, 2, train=True, rng=jax.random.key(0), method="twice")
    assert (noisy != twice).all()


class Doubling(nnx.Module):
    """A linear layer.

    Args:
      outputs: its width.
    """

    def __init__(self, rngs: nnx.Rngs, inputs: int, *, outputs: int = 2):
        self.linear, self.width = nnx.Linear(inputs, outputs, rngs=rngs), outputs

    def __call__(self, x):
        return self.linear(x)


def test_a_network_has_the_signature_and_the_documentation_of_its_module():
    doubling = network(Doubling)
    assert str(inspect.signature(doubling)) == "(inputs: int, *, outputs: int = 2) -> ssl_jax.networks.functional.Net"
    assert doubling.__doc__ == Doubling.__doc__
    params, _ = drawn(doubling(3, outputs=4))
    assert params["linear"]["kernel"].shape == (3, 4)
    with pytest.raises(TypeError, match="no_such_option"):
        doubling(3, no_such_option=1)


def test_a_network_without_a_description_has_none_and_records_nothing():
    net = network(Doubling)(3)
    assert (net.layers, net.patch_size, net.spatial, net.norm_kind) == ({}, None, False, None)
    params, stats = drawn(net)
    output, intermediates = net.inspect(params, stats, np.ones(3, np.float32))
    np.testing.assert_array_equal(output, net.apply(params, stats, np.ones(3, np.float32), train=False)[0])
    assert intermediates == {}


@pytest.mark.parametrize(
    "make",
    [
        resnet, vit, small_convnet, projection_head, prototype_head, masked_decoder, row_context, small_video_convnet,
        r2plus1d_18, audio_convnet, transformer, recurrent,
    ],
)  # fmt: skip
def test_the_documentation_explains_every_argument(make):
    _, _, explained = make.__doc__.partition("Args:")
    for name in inspect.signature(make).parameters:
        assert any(name in line.partition(":")[0] for line in explained.splitlines()), f"{name} is not explained"


ENCODERS = {
    "small": (lambda: encoder("small", image_shape=(28, 28, 1)), (28, 28, 1)),
    "layer norm": (lambda: encoder("small", image_shape=(28, 28, 1), norm="layer"), (28, 28, 1)),
    "resnet": (lambda: resnet((1, 1), bottleneck=False, stem="mnist", channels=1, width=4), (8, 8, 1)),
    "bottleneck": (lambda: resnet((1, 1), bottleneck=True, stem="mnist", channels=1, width=4), (8, 8, 1)),
    "vit": (lambda: encoder("vit_micro", image_shape=(28, 28, 1)), (28, 28, 1)),
    "vit of given patches": (lambda: encoder("vit_micro/7", image_shape=(28, 28, 1)), (28, 28, 1)),
    "video": (lambda: small_video_convnet(widths=(4, 8), strides=(2, 2)), (4, 16, 16, 1)),
    "r2plus1d": (lambda: r2plus1d_18(depth=1, width=2), (4, 32, 32, 3)),
    "audio": (lambda: audio_convnet(width=2), (32, 32, 1)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_describes_its_layers(name):
    make, shape = ENCODERS[name]
    net = make()
    start = jax.eval_shape(net.init, jax.random.key(0))
    traced = []

    def run(*inputs):
        layers, _ = net.apply(*inputs, train=False)
        traced.extend((name, layer.shape) for name, layer in layers.items())

    jax.eval_shape(run, *start, jax.ShapeDtypeStruct((2, *shape), np.float32))
    assert list(net.layers.items()) == [(name, shape[-1]) for name, shape in traced]
    *layers, features = (shape for _, shape in traced)
    assert features == (2, net.width)
    assert {len(layer) == len(shape) + 1 for layer in layers} == {net.spatial}
    if net.patch_size is not None:
        assert layers[0][1] == 1 + (shape[0] // net.patch_size) ** 2
    assert (net.patch_size is not None) == name.startswith("vit")
    assert (net.norm_kind == "batch") == bool(start[1]) and net.norm_kind in ("batch", "layer")


def test_heads_describe_their_norm():
    heads = [
        (projection_head(inputs=6, widths=(8, 5)), "batch"),
        (projection_head(inputs=6, widths=(8, 5), norm=False), None),
        (projection_head(inputs=6, widths=(5,), last_norm=True), "batch"),
        (linear_head(inputs=6, outputs=5), None),
        (prototype_head(inputs=6, widths=(8, 5), outputs=4, norm=True), "batch"),
        (prototype_head(inputs=6, widths=(8, 5), outputs=4), None),
        (prototype_head(inputs=6, widths=(8, 5), outputs=None), None),
    ]
    for net, kind in heads:
        assert net.norm_kind == kind and bool(jax.eval_shape(net.init, jax.random.key(0))[1]) == (kind == "batch")
