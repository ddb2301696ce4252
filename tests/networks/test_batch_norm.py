import math
import re
from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from naive_layers import batch_norm, double, drawn

from ssl_jax.errors import UsageError
from ssl_jax.networks import batch_norm as subject
from ssl_jax.networks import projection_head, resnet, small_convnet
from ssl_jax.networks.batch_norm import BatchNorm, moments
from ssl_jax.networks.layers import LayerNorm
from ssl_jax.ops.patches import patchify
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.targets import topology
from ssl_jax.train.compilation import not_kept


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(3.0, 2.0, (8, 3, 2, 5)).astype(np.float32)


def trained(norm, x):
    norm.train()
    return np.asarray(norm(jnp.asarray(x)), np.float64)


def test_normalises_with_the_statistics_of_the_batch(x):
    norm = BatchNorm(5, scale=1.5)
    norm.bias[...] = jnp.arange(5.0)
    np.testing.assert_allclose(trained(norm, x), batch_norm(double(x), 1.5, np.arange(5.0)), rtol=1e-4, atol=1e-4)


def test_running_averages_move_a_tenth_of_the_way(x):
    norm = BatchNorm(5)
    norm.mean[...] = jnp.full(5, 7.0)
    trained(norm, x)
    np.testing.assert_allclose(norm.mean[...], 0.9 * 7 + 0.1 * double(x).mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 * 1 + 0.1 * double(x).var((0, 1, 2)), rtol=1e-5)


