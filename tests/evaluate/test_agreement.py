"""Gauges that compare, against their definitions in float64, at known values, and where a guard is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.evaluate import cross_correlation, memory_cosine, teacher_distance

RNG = np.random.default_rng(0)
FIRST = (RNG.normal(size=(64, 12)) @ RNG.normal(size=(12, 12)) + 3).astype(np.float32)
SECOND = (FIRST + RNG.normal(size=FIRST.shape)).astype(np.float32)


def correlation_64(first, second):
    """NumPy's, of all columns of both: the block of the first's rows and the second's columns."""
    dims = first.shape[1]
    both = np.corrcoef(first.astype(np.float64), second.astype(np.float64), rowvar=False)[:dims, dims:]
    off = both[~np.eye(dims, dtype=bool)]
    return np.diag(both).mean(), np.sqrt(np.mean(off**2))


@pytest.mark.parametrize("rows", [64, 12, 6], ids=["tall", "square", "wide"])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_correlation_is_that_of_numpy(rows, scale):
    first, second = FIRST[:rows] * np.float32(scale), SECOND[:rows] * np.float32(scale)
    found = jax.jit(cross_correlation)(jnp.asarray(first), jnp.asarray(second))
    np.testing.assert_allclose(found, correlation_64(first, second), rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_redundant_dimensions_are_seen_where_the_spread_is_not():
    rows = jnp.asarray(RNG.normal(size=(256, 8)).astype(np.float32))
    plain, repeated = cross_correlation(rows, rows), cross_correlation(jnp.tile(rows, (1, 4)), jnp.tile(rows, (1, 4)))
    assert plain.off_diagonal < 2 / 256**0.5
    np.testing.assert_allclose(repeated.off_diagonal, np.sqrt(3 / 31), rtol=0.1)  # Of 31 others, 3 are copies.


@pytest.mark.slow
def test_constant_columns_correlate_with_nothing():
    constant = jnp.full((16, 4), 0.1)  # Not a binary fraction: its mean is rounded.
    assert list(map(float, cross_correlation(constant, constant))) == [0, 0]
    found = cross_correlation(jnp.asarray(FIRST), jnp.asarray(np.random.default_rng(9).permutation(FIRST)))
    assert abs(found.diagonal) < 0.2


def cosines_64(first, second):
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second))
    return np.sum(first * second, axis=1, dtype=np.float64)


@pytest.mark.slow
def test_memory_cosine_is_the_mean_of_each_age():
    ages = RNG.integers(0, 30, len(FIRST)).astype(np.int32)
    expected = cosines_64(FIRST.astype(np.float64), SECOND.astype(np.float64))
    found = jax.jit(lambda *arrays: memory_cosine(*arrays[:2], ages=arrays[2], edges=(2, 5, 20, 90)))(
        FIRST, SECOND, ages
    )
    parts = [(2, 5), (5, 20), (20, 90)]
    np.testing.assert_allclose(
        found[:3], [expected[(low <= ages) & (ages < high)].mean() for low, high in parts], rtol=1e-5
    )
    assert np.isnan(found[3])
    np.testing.assert_allclose(memory_cosine(FIRST, SECOND), [expected.mean()], rtol=1e-5)
    np.testing.assert_allclose(memory_cosine(FIRST, 3 * FIRST), [1], rtol=1e-6)


def test_teacher_distance_is_relative():
    student = {"a": FIRST, "b": [SECOND]}
    teacher = {"a": FIRST + np.float32(1), "b": [2 * SECOND]}
    size = np.sqrt(sum(np.sum(each.astype(np.float64) ** 2) for each in (FIRST, SECOND)))
    expected = np.sqrt(FIRST.size + np.sum(SECOND.astype(np.float64) ** 2)) / size
    as_arrays = [jax.tree.map(jnp.asarray, tree) for tree in (student, teacher)]
    np.testing.assert_allclose(teacher_distance(*as_arrays), expected, rtol=1e-5)
    assert teacher_distance(as_arrays[0], as_arrays[0]) == 0
    unrelated = [jnp.asarray(RNG.normal(size=9999), jnp.float32) for _ in range(2)]
    np.testing.assert_allclose(teacher_distance(*unrelated), 2**0.5, rtol=0.02)
    assert teacher_distance({"a": jnp.zeros(3)}, {"a": jnp.zeros(3)}) == 0


def test_wrong_arguments_are_one_sentence():
    rows = jnp.ones((4, 3))
    for call, sentence in {
        lambda: cross_correlation(rows, rows[:, :2]): r"of one shape, not empty, got \(4, 3\) and \(4, 2\)",
        lambda: cross_correlation(rows[:1], rows[:1]): "at least two rows",
        lambda: memory_cosine(rows, rows[:2]): r"stored and fresh must be \[B, D\] of one shape",
        lambda: memory_cosine(rows, rows, ages=jnp.arange(3)): "ages must be one for each of 4 rows",
        lambda: memory_cosine(rows, rows, ages=jnp.ones(4)): "ages must be integers",
        lambda: memory_cosine(rows, rows, edges=(3, 1)): r"edges must rise, got \(3, 1\)",
        lambda: teacher_distance({"a": rows}, {"b": rows}): "student and teacher must have one structure",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            call()
