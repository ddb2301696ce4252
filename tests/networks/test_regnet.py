import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import batch_norm, conv, conv_norm, double, drawn, relu

from ssl_jax.errors import UsageError
from ssl_jax.networks import regnet, regnety
from ssl_jax.networks.regnet import stages_of

TINY = {"depth": 3, "w_0": 8, "w_a": 2.5, "w_m": 2.0, "group_width": 4}  # Widths 8, 16; depths 2, 1.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published", "width"),
    [
        ("400mf", 4_344_144, 440),  # torchvision's regnet_y_400mf, regnet_y_32gf and regnet_y_128gf
        ("32gf", 145_046_770, 3712),
        ("128gf", 644_812_894, 7392),
        ("8gf", 39.2e6, 2016),  # MODEL_ZOO.md of facebookresearch/pycls; torchvision rounds its first stage up to 224.
        ("256gf", 1282.6e6, 10444),  # timm's regnety_2560.seer_ft_in1k
    ],
)
def test_parameters_are_as_many_as_published(name, published, width):
    net = getattr(regnet, f"regnety_{name}")()
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) + (width + 1) * 1000  # and the classifier
    assert net.width == width
    assert count == (published if isinstance(published, int) else pytest.approx(published, abs=5e4))


def test_stages_are_those_that_seer_states_and_the_naive_rule_gives():
    """The network of 695.5 M parameters in section 3.2 of SEER, https://arxiv.org/abs/2103.01988, has these stages."""
    given = {"depth": 27, "w_0": 456, "w_a": 160.83, "w_m": 2.52, "group_width": 264}
    stages = stages_of(**given)
    assert stages == ((528, 1056, 2904, 7392), (2, 7, 17, 1), (264,) * 4)
    widths = []
    for block in range(27):
        power = round(math.log((456 + 160.83 * block) / 456) / math.log(2.52))
        widths.append(round(round(456 * 2.52**power / 8) * 8 / 264) * 264)
    assert tuple(sorted(set(widths))) == stages.widths and tuple(map(widths.count, stages.widths)) == stages.depths


@pytest.mark.parametrize(
    ("stem", "side", "sides"),
    [("imagenet", 224, (112, 56, 28, 14, 7)), ("cifar", 32, (32, 32, 16, 8, 4)), ("mnist", 28, (28, 14, 7, 4, 2))],
)
def test_layers_come_by_name_in_order_of_depth(stem, side, sides):
    net = regnet.regnety_400mf(stem=stem)
    images = jax.ShapeDtypeStruct((2, side, side, 3), np.float32)
    start = jax.eval_shape(net.init, jax.random.key(0))
    layers, _ = jax.eval_shape(lambda *inputs: net.apply(*inputs, train=False), *start, images)
    names, channels = ("stem", "stage1", "stage2", "stage3", "stage4"), (32, 48, 104, 208, 440)
    expected = {name: (2, s, s, c) for name, s, c in zip(names, sides, channels, strict=True)}
    assert [(name, layer.shape) for name, layer in layers.items()] == [*expected.items(), ("features", (2, 440))]
    assert {name: layer.shape[-1] for name, layer in layers.items()} == dict(net.layers)


def grouped(x, params, *, stride, group_width):
    """Each group of channels convolved with its own kernels, then the norm."""
    parts = []
    for start in range(0, x.shape[-1], group_width):
        part = slice(start, start + group_width)
        parts.append(conv(x[..., part], params["conv"]["kernel"][..., part], stride=stride, padding=1))
    return batch_norm(np.concatenate(parts, -1), params["norm"]["scale"], params["norm"]["bias"])


def gated(x, params):
    squeezed = relu(x.mean((1, 2)) @ params["squeeze"]["kernel"] + params["squeeze"]["bias"])
    gates = 1 / (1 + np.exp(-(squeezed @ params["excite"]["kernel"] + params["excite"]["bias"])))
    return x * gates[:, None, None]


def naive(params, images):
    """In training: every norm with the statistics of the batch."""
    x = relu(conv_norm(images, params["stem"], stride=2))
    for name, stride in (("stage1_block1", 2), ("stage1_block2", 1), ("stage2_block1", 2)):
        block = params[name]
        shortcut = conv_norm(x, block["shortcut"], stride=stride) if "shortcut" in block else x
        branch = relu(grouped(relu(conv_norm(x, block["conv1"])), block["conv2"], stride=stride, group_width=4))
        x = relu(conv_norm(gated(branch, block["gate"]), block["conv3"]) + shortcut)
    return x.mean((1, 2))


def test_it_is_the_definition_and_moves_its_running_averages():
    net = regnety(**TINY, channels=2)
    (params, stats), images = drawn(net), np.random.default_rng(1).normal(size=(4, 16, 16, 2)).astype(np.float32)
    layers, after = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, images)
    np.testing.assert_allclose(layers["features"], naive(double(params), double(images)), rtol=1e-4, atol=1e-4)
    mean = conv(double(images), double(params)["stem"]["conv"]["kernel"], stride=2, padding=1).mean((0, 1, 2))
    expected = 0.9 * stats["stem"]["norm"]["mean"] + 0.1 * mean
    np.testing.assert_allclose(after["stem"]["norm"]["mean"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_every_parameter_learns():
    net = regnety(**TINY, stem="mnist", channels=1)
    params, stats = drawn(net)
    images = np.random.default_rng(1).normal(size=(8, 12, 12, 1)).astype(np.float32)

    def loss(params):
        features = net.apply(params, stats, images, train=True)[0]["features"]
        return (features * jnp.arange(features.size, dtype=jnp.float32).reshape(features.shape)).sum()

    leaves = jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params))
    assert [jax.tree_util.keystr(path) for path, leaf in leaves if not leaf.any()] == []


def test_an_unknown_stem_is_named():
    with pytest.raises(UsageError, match="did you mean 'cifar'"):
        regnet.regnety_400mf(stem="cifar10")