def test_evaluation_uses_the_running_averages_and_leaves_them(x):
    norm = BatchNorm(5)
    norm.mean[...], norm.var[...] = jnp.arange(5.0), jnp.arange(1.0, 6.0)
    norm.eval()
    expected = (double(x) - np.arange(5)) / np.sqrt(np.arange(1, 6) + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(norm.mean[...], np.arange(5))


def test_arrays_of_numpy_are_not_written_to(x):
    norm = BatchNorm(5)
    norm.mean.set_value(mine := np.zeros(5, np.float32))
    trained(norm, x)
    assert not mine.any() and np.asarray(norm.mean[...]).all()


def test_groups_have_statistics_of_their_own_and_their_mean_is_carried(x):
    norm = BatchNorm(5, groups=4)
    parts = np.split(double(x), 4)
    expected = np.concatenate([batch_norm(part, 1.0, 0.0) for part in parts])
    np.testing.assert_allclose(trained(norm, x), expected, rtol=1e-4, atol=1e-4)
    variance = np.mean([part.var((0, 1, 2)) for part in parts], axis=0)
    np.testing.assert_allclose(norm.mean[...], 0.1 * double(x).mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * variance, rtol=1e-5)


def test_groups_must_divide_the_batch(x):
    with pytest.raises(UsageError, match="groups=3 must divide the batch, got 8 examples"):
        trained(BatchNorm(5, groups=3), x)


def test_groups_do_not_matter_in_evaluation(x):
    norm = BatchNorm(5, groups=3)
    norm.eval()
    np.testing.assert_allclose(norm(jnp.asarray(x)), x / np.sqrt(np.float32(1 + 1e-5)), rtol=1e-6)


def test_statistics_are_float32_for_bfloat16_activations(x):
    """A mean of 300 with a deviation of 4: numbers of bfloat16 are 2 apart there, and their squares 512."""
    x = jnp.asarray(np.random.default_rng(0).normal(300.0, 4.0, (512, 5)), jnp.bfloat16)
    norm = BatchNorm(5, dtype=jnp.bfloat16)
    normed = trained(norm, x)
    assert norm(x).dtype == jnp.bfloat16 and norm.mean[...].dtype == jnp.float32
    np.testing.assert_allclose(normed, batch_norm(double(x), 1.0, 0.0), rtol=1e-2, atol=1e-2)


RATIOS = {
    1e1: 3e-6,
    1e2: 2e-5,
    1e3: 2e-4,
    4e3: 1e-3,
}  # mean / deviation: error, PyTorch's; the last is about one rounding of x


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("shape", [(64, 6, 6, 8), (256, 8)])
@pytest.mark.parametrize("kind", ["batch", "groups", "layer", "image"])
def test_far_from_zero_statistics_do_not_cancel(kind, shape, ratio):
    x = np.random.default_rng(0).normal(ratio, 1, shape).astype(np.float32)
    axes = {
        "batch": tuple(range(len(shape) - 1)),
        "groups": (0,),
        "layer": (-1,),
        "image": tuple(range(1, len(shape))),
    }[kind]
    if kind == "groups":
        axes, exact = axes, np.concatenate([batch_norm(double(part), 1.0, 0.0) for part in np.split(x, 4)])
    else:
        mean, var = double(x).mean(axes, keepdims=True), double(x).var(axes, keepdims=True)
        exact = (double(x) - mean) / np.sqrt(var + 1e-5)
    rngs = nnx.Rngs(0)
    norm = {
        "batch": lambda: BatchNorm(8),
        "groups": lambda: BatchNorm(8, groups=4),
        "layer": lambda: LayerNorm(8, epsilon=1e-5, rngs=rngs),
        "image": lambda: LayerNorm(8, epsilon=1e-5, reduction_axes=tuple(range(1, len(shape))), rngs=rngs),
    }[kind]()
    np.testing.assert_allclose(norm(jnp.asarray(x)), exact, atol=RATIOS[ratio])


@pytest.mark.slow
def test_gradients_far_from_zero_are_those_near_it():
    """Near 0, those of the definition: a shift of the input changes neither the output nor its gradient."""
    x, weights = np.random.default_rng(0).normal(size=(2, 32, 3, 3, 4)).astype(np.float32)
    x = np.round(x * 2**12) / 2**12  # so that the shift loses no digit

    def total(x):
        return jnp.sum(jnp.asarray(weights) * BatchNorm(4)(x))

    near, far = (jax.jit(jax.grad(total))(jnp.asarray(x + shift)) for shift in (0, 1024))
    np.testing.assert_allclose(far, near, atol=2e-4)
    expected = numerical_gradient(lambda x: np.sum(weights[:2] * batch_norm(x, 1.0, 0.0)), [x[:2]], 0)
    gradient = jax.grad(lambda x: jnp.sum(weights[:2] * BatchNorm(4)(x)))(jnp.asarray(x[:2]))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("blocks", [2, 32, 256])
def test_far_from_zero_sums_over_blocks_do_not_cancel(monkeypatch, blocks, ratio):
    """The blocks of as many devices, put together on one."""
    monkeypatch.setattr(subject, "_blocks", lambda *_, **__: blocks)
    monkeypatch.setattr(subject, "platform_of", lambda _: "tpu")
    x = np.random.default_rng(0).normal(ratio, 1, (256, 4, 4, 8)).astype(np.float32)
    mean, var = moments(*[jnp.asarray(x)[None]] * 2)
    np.testing.assert_allclose(mean.ravel(), double(x).mean((0, 1, 2)), atol=RATIOS[ratio])
    np.testing.assert_allclose(var.ravel(), double(x).var((0, 1, 2)), atol=2 * RATIOS[ratio])


@pytest.mark.parametrize(("groups", "blocks"), [(1, 8), (4, 2), (8, 1), (16, 1)])
def test_a_block_is_the_part_of_a_group_on_one_device(groups, blocks):
    assert subject._blocks(groups, 16 // groups, 8, native=False) == blocks


def test_one_collective_for_the_statistics_of_a_spread_batch(monkeypatch):
    monkeypatch.setattr(subject, "platform_of", lambda _: "tpu")
    mesh = Mesh(np.array(jax.devices()), ("data",))
    x = jax.device_put(np.ones((16, 2, 2, 4), np.float32), NamedSharding(mesh, PartitionSpec("data")))
    program = jax.jit(lambda x: moments(x[None], x[None])).lower(x).compile().as_text()
    (shape,) = re.findall(r"= (\S+) (?:all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\(", program)
    assert re.match(r"f32\[4(,1)*,4\]", shape), (
        "four rows of C for all devices together, in a type that all hardware has"
    )


@pytest.mark.skipif(
    not find_spec("libtpu"), reason="libtpu, the compiler for TPUs, is not installed: pip install 'ssl_jax[tpu]'"
)
def test_on_tpus_the_float32_values_of_bfloat16_activations_never_lie_in_memory():
    """Nor are activations copied for the axes that the statistics are over: a fusion reads them where they are."""
    mesh = topology("v5e:2x2").mesh
    spread, same = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))

    def loss(x):
        return jnp.sum(BatchNorm(256, dtype=jnp.bfloat16)(x).astype(jnp.float32) ** 3)

    x = jax.ShapeDtypeStruct((32, 28, 28, 256), jnp.bfloat16, sharding=spread)
    with not_kept():
        text = jax.jit(jax.value_and_grad(loss), out_shardings=(same, spread)).lower(x).compile().as_text()
    program, of_chip = read_program(text), 8 * 28 * 28 * 256
    made = [
        (each.opcode, array.bytes // of_chip)
        for each in program.computations[program.entry].values()
        for array in each.arrays
        if each.opcode not in ("parameter", "bitcast", "tuple") and math.prod(array.shape) == of_chip
    ]
    assert ("fusion", 2) in made, "the gradient, in bfloat16"
    assert {size for _, size in made} == {2} and not {"copy", "reshape"} & {opcode for opcode, _ in made}


@pytest.mark.parametrize("norm", [BatchNorm(4), LayerNorm(4, rngs=nnx.Rngs(0))])
def test_activations_whose_squares_overflow_are_not_hidden(norm):
    """Zeros would: the loss would stay finite, and its gradient zero."""
    assert np.isnan(norm(jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)) * 1e25, jnp.float32))).any()


