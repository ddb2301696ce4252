import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import conv_norm, double, drawn, relu

from ssl_jax.errors import UsageError
from ssl_jax.networks import resnet, resnet18, resnet34, resnet50


@pytest.mark.parametrize(
    ("make", "published", "width"),
    [(resnet18, 11_689_512, 512), (resnet34, 21_797_672, 512), (resnet50, 25_557_032, 2048)],
)
def test_parameters_are_as_many_as_torchvision_counts(make, published, width):
    net = make()
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    classifier = (width + 1) * 1000
    assert net.width == width
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) + classifier == published


@pytest.mark.parametrize(
    ("stem", "side", "sides"),
    [("imagenet", 224, (56, 56, 28, 14, 7)), ("cifar", 32, (32, 32, 16, 8, 4)), ("mnist", 28, (28, 14, 7, 4, 2))],
)
def test_layers_come_by_name_in_order_of_depth(stem, side, sides):
    net = resnet18(stem=stem)
    images = jax.ShapeDtypeStruct((2, side, side, 3), np.float32)
    start = jax.eval_shape(net.init, jax.random.key(0))
    layers, _ = jax.eval_shape(lambda *inputs: net.apply(*inputs, train=False), *start, images)
    names, channels = ("stem", "stage1", "stage2", "stage3", "stage4"), (64, 64, 128, 256, 512)
    expected = {name: (2, s, s, c) for name, s, c in zip(names, sides, channels, strict=True)}
    assert [(name, layer.shape) for name, layer in layers.items()] == [*expected.items(), ("features", (2, 512))]


def naive(params, images, *, bottleneck, stem):
    """One block a stage, in training: every norm with the statistics of the batch."""
    x = relu(conv_norm(images, params["stem"], stride=2 if stem == "imagenet" else 1))
    if stem == "imagenet":
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # Zero is below nothing, after a relu.
        shifts = [padded[:, i : i + x.shape[1] : 2, j : j + x.shape[2] : 2] for i in range(3) for j in range(3)]
        x = np.max(shifts, axis=0)
    for stage in (1, 2):
        block, stride = params[f"stage{stage}_block1"], 2 if stage > 1 or stem == "mnist" else 1
        shortcut = conv_norm(x, block["shortcut"], stride=stride) if "shortcut" in block else x
        branch = relu(conv_norm(x, block["conv1"], stride=1 if bottleneck else stride))
        branch = conv_norm(branch, block["conv2"], stride=stride if bottleneck else 1)
        x = relu((conv_norm(relu(branch), block["conv3"]) if bottleneck else branch) + shortcut)
    return x.mean((1, 2))


@pytest.mark.parametrize(("bottleneck", "stem"), [(True, "imagenet"), (False, "mnist")])
def test_it_is_the_definition(bottleneck, stem):
    net = resnet((1, 1), bottleneck=bottleneck, stem=stem, channels=2, width=3)
    (params, stats), images = drawn(net), np.random.default_rng(1).normal(size=(4, 16, 16, 2)).astype(np.float32)
    layers, _ = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, images)
    expected = naive(double(params), double(images), bottleneck=bottleneck, stem=stem)
    np.testing.assert_allclose(layers["features"], expected, rtol=1e-4, atol=1e-4)


def vectors_of(net):
    """Gains and biases as `init` gives them; without the kernels, which are slow to compile."""
    init = jax.jit(lambda rng: jax.tree.map(lambda leaf: leaf if leaf.ndim == 1 else None, net.init(rng)[0]))
    return init(jax.random.key(0))


@pytest.mark.parametrize(("bottleneck", "last"), [(False, "conv2"), (True, "conv3")])
def test_only_the_last_gain_of_a_block_starts_at_zero(bottleneck, last):
    params = vectors_of(resnet((1, 1), bottleneck=bottleneck, width=4))
    gains = {
        "stem": params.pop("stem"),
        **{f"{block}/{name}": params[block][name] for block in params for name in params[block]},
    }
    assert {name for name, part in gains.items() if not part["norm"]["scale"].any()} == {
        f"stage1_block1/{last}",
        f"stage2_block1/{last}",
    }
    assert all((part["norm"]["scale"] == 1).all() for name, part in gains.items() if not name.endswith(last))


def test_every_parameter_learns_once_the_last_gains_have_left_zero():
    """At the start a branch ends in a gain of zero, so only that norm hears of the loss; all else does at once."""
    net = resnet((2,), bottleneck=False, stem="mnist", channels=1, width=4)
    params, stats = drawn(net)
    start = jax.tree.map(lambda drawn, first: drawn if first is None else first, params, vectors_of(net))
    images = np.random.default_rng(1).normal(size=(8, 8, 8, 1)).astype(np.float32)

    def loss(params):
        features = net.apply(params, stats, images, train=True)[0]["features"]
        return (features * jnp.arange(features.size, dtype=jnp.float32).reshape(features.shape)).sum()

    def silent(params):
        leaves = jax.tree_util.tree_leaves_with_path(gradient(params))
        return {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in leaves if not leaf.any()}

    gradient = jax.jit(jax.grad(loss))
    behind = ("conv1/conv/kernel", "conv1/norm/bias", "conv1/norm/scale", "conv2/conv/kernel")
    assert silent(start) == {f"stage1_block{number}/{path}" for number in (1, 2) for path in behind}
    assert silent(params) == set()


def test_an_unknown_stem_is_named():
    with pytest.raises(UsageError, match="did you mean 'cifar'"):
        resnet18(stem="cifar10")
