"""Every loss of a batch over the explicit axes of a mesh, as `jax.make_mesh` makes them, is that of the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from public_calls import LOSSES, in_one_number

from ssl_jax.losses import ntxent
from ssl_jax.ops.explicit_axes import on_explicit_axes

MESH = jax.make_mesh(
    (2, 2), ("data", "model"), axis_types=(AxisType.Explicit, AxisType.Auto), devices=jax.devices()[:4]
)


def spread(shaped):
    """The array, its axes of examples cut over the devices."""
    axes = shaped.axes.replace("...", "").replace("?", "").split()
    return jax.device_put(
        shaped.array, NamedSharding(MESH, PartitionSpec(*("data" if axis == "B" else None for axis in axes)))
    )


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "agreeing_clips"])  # Indices, of two whole banks.
def test_a_loss_over_explicit_axes_is_that_of_the_whole_batch(name):
    call = LOSSES[name]
    rest = {argument: shaped.array for argument, shaped in call.shaped.items() if argument not in call.floats}
    options = {"log_partition": 0.5} if name == "nce" else {}

    def number(floats, rest):
        return in_one_number(call.function(**floats, **rest, **call.objects, **options))

    both = jax.jit(jax.value_and_grad(number))
    whole = both({argument: shaped.array for argument, shaped in call.floats.items()}, rest)
    with jax.set_mesh(MESH):
        cut = {argument: spread(shaped) for argument, shaped in call.shaped.items()}
        floats = {argument: cut.pop(argument) for argument in call.floats}
        value, gradients = both(floats, cut)
    for found, array in zip(jax.tree.leaves(gradients), jax.tree.leaves(floats), strict=True):
        assert found.sharding.spec == array.sharding.spec
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), (value, gradients), whole)


@pytest.mark.slow
def test_what_is_not_decorated_refuses_them():
    """So that the test above tests the decorator."""
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    with jax.set_mesh(MESH):
        cut = jax.device_put(rows, NamedSharding(MESH, PartitionSpec("data")))
        with pytest.raises(Exception, match="illegally sharded"):
            ntxent.__wrapped__(cut, cut)
        assert ntxent(cut, cut).sharding.is_fully_replicated
        product = on_explicit_axes(lambda first, *, second: jnp.vdot(first, second))
        np.testing.assert_allclose(product(cut, second=cut), (rows**2).sum(), rtol=1e-5)