def test_a_constant_batch_stays_finite():
    """Collapse: rounding could make the variance negative, and the gain not a number."""
    constants = np.linspace(100, 1000, 64, dtype=np.float32)
    assert np.isfinite(trained(BatchNorm(64), np.tile(constants, (100, 1)))).all()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (partial(resnet, (1,), bottleneck=True, stem="mnist", channels=1, width=4), (8, 8, 1)),
        (partial(small_convnet, widths=(4,), strides=(2,)), (8, 8, 1)),
        (partial(projection_head, inputs=6, widths=(8, 4), last_norm=True), (6,)),
    ],
)
def test_groups_reach_every_norm_of_a_network(make, shape):
    """Two groups together are the two groups alone."""
    start, x = drawn(make()), np.random.default_rng(1).normal(size=(16, *shape)).astype(np.float32)
    together, alone = (jax.jit(partial(make(groups=groups).apply, *start, train=True)) for groups in (2, None))
    halves = jax.tree.map(lambda *parts: np.concatenate(parts), *(alone(half)[0] for half in np.split(x, 2)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), together(x)[0], halves)


@pytest.mark.parametrize("groups", [None, 8])
def test_eight_devices_are_one(groups):
    """Values, statistics and gradients of a batch that is spread over devices: the same as on one."""

    def loss(params, images):
        layers, new = net.apply(params, stats, images, train=True)
        return jnp.square(layers["features"] - 1).mean(), new

    net = small_convnet(widths=(4,), strides=(2,), groups=groups)
    params, stats = drawn(net)
    images = np.random.default_rng(1).normal(size=(16, 8, 8, 1)).astype(np.float32)
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    one = step(params, images)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    spread = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))
    eight = step(jax.device_put(params, NamedSharding(mesh, PartitionSpec())), spread)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), one, eight)


def test_patches_are_read_row_by_row():
    image = np.arange(4 * 6 * 2, dtype=np.float32).reshape(1, 4, 6, 2)
    expected = [[image[0, r : r + 2, c : c + 2].ravel() for c in (0, 2, 4)] for r in (0, 2)]
    np.testing.assert_array_equal(patchify(jnp.asarray(image), 2)[0], expected)
