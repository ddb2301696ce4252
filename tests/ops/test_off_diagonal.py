"""Squared correlations beside the diagonal: which of the two forms is computed, and that they agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops import off_diagonal
from ssl_jax.ops.off_diagonal import off_diagonal_squares

SHAPE = (8, 40)


def centred(seed, *, few=False):
    """Centred rows; with `few` a dimension has nearly all of the variance."""
    rows = np.random.default_rng(seed).normal(size=SHAPE) * np.where(np.arange(SHAPE[1]) == 0, 1e3 if few else 1, 1)
    return jnp.asarray(rows - rows.mean(axis=0), jnp.float32)


def by_definition(first, second):
    correlation = np.asarray(first, np.float64).T @ np.asarray(second, np.float64) / len(first)
    return np.sum((correlation - np.diag(np.diag(correlation))) ** 2)


@pytest.mark.parametrize("few", [False, True])
def test_gram_matrices_where_float32_resolves_them_and_blocks_elsewhere(monkeypatch, few):
    first, second = centred(0, few=few), centred(0, few=few) + 0.3 * centred(1)
    np.testing.assert_allclose(off_diagonal_squares(first, second, None), by_definition(first, second), rtol=1e-5)
    monkeypatch.setattr(off_diagonal, "_in_blocks", lambda first, *_: first.sum() * jnp.nan)
    assert jnp.isnan(off_diagonal_squares(first, second, None)) == few


def test_views_that_do_not_correlate_are_not_left_to_gram_matrices(monkeypatch):
    """All rows of a view are one vector and its negative: the Gram matrices are large, and their product is nothing."""
    one, other = (
        jnp.outer(jnp.asarray(signs, jnp.float32), jnp.ones(40)) for signs in ([1, -1] * 4, [1, 1, -1, -1] * 2)
    )
    other = other + 0.03 * centred(2)
    expected = by_definition(one, other)
    np.testing.assert_allclose(off_diagonal_squares(one, other, None), expected, rtol=1e-4)
    monkeypatch.setattr(off_diagonal, "_in_blocks", lambda first, *_: first.sum() * jnp.nan)
    assert jnp.isnan(off_diagonal_squares(one, other, None))


def test_the_gradients_of_the_two_forms_agree(monkeypatch):
    pair = centred(0), centred(0) + 0.3 * centred(1)
    by_gram = jax.grad(off_diagonal_squares, argnums=(0, 1))(*pair, None)
    monkeypatch.setattr(off_diagonal, "LEAST_COSINE", 2.0)
    for one, other in zip(by_gram, jax.grad(off_diagonal_squares, argnums=(0, 1))(*pair, None), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
