"""Unit length and standardising against numpy in float64, at rows without direction and columns without spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.normalize import layer_norm, norm_of, standardize, unit_length

ROWS = jax.random.normal(jax.random.key(0), (8, 3)) * jnp.array([[1.0, 10.0, 0.1]]) + jnp.array([[0.0, 5.0, -1.0]])
WEIGHTS = jax.random.normal(jax.random.key(1), (8, 3))


def unit_length_64(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def standardize_64(rows):
    return (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)


@pytest.mark.parametrize(("function", "reference"), [(unit_length, unit_length_64), (standardize, standardize_64)])
def test_value_and_gradient_are_those_of_the_definition(function, reference):
    value, gradient = jax.jit(
        lambda rows: (function(rows), jax.grad(lambda rows: jnp.sum(WEIGHTS * function(rows)))(rows))
    )(ROWS)
    np.testing.assert_allclose(value, reference(np.asarray(ROWS, np.float64)), rtol=1e-5, atol=1e-6)
    expected = numerical_gradient(lambda rows: np.sum(np.asarray(WEIGHTS) * reference(rows)), [ROWS], 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [0.0, 1e-39])
def test_a_row_without_direction_is_zero_and_so_is_its_gradient(length):
    rows = jnp.array([[length, 0.0], [3.0, 4.0]])
    gradient = jax.grad(lambda rows: unit_length(rows).sum())(rows)
    np.testing.assert_allclose(unit_length(rows), [[0, 0], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_array_equal(gradient[0], 0)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("size", [1e-33, 1e-20, 1e-11, 4e12, 1e20, 1e33])
def test_short_and_long_rows_have_a_direction_and_its_gradient(size):
    """Squares of float32 vanish below 1e-19 and overflow above 1.8e19; the squares of those are in the gradient."""
    unit = ROWS / jnp.abs(ROWS).max(axis=1, keepdims=True)  # so that no entry is below the smallest normal number
    gradient = jax.grad(lambda rows: jnp.sum(WEIGHTS * unit_length(rows)))
    np.testing.assert_allclose(unit_length(unit * size), unit_length(unit), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(unit * size) * size, gradient(unit), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_short_and_long_rows_in_half_precision(dtype):
    rows = jnp.asarray([[3e-7, 4e-7], [3e4, 4e4]], dtype)
    exact = np.asarray(rows, np.float64)
    np.testing.assert_allclose(unit_length(rows), exact / np.linalg.norm(exact, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_does_not_become_a_direction(broken):
    assert not np.isfinite(unit_length(jnp.array([[broken, 1.0]]))).all()


def test_in_float64_rows_may_be_longer_than_float32_holds():
    with jax.enable_x64(True):
        rows = np.array([[3e200, 4e200], [3e-200, 4e-200]])
        np.testing.assert_allclose(unit_length(rows), [[0.6, 0.8]] * 2, rtol=1e-6)


def test_layer_norm_is_its_definition():
    rows = np.random.default_rng(0).normal(3, 2, (2, 5, 8)).astype(np.float32)
    wide = rows.astype(np.float64)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    expected = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 0.1)
    np.testing.assert_allclose(layer_norm(rows, epsilon=0.1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e10, 1e20, 1e30])
@pytest.mark.parametrize("function", [standardize, layer_norm])
def test_squares_of_large_numbers_do_not_overflow(function, size):
    """Both add 1e-5 to a variance that it cannot change."""
    rows = ROWS * 1e3
    gradient = jax.grad(lambda rows: jnp.sum(WEIGHTS * function(rows)))
    np.testing.assert_allclose(function(rows * size), function(rows), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient(rows * size) * size, gradient(rows), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("function", [standardize, layer_norm])
def test_a_large_constant_is_zero_with_a_finite_gradient(function):
    rows = jnp.full((8, 4), 1e20)
    np.testing.assert_array_equal(function(rows), 0)
    assert jnp.isfinite(jax.grad(lambda rows: function(rows)[0, 0])(rows)).all()


def test_a_constant_column_is_zero_with_a_finite_gradient():
    rows = ROWS.at[:, 1].set(7.0)
    gradient = jax.grad(lambda rows: jnp.sum(WEIGHTS * standardize(rows)))(rows)
    np.testing.assert_array_equal(standardize(rows)[:, 1], 0)
    assert jnp.isfinite(gradient).all()


def test_far_from_the_origin_the_variance_does_not_cancel():
    rows = jnp.array([[1000.0], [1001.0], [1002.0]])
    np.testing.assert_allclose(standardize(rows), (rows - 1001) / np.sqrt(2 / 3), rtol=1e-4)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_standardising_goes_over_all_shards(way, shards):
    def total(rows, weights, *, axis_name=None):
        return mean_over_shards(jnp.mean(weights * standardize(rows, axis_name=axis_name)), axis_name)

    assert_same_in_pieces(total, way, shards, (ROWS, WEIGHTS), cut=(0, 0))


@pytest.mark.parametrize("function", [unit_length, standardize])
def test_half_precision_comes_back_in_float32(function):
    rows = ROWS.astype(jnp.bfloat16)
    assert function(rows).dtype == jnp.float32
    np.testing.assert_allclose(function(rows), function(rows.astype(jnp.float32)))


@pytest.mark.parametrize("shape", [(3,), (0, 3)])
def test_standardize_wants_a_matrix(shape):
    with pytest.raises(ValueError, match=r"standardize: rows must be \[B, D\] with at least one row, got \("):
        standardize(jnp.ones(shape))


@pytest.mark.parametrize("size", [1.0, 1e30, 1e-30])
def test_the_norm_of_a_tree_is_that_of_all_its_numbers_at_any_scale(size):
    """The squares of 1e20 and 1e-30 are no float32."""
    tree = {"kernel": size * jnp.array([[3.0, 0.0], [0.0, 4.0]]), "bias": jnp.array([size * 12]), "none": jnp.zeros(0)}
    np.testing.assert_allclose(jax.jit(norm_of)(tree), 13 * size, rtol=1e-6)
    np.testing.assert_allclose(norm_of(tree["kernel"]), 5 * size, rtol=1e-6)


@pytest.mark.parametrize("number", [0.0, np.inf, np.nan])
def test_the_norm_of_nothing_is_zero_and_that_of_what_is_not_finite_is_not(number):
    np.testing.assert_array_equal(norm_of([jnp.array([number]), jnp.array([number / 2, 0.0])]), number)
