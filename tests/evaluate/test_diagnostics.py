import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.evaluate.diagnostics import alignment, diagnostics, effective_rank, relative_std, uniformity

ROWS = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
OTHER = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)


def unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:3]], ids=["tall", "wide"])
def test_effective_rank_is_rankme(rows):
    singular = np.linalg.svd(unit(rows), compute_uv=False)
    share = singular / singular.sum()
    np.testing.assert_allclose(effective_rank(rows), np.exp(-np.sum(share * np.log(share))), rtol=1e-5)


def test_relative_std_is_its_definition():
    np.testing.assert_allclose(relative_std(ROWS), unit(ROWS).std(axis=0).mean() * np.sqrt(5), rtol=1e-5)


def test_alignment_and_uniformity_are_their_definitions():
    first, second = unit(ROWS), unit(OTHER)
    np.testing.assert_allclose(alignment(ROWS, OTHER), ((first - second) ** 2).sum(axis=1).mean(), rtol=1e-5)
    pairs = [np.exp(-2 * ((first[i] - first[j]) ** 2).sum()) for i in range(12) for j in range(i)]
    np.testing.assert_allclose(uniformity(ROWS), np.log(np.mean(pairs)), rtol=1e-5)


@pytest.mark.parametrize("rows", [np.ones((8, 4)), np.zeros((8, 4))], ids=["identical", "zero"])
def test_collapse_shows(rows):
    gauges = diagnostics(jnp.float32(rows))
    assert float(gauges["std"]) == pytest.approx(0, abs=1e-6) and float(gauges["effective_rank"]) == pytest.approx(
        1, abs=0.02
    )
    assert float(uniformity(jnp.float32(rows))) == pytest.approx(0, abs=1e-6)


def test_orthogonal_embeddings_have_full_rank_and_gaussian_ones_unit_std():
    assert float(effective_rank(jnp.eye(6))) == pytest.approx(6, rel=1e-5)
    gaussian = jax.random.normal(jax.random.key(0), (4096, 16))
    assert float(relative_std(gaussian)) == pytest.approx(1, abs=0.02)
    assert float(alignment(ROWS, ROWS)) == 0 and float(alignment(ROWS, -ROWS)) == pytest.approx(4)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"embeddings must be \[B, D\] with at least two rows, got \(1, 5\)"):
        diagnostics(ROWS[:1])
    with pytest.raises(ValueError, match=r"first and second must have one shape, got \(12, 5\) and \(3, 5\)"):
        alignment(ROWS, OTHER[:3])
