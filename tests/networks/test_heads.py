import jax
import numpy as np
import pytest
from naive_layers import batch_norm, double, drawn, linear, relu

from ssl_jax.networks import linear_head, projection_head


def paths(net):
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves}


HIDDEN = {"layer1/kernel", "norm1/scale", "norm1/bias", "layer2/kernel"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, HIDDEN),
        ({"last_bias": True}, HIDDEN | {"layer2/bias"}),
        ({"last_norm": True}, HIDDEN | {"norm2/scale"}),
        ({"last_norm": True, "last_bias": True}, HIDDEN | {"norm2/scale", "norm2/bias"}),
        ({"last_norm": True, "last_norm_affine": False}, HIDDEN),
        ({"last_norm": True, "last_norm_affine": False, "last_bias": True}, HIDDEN),
        ({"norm": False, "last_bias": True}, {"layer1/kernel", "layer1/bias", "layer2/kernel", "layer2/bias"}),
    ],
)
def test_options_decide_what_there_is_to_learn(options, expected):
    assert paths(projection_head(inputs=6, widths=(8, 4), **options)) == expected


@pytest.mark.parametrize("last_norm", [False, True])
def test_it_is_the_definition(last_norm):
    net = projection_head(inputs=6, widths=(8, 7, 4), last_norm=last_norm, last_norm_affine=False)
    (params, stats), features = drawn(net), np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)
    embedding, _ = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, features)
    x, params = double(features), double(params)
    for number in (1, 2):
        norm = params[f"norm{number}"]
        x = relu(batch_norm(linear(x, params[f"layer{number}"]), norm["scale"], norm["bias"]))
    x = linear(x, params["layer3"])
    expected = batch_norm(x, 1.0, 0.0) if last_norm else x
    np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-4)
    assert net.width == 4


def test_a_linear_head_is_one_matrix():
    net = linear_head(inputs=6, outputs=3)
    assert paths(net) == {"layer1/kernel", "layer1/bias"}
    assert paths(linear_head(inputs=6, outputs=3, bias=False)) == {"layer1/kernel"}
    (params, stats), features = drawn(net), np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    expected = linear(double(features), double(params)["layer1"])
    np.testing.assert_allclose(net.apply(params, stats, features, train=True)[0], expected, rtol=1e-5, atol=1e-5)
