import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops.normalize import standardize, unit_length

ROWS = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32) * 3 + 1


def test_unit_length_is_its_definition():
    np.testing.assert_allclose(unit_length(ROWS), ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_everything_comes_out_in_float32(dtype):
    assert unit_length(jnp.asarray(ROWS, dtype)).dtype == standardize(jnp.asarray(ROWS, dtype)).dtype == jnp.float32


def test_a_zero_row_stays_zero_with_gradient_zero():
    value, gradient = jax.value_and_grad(lambda rows: unit_length(rows).sum())(jnp.zeros((2, 3)))
    assert float(value) == 0 and not np.asarray(gradient).any()


def test_tiny_and_huge_rows_have_a_direction():
    np.testing.assert_allclose(unit_length(jnp.float32([[3e-8, 4e-8], [3e15, 4e15]])), [[0.6, 0.8]] * 2, rtol=1e-5)


def test_standardize_is_its_definition():
    expected = (ROWS - ROWS.mean(axis=0)) / np.sqrt(ROWS.var(axis=0) + 1e-5)
    np.testing.assert_allclose(standardize(ROWS), expected, rtol=1e-4, atol=1e-5)
    assert not np.asarray(standardize(jnp.ones((4, 2)))).any()


def test_standardize_goes_over_all_shards():
    shards = ROWS.reshape(4, 2, 5)
    over_shards = jax.vmap(lambda rows: standardize(rows, axis_name="data"), axis_name="data")(shards)
    np.testing.assert_allclose(over_shards.reshape(8, 5), standardize(ROWS), rtol=1e-5, atol=1e-6)
