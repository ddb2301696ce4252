"""Gauges against their definitions in float64, at known values, and at the collapse they are made to show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.evaluate.diagnostics import alignment, diagnostics, effective_rank, eigenvalue_decay, uniformity

GAUSSIAN = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
DECAYING = GAUSSIAN * np.exp(-0.3 * np.arange(16, dtype=np.float32))
EQUAL = np.tile(GAUSSIAN[:1], (64, 1))
ZERO = np.zeros_like(GAUSSIAN)


def unit_64(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def rank_64(rows):
    share = np.linalg.svd(np.asarray(rows, np.float64), compute_uv=False)
    share = share / share.sum()
    return np.exp(-np.sum(share * np.log(share)))


def decay_64(rows, first, last):
    """NumPy's weighted line through the logarithms of its eigenvalues of the covariance."""
    values = np.linalg.eigvalsh(np.cov(np.asarray(rows, np.float64), rowvar=False, bias=True))[::-1]
    ranks = np.arange(first, last + 1)
    return -np.polyfit(np.log(ranks), np.log(values[first - 1 : last]), 1, w=ranks**-0.5)[0]


def uniformity_64(rows, t):
    rows = unit_64(rows)
    pairs = [np.exp(-t * np.sum((rows[i] - rows[j]) ** 2)) for i in range(len(rows)) for j in range(i)]
    return np.log(np.mean(pairs))


@pytest.mark.parametrize(
    "rows", [GAUSSIAN, DECAYING, DECAYING[:8], 1e30 * DECAYING], ids=["even", "down", "wide", "huge"]
)
def test_rank_is_rankme(rows):
    np.testing.assert_allclose(effective_rank(jnp.asarray(rows)), rank_64(rows), rtol=2e-3)


