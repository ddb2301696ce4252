import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec
from toy import IMAGES, OPTIMIZER, augment

from ssl_jax.errors import UsageError
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head, vit
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import batch_sharding, check_batch_size, make_mesh, state_shardings
from ssl_jax.train.program import make_program


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


@pytest.mark.slow
def test_steps_with_the_state_over_data_and_model_are_those_of_one_device(monkeypatch):
    monkeypatch.setattr("ssl_jax.train.mesh.SMALLEST_SHARDED_LEAF", 64)
    encoder = vit(image_size=8, patch_size=4, dim=16, depth=2, heads=2, channels=1)
    method = SimCLR(encoder, projection_head(inputs=16, widths=(8,)), temperature=0.5)

    def trained(mesh, execution):
        program = make_program(method, augment, OPTIMIZER, seed=0, mesh=mesh, execution=execution)
        index = np.arange(16, dtype=np.int32)
        batch = jax.device_put({"image": IMAGES[:16], "label": index, "index": index}, batch_sharding(mesh))
        state, losses = program.init(), []
        for _ in range(2):
            state, metrics = program.step(state, batch)
            losses.append(metrics["loss"])
        held = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
        return jax.device_get((losses, state.params)), held

    both = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    (found, held), (expected, whole) = trained(both, Execution(shard_parameters=True)), trained(make_mesh(1), PLAIN)
    assert held < whole / 5  # Biases and gains are on every device.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected)
