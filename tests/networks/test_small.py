import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import conv_norm, double, drawn, relu

from ssl_jax.errors import UsageError
from ssl_jax.networks import small_convnet


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_it_is_the_definition_and_layers_come_in_order(norm):
    net = small_convnet(channels=2, widths=(3, 4), strides=(1, 2), norm=norm)
    (params, stats), images = drawn(net), np.random.default_rng(1).normal(size=(4, 7, 7, 2)).astype(np.float32)
    layers, _ = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, images)
    first = relu(conv_norm(double(images), double(params)["layer1"], stride=1, norm=norm))
    second = relu(conv_norm(first, double(params)["layer2"], stride=2, norm=norm))
    features = np.concatenate([second.mean((1, 2)), second.max((1, 2))], axis=1)
    assert list(layers) == ["layer1", "layer2", "features"] and net.width == 8
    for layer, expected in zip(layers.values(), (first, second, features), strict=True):
        np.testing.assert_allclose(layer, expected, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns_at_once():
    net = small_convnet(widths=(3, 4), strides=(2, 2))
    params, stats = drawn(net)
    images = np.random.default_rng(1).normal(size=(8, 8, 8, 1)).astype(np.float32)
    features = lambda params: net.apply(params, stats, images, train=True)[0]["features"]  # noqa: E731
    gradient = jax.jit(jax.grad(lambda params: (features(params) ** 2).sum()))(params)
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(leaf.any()), gradient))


def test_as_many_strides_as_widths():
    with pytest.raises(UsageError, match="one stride for each width, got 3 widths and 2 strides"):
        small_convnet(strides=(2, 2))


def test_norms_are_those_of_a_batch_or_of_a_layer():
    with pytest.raises(UsageError, match="norm"):
        small_convnet(norm="group").init(jax.random.key(0))


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_of_the_largest_is_not_lost_when_it_is_compiled(seed):
    """A gradient by equality with the largest value is lost where XLA rounds the values differently twice."""
    net = small_convnet(widths=(4, 8), strides=(2, 2))
    params, stats = net.init(jax.random.key(seed))
    images = jax.random.uniform(jax.random.key(seed + 10), (32, 12, 12, 1))
    weights = jax.random.normal(jax.random.key(seed + 20), (32, net.width))

    def loss(params):
        return jnp.sum(weights * net.apply(params, stats, images, train=True)[0]["features"])

    eager, compiled = jax.grad(loss)(params), jax.jit(jax.grad(loss))(params)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-3), compiled, eager)
