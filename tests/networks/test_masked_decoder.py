"""The decoder of MAE and predictor of I-JEPA: what it predicts depends on positions, not on the order of its inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.networks.masked_decoder import masked_decoder

RANDOM = np.random.default_rng(0)
VISIBLE, HIDDEN = jnp.array([[0, 5, 7], [15, 2, 3]]), jnp.array([[1, 2], [8, 9]])
NET = masked_decoder(inputs=8, outputs=5, grid=4, dim=8, depth=1, heads=2)


def apply(net, *inputs):
    params, stats = net.init(jax.random.key(0))
    return jax.jit(lambda *inputs: net.apply(params, stats, *inputs, train=False)[0])(*inputs)


@pytest.mark.slow
def test_each_prediction_depends_on_its_position():
    tokens = jnp.asarray(RANDOM.normal(size=(2, 3, 8)), jnp.float32)
    predicted = apply(NET, tokens, VISIBLE, HIDDEN)
    assert predicted.shape == (2, 2, 5) and predicted.dtype == jnp.float32
    np.testing.assert_allclose(apply(NET, tokens, VISIBLE, HIDDEN[:, ::-1]), predicted[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(apply(NET, tokens[:, ::-1], VISIBLE[:, ::-1], HIDDEN), predicted, atol=1e-5)
    moved = apply(NET, tokens, VISIBLE[:, ::-1], HIDDEN)
    assert (jnp.abs(moved - predicted) > 1e-4).any()


def test_a_class_token_has_no_position():
    tokens = jnp.asarray(RANDOM.normal(size=(2, 4, 8)), jnp.float32)
    assert apply(NET, tokens, VISIBLE, HIDDEN).shape == (2, 2, 5)


def test_sizes_that_do_not_divide_are_named():
    with pytest.raises(UsageError, match="masked_decoder: dim 6 must be a multiple of heads"):
        masked_decoder(inputs=8, outputs=5, grid=4, dim=6, depth=1, heads=4)
