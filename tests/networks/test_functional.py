"""What every network promises, on the smallest of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from naive_layers import drawn

from ssl_jax.networks import functional, projection_head, resnet, small_convnet, vit

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
