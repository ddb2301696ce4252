"""The networks of MAE, I-JEPA and CPC: who sees what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.networks import vit
from ssl_jax.networks.context import row_context
from ssl_jax.networks.predictor import predictor

RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.normal(size=(2, 12, 12, 1)), jnp.float32)
SEEN, WANTED = jnp.array([[0, 5, 7], [15, 2, 3]]), jnp.array([[1, 2], [8, 9]])
NET = predictor(inputs=8, outputs=5, grid=4, dim=8, depth=1, heads=2)


def apply(net, *inputs):
    params, stats = net.init(jax.random.key(0))
    return jax.jit(lambda *inputs: net.apply(params, stats, *inputs, train=False)[0])(*inputs)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_a_vit_that_sees_all_patches_is_the_vit(pool):
    net = vit(image_size=12, patch_size=3, dim=8, depth=2, heads=2, channels=1, pool=pool)
    every = jnp.broadcast_to(jnp.arange(16)[None], (2, 16))
    whole, seen = apply(net, IMAGES), apply(net, IMAGES, every)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), whole, seen)
    shuffled = apply(net, IMAGES, every[:, ::-1])
    np.testing.assert_allclose(shuffled["features"], whole["features"], atol=1e-5)


def test_a_vit_sees_only_the_patches_that_it_is_shown():
    net = vit(image_size=12, patch_size=3, dim=8, depth=2, heads=2, channels=1)
    layers = apply(net, IMAGES, SEEN)
    assert layers["tokens"].shape == (2, 4, 8)
    hidden = IMAGES.at[0, 0:3, 3:6].set(9.0)  # patch 1 of the first image
    jax.tree.map(np.testing.assert_array_equal, layers, apply(net, hidden, SEEN))
    shown = IMAGES.at[0, 3:6, 3:6].set(9.0)  # patch 5
    assert (layers["features"][0] != apply(net, shown, SEEN)["features"][0]).any()


def test_the_predictor_answers_for_each_place_by_where_it_is():
    tokens = jnp.asarray(RANDOM.normal(size=(2, 3, 8)), jnp.float32)
    told = apply(NET, tokens, SEEN, WANTED)
    assert told.shape == (2, 2, 5) and told.dtype == jnp.float32
    np.testing.assert_allclose(apply(NET, tokens, SEEN, WANTED[:, ::-1]), told[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(apply(NET, tokens[:, ::-1], SEEN[:, ::-1], WANTED), told, atol=1e-5)
    assert (jnp.abs(apply(NET, tokens, SEEN[:, ::-1], WANTED) - told) > 1e-4).any()  # tokens in other places


def test_a_class_token_has_no_place():
    tokens = jnp.asarray(RANDOM.normal(size=(2, 4, 8)), jnp.float32)
    assert apply(NET, tokens, SEEN, WANTED).shape == (2, 2, 5)
    with pytest.raises(UsageError, match="dim 6 must be a multiple of heads"):
        predictor(inputs=8, outputs=5, grid=4, dim=6, depth=1, heads=4)


def test_context_knows_the_rows_above_and_none_below():
    net = row_context(inputs=3, width=4, depth=2)
    grid = jnp.asarray(RANDOM.normal(size=(1, 6, 5, 3)), jnp.float32)
    changed = apply(net, grid.at[0, 3, 2].add(1.0)) - apply(net, grid)
    rows = np.asarray(jnp.abs(changed) > 1e-6).any(axis=(0, 2, 3))
    np.testing.assert_array_equal(rows, [False, False, False, True, True, True])
