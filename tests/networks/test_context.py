"""CPC's context: which rows of the grid each of its positions depends on."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.networks.context import row_context


def test_context_depends_on_the_rows_above_and_on_none_below():
    net = row_context(inputs=3, width=4, depth=2)
    params, stats = net.init(jax.random.key(0))
    run = jax.jit(lambda grid: net.apply(params, stats, grid, train=False)[0])
    grid = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 5, 3)), jnp.float32)
    changed = run(grid.at[0, 3, 2].add(1.0)) - run(grid)
    rows = np.asarray(jnp.abs(changed) > 1e-6).any(axis=(0, 2, 3))
    np.testing.assert_array_equal(rows, [False, False, False, True, True, True])
