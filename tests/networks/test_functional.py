"""What every network promises, on the smallest of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.networks import linear_head, projection_head, resnet, small_convnet, vit

IMAGES, FEATURES = (4, 8, 8, 1), (4, 6)
NETS = {
    "resnet": (lambda dtype: resnet((1, 1), bottleneck=True, stem="cifar", channels=1, width=4, dtype=dtype), IMAGES),
    "vit": (
        lambda dtype: vit(image_size=8, patch_size=4, channels=1, dim=8, depth=2, heads=2, drop_path=0.5, dtype=dtype),
        IMAGES,
    ),
    "small": (lambda dtype: small_convnet(widths=(4, 6), strides=(2, 2), dtype=dtype), IMAGES),
    "projection": (lambda dtype: projection_head(inputs=6, widths=(8, 5), last_norm=True, dtype=dtype), FEATURES),
    "linear": (lambda dtype: linear_head(inputs=6, outputs=3, dtype=dtype), FEATURES),
}


@pytest.fixture(params=NETS, scope="module")
def make(request):
    return NETS[request.param][0]


@pytest.fixture(scope="module")
def net(make):
    return make(jnp.float32)


@pytest.fixture(scope="module")
def x(request, make):
    shape = next(shape for factory, shape in NETS.values() if factory is make)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def start(net):
    return net.init(jax.random.key(0))


@pytest.fixture(scope="module")
def train(net):
    return jax.jit(lambda params, stats, x, rng: net.apply(params, stats, x, train=True, rng=rng))


def last(outputs):
    return outputs["features"] if isinstance(outputs, dict) else outputs


def equal(first, second):
    return jax.tree.all(jax.tree.map(np.array_equal, first, second))


def test_init_gives_the_same_bits_under_jit_and_others_from_another_key(net, start):
    under_jit, other = jax.jit(lambda rng: net.init(rng))(jax.random.key(0)), net.init(jax.random.key(1))
    assert equal(start, under_jit) and not equal(start, other)


def test_params_and_stats_are_plain_nested_dicts_of_float32_arrays(start):
    def check(tree):
        assert type(tree) is dict and all(isinstance(key, str) for key in tree)
        for value in tree.values():
            check(value) if isinstance(value, dict) else np.testing.assert_equal(value.dtype, np.float32)

    for tree in start:
        check(tree)


def test_training_keeps_the_structure_and_moves_the_statistics(train, start, x):
    _, stats = train(*start, x, jax.random.key(1))
    assert jax.tree.structure(stats) == jax.tree.structure(start[1])
    assert not jax.tree.leaves(stats) or not equal(stats, start[1])


def test_evaluation_needs_no_key_and_leaves_the_statistics(net, start, x):
    outputs, stats = net.apply(*start, x, train=False)
    assert equal(stats, start[1])
    assert last(outputs).shape == (4, net.width) and last(outputs).dtype == jnp.float32


def test_layers_keep_their_order_under_jit(net, train, start, x):
    eager, _ = net.apply(*start, x, train=False)
    jitted, _ = train(*start, x, jax.random.key(1))
    if isinstance(eager, dict):
        assert list(jitted) == list(eager) and list(eager)[-1] == "features"


def test_shapes_are_known_without_computing(net, train, start, x):
    outline = jax.eval_shape(net.init, jax.random.key(0))
    outputs = jax.eval_shape(train, *outline, x, jax.random.key(1))
    computed = train(*start, x, jax.random.key(1))
    assert jax.tree.map(jnp.shape, outputs) == jax.tree.map(jnp.shape, computed)


def test_vmap_over_networks_is_a_loop_over_networks(train, net, start, x):
    keys = jax.random.split(jax.random.key(2))
    params, stats = jax.vmap(net.init)(keys)
    both, _ = jax.jit(jax.vmap(lambda p, s, k: net.apply(p, s, x, train=True, rng=k)))(params, stats, keys)
    for i in range(2):
        one, _ = train(*jax.tree.map(lambda leaf, i=i: leaf[i], (params, stats)), x, keys[i])
        np.testing.assert_allclose(last(both)[i], last(one), rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_in_it_and_keeps_the_rest_in_float32(make, train, start, x):
    half = make(jnp.bfloat16)
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.dtype == jnp.float32, half.init(jax.random.key(0))))

    def loss(params):
        outputs, stats = half.apply(params, start[1], x, train=True, rng=jax.random.key(1))
        return last(outputs).sum(), (outputs, stats)

    gradient, (outputs, stats) = jax.jit(jax.grad(loss, has_aux=True))(start[0])
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.dtype == jnp.float32, (gradient, stats, last(outputs))))
    if isinstance(outputs, dict):
        assert {value.dtype for name, value in outputs.items() if name != "features"} == {jnp.dtype(jnp.bfloat16)}
    expected, _ = train(*start, x, jax.random.key(1))
    np.testing.assert_allclose(last(outputs), last(expected), rtol=0.1, atol=0.1)
