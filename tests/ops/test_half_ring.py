"""Rows that pass through half of a ring of devices meet all others once, and give what one device computes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ssl_jax.ops.comparison import Comparison, comparing
from ssl_jax.ops.half_ring import meet_all
from ssl_jax.ops.pair_blocks import Rows
from ssl_jax.ops.pairs import log_sums_over_others
from ssl_jax.train.mesh import make_mesh

DEVICES = range(2, 9)


def over(devices, function, *arrays):
    cut = PartitionSpec("data")
    run = jax.shard_map(function, mesh=make_mesh(devices), in_specs=(cut,) * len(arrays), out_specs=cut)
    return jax.jit(run)(*arrays)


@pytest.mark.parametrize("devices", DEVICES)
def test_every_row_meets_each_row_of_other_shards_once(devices):
    """Rows are unit vectors, so that the sum of the rows that a row has met counts how often it met each."""
    count, blocks, block = 4 * devices, 2, 2

    def met(rows):
        def between(left, right):
            sums = (part.blocks.reshape(-1, count).sum(axis=0) for part in (right, left))
            return tuple(
                jnp.broadcast_to(total, part.blocks.shape) for total, part in zip(sums, (left, right), strict=True)
            )

        mine = rows.reshape(blocks, block, count)
        skip = jnp.zeros_like(mine[..., :1], dtype=jnp.int32)
        return meet_all("data", Rows(mine, skip), between).reshape(-1, count)

    found = over(devices, met, jnp.eye(count))
    np.testing.assert_array_equal(found, 1 - np.kron(np.eye(devices), np.ones((4, 4))))


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [3, 64])
@pytest.mark.parametrize("devices", DEVICES)
def test_sums_and_gradients_are_those_of_one_device(devices, block_size):
    """Of 5 rows a device; a row skips itself and the next or the last of its shard in pairs, the fifth itself alone."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(5 * devices, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    itself = np.arange(len(rows))
    partner = np.where(itself % 5 < 4, itself + 1 - 2 * (itself % 5 % 2), itself)
    skip = np.stack([itself, partner], axis=1)
    weights = random.uniform(size=len(rows)).astype(np.float32)
    sums = partial(log_sums_over_others, inverse_temperature=5.0, block_size=block_size)

    def on_a_shard(rows, skip, weights):
        found, pull = jax.vjp(lambda rows: sums(rows, skip, axis_name="data"), rows)
        return found, *pull(weights)

    whole, pull = jax.vjp(lambda rows: sums(rows, skip), rows)
    with comparing(Comparison("ring")):
        found, gradient = over(devices, on_a_shard, rows, skip, weights)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    np.testing.assert_allclose(gradient, pull(weights)[0], rtol=1e-4, atol=1e-6)
