import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from ssl_jax.errors import UsageError
from ssl_jax.train.mesh import batch_sharding, check_batch_size, make_mesh, state_shardings


def test_mesh_has_the_devices_asked_for():
    assert dict(make_mesh().shape) == {"data": 8, "model": 1}
    assert make_mesh(3).size == 3


@pytest.mark.parametrize("count", [0, 9, -1])
def test_devices_that_are_not_there(count):
    with pytest.raises(UsageError, match=rf"devices: got {count}, but 8 are available: choose 1 to 8"):
        make_mesh(count)


def test_batches_that_cannot_be_shared():
    check_batch_size(16, make_mesh())
    with pytest.raises(UsageError, match=r"batch_size: 250 .* by 8 devices: choose a multiple of 8, such as 248\."):
        check_batch_size(250, make_mesh())
    with pytest.raises(UsageError, match=r"such as 8\."):
        check_batch_size(0, make_mesh())


def test_parameters_are_copied_unless_asked_otherwise():
    shapes = {"kernel": jnp.zeros((256, 512)), "bias": jnp.zeros(512), "odd": jnp.zeros((131, 257))}
    mesh = make_mesh()
    assert all(leaf.spec == PartitionSpec() for leaf in jax.tree.leaves(state_shardings(mesh, shapes)))
    sharded = state_shardings(mesh, shapes, shard_parameters=True)
    assert sharded["kernel"].spec == PartitionSpec(None, ("data", "model"))
    assert sharded["bias"].spec == PartitionSpec() and sharded["odd"].spec == PartitionSpec()
    kernel = jax.device_put(shapes["kernel"], sharded["kernel"])
    assert kernel.addressable_shards[0].data.shape == (256, 64)


def test_batch_is_spread_over_the_leading_axis():
    batch = jax.device_put(jnp.zeros((16, 3)), batch_sharding(make_mesh()))
    assert batch.addressable_shards[0].data.shape == (2, 3)


def test_a_batch_that_the_microbatches_do_not_divide_is_one_sentence():
    with pytest.raises(UsageError, match="4 devices in 3 microbatches: choose a multiple of 12, such as 36"):
        check_batch_size(32, make_mesh(4), microbatches=3)
    with pytest.raises(UsageError, match="microbatches: got 0, expected 1 or more"):
        check_batch_size(32, make_mesh(4), microbatches=0)
    check_batch_size(36, make_mesh(4), microbatches=3)
