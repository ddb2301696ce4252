"""Losses and operations over explicit axes, those of `jax.make_mesh`, have the values and gradients of whole arrays."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from public_calls import KEY, LOSSES, OPS, in_one_number

from ssl_jax.losses import barlow_twins, info_nce
from ssl_jax.ops import bank, queue
from ssl_jax.ops.explicit_axes import on_explicit_axes

MESH = jax.make_mesh((8,), ("data",))
MIXED = jax.make_mesh(
    (2, 2), ("data", "model"), axis_types=(AxisType.Explicit, AxisType.Auto), devices=jax.devices()[:4]
)
ROWS = 16
RNG = np.random.default_rng(0)
# The axes that are cut: examples of the losses, and of the operations. Over devices, attention also cuts queries and keys.
CUT = dict.fromkeys(LOSSES, "B") | {
    "attention": "A", "attention, hard": "A", "attention, masked": "A", "attention_weights": "A", "free_energy": "BK",
    "key_value_lookup": "BK", "key_value_lookup, nearest": "BK", "softmax_sum": "Q", "log_sum_exp": "QK", "kmeans": "L",
    "nearest_centroid": "L", "sinkhorn": "B", "sinkhorn_labels": "L", "standardize": "B",
}  # fmt: skip
OVER_DEVICES = CUT | {"attention": "HB", "softmax_sum": "QK"}
OPTIONS = {
    "nce": {"log_partition": 0.5}, "agreeing_clips": {"count": 2}, "free_energy": {"inverse_temperature": 2.0},
    "key_value_lookup, nearest": {"num_classes": 3, "top": 2}, "kmeans": {"clusters": 2, "iterations": 3},
}  # fmt: skip
# Those without an `axis_name`, without one for these arguments, and with masks that are cut along queries alone.
WITHOUT_AXIS = {"agreeing_clips", "center_and_sharpen", "attention_weights", "nearest_centroid", "attention, hard"}
WITHOUT_AXIS |= {"attention, masked", "softmax_sum"}


def letters(shaped):
    return shaped.axes.replace("...", "").replace("?", "").split()


def grown(shaped, cut):
    """The array with as many rows along the axes that are cut as all devices can share."""
    array = shaped.array
    for axis, letter in enumerate(letters(shaped)):
        if letter in cut:
            array = np.take(array, np.arange(ROWS) % array.shape[axis], axis)
    different = array.dtype == np.float32 and np.ptp(array) > 0
    return (array * (1 + 0.3 * RNG.normal(size=array.shape))).astype(np.float32) if different else array


def arguments_of(name, cut):
    """Arrays that are differentiated, other arrays, how both are cut, and the rest."""
    call = (LOSSES | OPS)[name]
    specs = {
        argument: PartitionSpec(*("data" if letter in cut else None for letter in letters(shaped)))
        for argument, shaped in call.shaped.items()
    }
    arrays = {argument: grown(shaped, cut) for argument, shaped in call.shaped.items()}
    floats = {argument: arrays.pop(argument) for argument in call.floats}
    return floats, arrays, specs, {**call.objects, **OPTIONS.get(name, {})}


def spread(arrays, specs, mesh):
    return {argument: jax.device_put(arrays[argument], NamedSharding(mesh, specs[argument])) for argument in arrays}


def check(found, whole):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, whole)


@pytest.mark.parametrize(("name", "mesh"), [*((name, MESH) for name in CUT), ("ntxent", MIXED), ("attention", MIXED)])
def test_under_jit(name, mesh):
    floats, rest, specs, options = arguments_of(name, CUT[name])

    def number(floats, rest):
        return in_one_number((LOSSES | OPS)[name].function(**floats, **rest, **options))

    both = jax.jit(jax.value_and_grad(number))
    whole = both(floats, rest)
    with jax.set_mesh(mesh):
        found = both(spread(floats, specs, mesh), spread(rest, specs, mesh))
    check(found, whole)
    assert {argument: array.sharding.spec for argument, array in found[1].items()}.items() <= specs.items()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OVER_DEVICES if name not in WITHOUT_AXIS])
def test_in_shard_map(name):
    floats, rest, specs, options = arguments_of(name, OVER_DEVICES[name])
    function = (LOSSES | OPS)[name].function

    def call(floats, rest, **axis):
        if "estimator" in options:
            return function(**floats, **rest, estimator=functools.partial(info_nce, **axis))
        return function(**floats, **rest, **options, **axis)

    outputs = jax.tree.map(
        lambda leaf: PartitionSpec(*("data" if size == ROWS else None for size in leaf.shape)),
        jax.eval_shape(call, floats, rest),
    )
    inputs = tuple({argument: specs[argument] for argument in arrays} for arrays in (floats, rest))
    mapped = jax.shard_map(functools.partial(call, axis_name="data"), mesh=MESH, in_specs=inputs, out_specs=outputs)

    def number(floats, rest):
        return in_one_number(
            jax.tree.map(lambda leaf: jax.sharding.reshard(leaf, PartitionSpec()), mapped(floats, rest))
        )

    whole = jax.jit(jax.value_and_grad(lambda floats, rest: in_one_number(call(floats, rest))))(floats, rest)
    with jax.set_mesh(MESH):
        found = jax.jit(jax.value_and_grad(number))(spread(floats, specs, MESH), spread(rest, specs, MESH))
    check(found, whole)


def test_every_function_with_an_axis_name_is_tested():
    having = {
        name for name, call in (LOSSES | OPS).items() if "axis_name" in inspect.signature(call.function).parameters
    }
    assert having - {"bank.read", "bank.take_rows", "bank.write"} <= set(CUT)


@pytest.mark.parametrize("mapped", [False, True])
def test_banks(mapped):
    def step(memory, index, rows, **axis):
        memory = bank.write(memory, index, rows, **axis)
        return memory, bank.read(memory, index, **axis), bank.take_rows(memory.rows, index, **axis)

    index, rows = np.arange(3, 11, dtype=np.int32), RNG.normal(size=(8, 4)).astype(np.float32)
    whole = jax.jit(step)(bank.fresh(KEY, ROWS, 4), index, rows)
    with jax.set_mesh(MESH):
        given = jax.device_put((bank.fresh(KEY, ROWS, 4), index, rows), NamedSharding(MESH, PartitionSpec("data")))
        over = functools.partial(jax.shard_map, in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data"))
        found = jax.jit(over(functools.partial(step, axis_name="data")) if mapped else step)(*given)
    check(found, whole)
    assert found[0].rows.sharding.spec == PartitionSpec("data", None)


def test_queues():
    keys = RNG.normal(size=(8, 4)).astype(np.float32)
    push = jax.jit(lambda held, keys: queue.read(queue.push(held, keys)))
    whole = push(queue.fresh(KEY, ROWS, 4), keys)
    with jax.set_mesh(MESH):
        held = queue.fresh(KEY, ROWS, 4)
        check(push(held, jax.device_put(keys, NamedSharding(MESH, PartitionSpec("data")))), whole)


@pytest.mark.slow
def test_what_is_not_decorated_refuses_them():
    """So that the tests above test the decorator."""
    rows = RNG.normal(size=(8, 3)).astype(np.float32)
    with jax.set_mesh(MESH):
        cut = jax.device_put(rows, NamedSharding(MESH, PartitionSpec("data")))
        with pytest.raises(Exception, match="sharded"):
            barlow_twins.__wrapped__(cut, cut)
        assert barlow_twins(cut, cut).sharding.is_fully_replicated
        product = on_explicit_axes(lambda first, *, second: (jnp.vdot(first, second), first + second, first.T))
        number, rows_of, columns = product(cut, second=cut)
        np.testing.assert_allclose(number, (rows**2).sum(), rtol=1e-5)
        assert rows_of.sharding.spec == PartitionSpec("data", None) and columns.sharding.is_fully_replicated