@pytest.mark.parametrize("least", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("shape", [(256, 32), (32, 256), (32, 32)])
def test_rank_near_a_collapse_counts_small_singular_values(shape, least):
    """Squared, as a Gram matrix has them, those below 1/1400 of the largest are less than float32's resolution."""
    rng = np.random.default_rng(0)
    size = min(shape)
    left, right = (np.linalg.qr(rng.normal(size=(side, size)))[0] for side in shape)
    singular = np.r_[1.0, np.full(size - 1, least)]
    rows = ((left * singular) @ right.T).astype(np.float32)
    np.testing.assert_allclose(jax.jit(effective_rank)(jnp.asarray(rows)), rank_64(rows), rtol=1e-4)


@pytest.mark.parametrize(("first", "last", "begun"), [(6, 50, 6), (2, 9, 2), (20, 50, 8)])
def test_decay_is_the_weighted_line(first, last, begun):
    """Of 16 dimensions; a range that begins after them begins at half of them."""
    for rows in (DECAYING, GAUSSIAN, 1e20 * DECAYING):
        found = jax.jit(lambda rows: eigenvalue_decay(rows, first=first, last=last))(rows)
        np.testing.assert_allclose(found, decay_64(rows.astype(np.float64), begun, min(last, 16)), rtol=1e-3)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_decay_is_the_exponent_of_a_power_law(exponent):
    rows = np.eye(64, dtype=np.float32) * np.arange(1, 65)[:, None] ** np.float32(-exponent / 2)
    np.testing.assert_allclose(eigenvalue_decay(jnp.concatenate([rows, -rows])), exponent, rtol=1e-4)


@pytest.mark.slow
def test_decay_of_few_dimensions_and_at_collapse_is_finite():
    for shape in ((8, 1), (2, 8), (3, 3), (8, 4), (64, 7)):
        rows = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        assert np.isfinite(eigenvalue_decay(jnp.asarray(rows))), shape
    assert eigenvalue_decay(jnp.ones((8, 1))) == 0
    assert all(np.isfinite(eigenvalue_decay(jnp.asarray(rows))) for rows in (EQUAL, ZERO))
    with pytest.raises(ValueError, match="1 <= first < last, got 5 and 5"):
        eigenvalue_decay(jnp.ones((8, 4)), first=5, last=5)


@pytest.mark.slow
def test_uniformity_near_a_collapse_is_the_definition():
    rows = (np.ones((16, 8)) + 1e-4 * np.random.default_rng(0).normal(size=(16, 8))).astype(np.float32)
    np.testing.assert_allclose(uniformity(jnp.asarray(rows)), uniformity_64(rows, 2.0), atol=2e-7)


@pytest.mark.parametrize("size", [1e-30, 1e20])
def test_gauges_do_not_depend_on_the_scale(size):
    gauges, expected = (diagnostics(jnp.asarray(rows)) for rows in (DECAYING * np.float32(size), DECAYING))
    for name, value in expected.items():
        np.testing.assert_allclose(gauges[name], value, rtol=1e-4)


def test_std_is_the_definition():
    expected = unit_64(DECAYING).std(axis=0).mean() * np.sqrt(16)
    np.testing.assert_allclose(diagnostics(jnp.asarray(DECAYING))["std"], expected, rtol=1e-5)


@pytest.mark.parametrize("t", [2.0, 5.0])
def test_uniformity_is_the_definition(t):
    np.testing.assert_allclose(uniformity(jnp.asarray(DECAYING), t=t), uniformity_64(DECAYING, t), rtol=1e-4)


def test_alignment_is_the_definition():
    expected = np.mean(np.sum((unit_64(GAUSSIAN) - unit_64(DECAYING)) ** 2, axis=1))
    np.testing.assert_allclose(alignment(jnp.asarray(GAUSSIAN), jnp.asarray(DECAYING)), expected, rtol=1e-5)


@pytest.mark.parametrize("rows", [EQUAL, ZERO], ids=["equal", "zero"])
def test_collapse_is_shown(rows):
    gauges = diagnostics(jnp.asarray(rows))
    np.testing.assert_allclose(gauges["std"], 0, atol=1e-5)
    np.testing.assert_allclose(gauges["effective_rank"], 1, atol=0.02)
    np.testing.assert_allclose(uniformity(jnp.asarray(rows)), 0, atol=1e-5)
    np.testing.assert_allclose(alignment(jnp.asarray(rows), jnp.asarray(rows)), 0, atol=1e-6)


def test_rounding_does_not_pass_for_rank():
    wide = np.tile(np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32), (256, 1))
    np.testing.assert_allclose(effective_rank(jnp.asarray(wide)), 1, atol=0.03)


@pytest.mark.slow
def test_known_values():
    np.testing.assert_allclose(effective_rank(jnp.eye(16)), 16, rtol=1e-5)
    np.testing.assert_allclose(alignment(jnp.asarray(GAUSSIAN), jnp.asarray(-GAUSSIAN)), 4, rtol=1e-5)
    rows = jax.random.normal(jax.random.key(0), (512, 256))
    np.testing.assert_allclose(diagnostics(rows)["std"], 1, atol=0.01)
    np.testing.assert_allclose(uniformity(rows), 2 * 2**2 / 256 - 2 * 2, atol=0.01)


def test_under_jit_over_devices_and_in_half_precision():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.device_put(GAUSSIAN.astype(jnp.bfloat16), NamedSharding(mesh, PartitionSpec("data")))
    found = jax.jit(lambda rows: {**diagnostics(rows), "uniformity": uniformity(rows)})(rows)
    for name, expected in {"effective_rank": rank_64(GAUSSIAN), "uniformity": uniformity_64(GAUSSIAN, 2.0)}.items():
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name], expected, rtol=0.01)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 0)])
def test_wrong_shapes_are_one_sentence(shape):
    for function in (diagnostics, uniformity):
        with pytest.raises(ValueError, match=rf"{function.__name__}: embeddings must be \[B, D\]"):
            function(jnp.ones(shape))


def test_alignment_wants_two_of_a_shape():
    with pytest.raises(ValueError, match=r"one shape, not empty, got \(2, 3\) and \(2, 4\)"):
        alignment(jnp.ones((2, 3)), jnp.ones((2, 4)))
