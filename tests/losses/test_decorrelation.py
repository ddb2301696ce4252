"""Barlow Twins and VICReg against their definitions in numpy, over shards, and with nothing to correlate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.decorrelation import (
    barlow_twins,
    covariance_term,
    invariance_term,
    lejepa_prediction,
    sigreg,
    variance_term,
    vicreg,
)

FEW_DIMENSIONS, MANY_DIMENSIONS = (8, 3), (8, 20)  # the correlation [D, D], or the Gram matrix [N, N]
run = {barlow_twins: jax.jit(barlow_twins), vicreg: jax.jit(vicreg)}


def views(shape, seed=0):
    """Two views that agree in part; dimensions of different scale and place; examples drift, so that shards differ."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(-2, 2, shape[0])[:, None]
    scale = np.linspace(0.2, 1.2, shape[1])[None]  # some deviations below 1, where VICReg's hinge is open
    first = (rng.standard_normal(shape) + drift) * scale + 1
    second = first + 0.3 * scale * rng.standard_normal(shape)
    return jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32)


def numpy_barlow(first, second, weight=5e-3):
    first, second = (np.asarray(rows, np.float64) for rows in (first, second))
    first = (first - first.mean(axis=0)) / first.std(axis=0)
    second = (second - second.mean(axis=0)) / second.std(axis=0)
    loss = 0.0
    for i in range(first.shape[1]):
        for j in range(first.shape[1]):
            correlation = np.mean(first[:, i] * second[:, j])
            loss += (1 - correlation) ** 2 if i == j else weight * correlation**2
    return loss


def numpy_vicreg(first, second):
    first, second = (np.asarray(rows, np.float64) for rows in (first, second))
    loss = 25 * np.mean((first - second) ** 2)
    for rows in (first, second):
        loss += 25 * np.mean(np.maximum(0, 1 - np.sqrt(rows.var(axis=0, ddof=1) + 1e-4))) / 2
        covariance = np.cov(rows.T)
        loss += np.sum((covariance - np.diag(np.diag(covariance))) ** 2) / rows.shape[1]
    return loss


DEFINITIONS = ((barlow_twins, numpy_barlow), (vicreg, numpy_vicreg))
by_loss = pytest.mark.parametrize(("loss", "definition"), DEFINITIONS, ids=["barlow_twins", "vicreg"])
by_shape = pytest.mark.parametrize("shape", [FEW_DIMENSIONS, MANY_DIMENSIONS], ids=["D < N", "D > N"])


@by_loss
@by_shape
def test_value_and_gradient_are_those_of_the_definition(loss, definition, shape):
    pair = views(shape)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(*pair)
    np.testing.assert_allclose(value, definition(*pair), rtol=1e-4)
    for which, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, numerical_gradient(definition, pair, which), rtol=2e-3, atol=2e-4)


def test_weights_scale_their_terms():
    first, second = views(FEW_DIMENSIONS)
    assert barlow_twins(first, second, off_diagonal_weight=0.0) < barlow_twins(first, second)
    np.testing.assert_allclose(
        vicreg(first, second, invariance=2.0, variance=3.0, covariance=5.0),
        2 * invariance_term(first, second)
        + 3 * (variance_term(first) + variance_term(second)) / 2
        + 5 * (covariance_term(first) + covariance_term(second)),
        rtol=1e-6,
    )


@by_loss
@pytest.mark.parametrize(("way", "shards"), [("vmap", 1), *CASES])
def test_shards_give_the_loss_of_the_whole_batch(loss, definition, way, shards):
    assert_same_in_pieces(loss, way, shards, views(FEW_DIMENSIONS), cut=(0, 0), rtol=1e-4, atol=1e-5)


@by_loss
@pytest.mark.parametrize(("way", "shards"), [("vmap", 4), ("shard_map", 4)])
def test_shards_give_the_loss_of_the_whole_batch_by_gram_matrices(loss, definition, way, shards):
    assert_same_in_pieces(loss, way, shards, views(MANY_DIMENSIONS), cut=(0, 0), rtol=1e-4, atol=1e-5)


def test_standardising_each_shard_by_itself_is_another_loss():
    """What several published implementations do on several devices: local statistics, then a mean of correlations."""
    first, second = views((32, 3))
    shards = [[_standardised(part) for part in np.split(np.asarray(rows, np.float64), 4)] for rows in (first, second)]
    correlation = np.mean([one.T @ two / len(one) for one, two in zip(*shards, strict=True)], axis=0)
    off_diagonal = correlation - np.diag(np.diag(correlation))
    per_shard = np.sum((1 - np.diag(correlation)) ** 2) + 5e-3 * np.sum(off_diagonal**2)
    np.testing.assert_allclose(run[barlow_twins](first, second), numpy_barlow(first, second), rtol=1e-3)
    assert abs(per_shard - numpy_barlow(first, second)) > numpy_barlow(first, second) / 2


def _standardised(rows):
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def test_perfect_views():
    """Columns of a Hadamard matrix do not correlate and have deviation 1: both losses are at their best."""
    two = np.array([[1, 1], [1, -1]])
    columns = jnp.asarray(np.kron(np.kron(two, two), two)[:, 1:5], jnp.float32)
    assert abs(float(run[barlow_twins](columns, columns))) < 1e-6
    assert abs(float(run[vicreg](columns, columns))) < 1e-6


def test_collapse_has_a_known_price():
    same = jnp.ones((6, 4))
    np.testing.assert_allclose(run[barlow_twins](same, same), 4, rtol=1e-5)
    np.testing.assert_allclose(run[vicreg](same, same), 25 * 0.99, rtol=1e-5)
    repeated = jnp.tile(views((8, 1))[0], (1, 5))
    np.testing.assert_allclose(run[barlow_twins](repeated, repeated), 5e-3 * 5 * 4, rtol=1e-3)


@by_loss
def test_symmetric_in_the_views_and_blind_to_the_order_of_examples(loss, definition):
    first, second = views((8, 4))
    order = jnp.array([3, 1, 7, 0, 2, 6, 5, 4])
    value = run[loss](first, second)
    np.testing.assert_allclose(run[loss](second, first), value, rtol=1e-5)
    np.testing.assert_allclose(run[loss](first[order], second[order]), value, rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.1, 100), shift=st.floats(-10, 10), seed=st.integers(0, 100))
def test_barlow_is_blind_to_scale_and_shift_of_a_dimension(scale, shift, seed):
    first, second = views((8, 4), seed)
    moved = first.at[:, 1].multiply(jnp.float32(scale)).at[:, 1].add(jnp.float32(shift))
    np.testing.assert_allclose(run[barlow_twins](moved, second), run[barlow_twins](first, second), rtol=2e-2, atol=1e-4)


@by_loss
@pytest.mark.parametrize("case", ["zeros", "identical rows", "huge", "bfloat16", "float16"])
def test_hard_input_gives_finite_values_and_gradients(loss, definition, case):
    pair = {
        "zeros": (jnp.zeros((4, 3)), jnp.zeros((4, 3))),
        "identical rows": (jnp.full((4, 3), 7.3), jnp.full((4, 3), -2.1)),
        "huge": tuple(rows * 1e6 for rows in views((4, 3))),
        "bfloat16": tuple(rows.astype(jnp.bfloat16) for rows in views((4, 3))),
        "float16": tuple(rows.astype(jnp.float16) for rows in views((4, 3))),
    }[case]
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(*pair)
    assert value.dtype == jnp.float32
    assert jnp.isfinite(value) and all(jnp.isfinite(gradient).all() for gradient in gradients)
    if "float16" in case:
        exact = definition(*(rows.astype(jnp.float32) for rows in pair))
        np.testing.assert_allclose(value, exact, rtol=1e-4)


@by_loss
@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ((4, 3), (4, 2), r"first and second must be \[B, D\] of one shape.*got \(4, 3\) and \(4, 2\)"),
        ((4,), (4,), r"got \(4,\) and \(4,\)"),
        ((0, 3), (0, 3), r"got \(0, 3\) and \(0, 3\)"),
        ((1, 3), (1, 3), "needs at least 2 examples in the whole batch.*got 1"),
    ],
)
def test_wrong_input_is_one_sentence(loss, definition, first, second, sentence):
    with pytest.raises(ValueError, match=f"{loss.__name__}: .*{sentence}"):
        loss(jnp.ones(first), jnp.ones(second))


def test_one_example_on_each_shard_is_enough():
    pair = views((4, 3))
    assert_same_in_pieces(barlow_twins, "vmap", 4, pair, cut=(0, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(17, 1), (17, 2), (4, 64), (8, 20)])
def test_redundancy_beside_one_large_dimension(shape):
    """Left out, not subtracted: the square of the large variance is 1e12 times those of the rest, and float32 holds 1e7."""
    rows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rows[:, 0] *= 1e3
    rows[:, 1:] *= 1e-3
    covariance = np.cov(rows.astype(np.float64).T, ddof=1).reshape(shape[1], shape[1])
    expected = np.sum((covariance - np.diag(np.diag(covariance))) ** 2) / shape[1]
    np.testing.assert_allclose(covariance_term(jnp.asarray(rows)), expected, rtol=1e-4)


def test_barlow_is_blind_to_a_scale_whose_square_overflows():
    first, second = views((8, 4))
    np.testing.assert_allclose(
        run[barlow_twins](first * 1e20, second * 1e30), run[barlow_twins](first, second), rtol=1e-3
    )


def test_the_matrix_of_many_dimensions_never_exists():
    """D = 2048 and N = 16: a [D, D] matrix would be 16 MiB; what the compiled gradient keeps is below 2."""
    shapes = [jax.ShapeDtypeStruct((16, 2048), jnp.float32)] * 2
    compiled = jax.jit(jax.grad(barlow_twins, argnums=(0, 1))).lower(*shapes).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 2 * 2**20


def numpy_isotropic_gaussian(axes, rows):
    """Algorithm 1 of the paper for one view: complex characteristic functions, the trapezoidal rule."""
    points = np.linspace(-5, 5, 17)
    expected = np.exp(-(points**2) / 2)
    found = np.exp(1j * (np.asarray(rows, np.float64) @ axes.T)[..., None] * points).mean(axis=0)  # [M, 17]
    return np.mean(np.trapezoid(np.abs(found - expected) ** 2 * expected, points, axis=1)) * len(rows)


def directions(rng, count, dim):
    axes = np.asarray(jax.random.normal(rng, (count, dim)), np.float64)
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def test_isotropic_gaussian_is_its_definition_and_so_is_its_gradient():
    rng, both = jax.random.key(3), jnp.stack(views((6, 3)))
    axes = directions(rng, 4, 3)

    def definition(both):
        return np.mean([numpy_isotropic_gaussian(axes, rows) for rows in both])

    value, gradient = jax.jit(jax.value_and_grad(lambda both: sigreg(rng, both, directions=4)))(both)
    np.testing.assert_allclose(value, definition(both), rtol=1e-5)
    expected = numerical_gradient(definition, (both,), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_isotropic_gaussian_of_normal_samples_and_of_a_collapse():
    normal = jax.random.normal(jax.random.key(0), (400, 32, 8))
    np.testing.assert_allclose(sigreg(jax.random.key(1), normal), 1.06, atol=0.06)
    np.testing.assert_allclose(sigreg(jax.random.key(1), 0 * normal), 0.41 * 32, rtol=0.01)
    stretched = normal * jnp.array([3.0] + 7 * [0.5])[None, None]
    assert sigreg(jax.random.key(1), stretched) > 1.6


def test_views_that_do_not_agree_are_half_a_variance_from_their_mean():
    apart = jax.random.normal(jax.random.key(0), (2, 4096, 16))
    np.testing.assert_allclose(lejepa_prediction(apart), 0.5, atol=0.01)
    assert lejepa_prediction(jnp.stack([apart[0], apart[0]])) == 0
    crops = jnp.concatenate([apart, apart[:1]])  # small crops do not move the mean
    np.testing.assert_allclose(lejepa_prediction(crops), lejepa_prediction(apart), rtol=0.02)


def gaussian(both, *, axis_name=None):
    return sigreg(jax.random.key(3), both, directions=4, axis_name=axis_name)


@pytest.mark.parametrize(("way", "shards"), CASES)
@pytest.mark.parametrize("loss", [lejepa_prediction, gaussian])
def test_lejepas_terms_of_shards_are_those_of_the_whole(loss, way, shards):
    assert_same_in_pieces(loss, way, shards, (jnp.stack(views((8, 3))),), cut=(1,))


@pytest.mark.parametrize("shape", [(4, 3), (2, 0, 3)])
def test_lejepas_terms_refuse_what_is_no_views(shape):
    with pytest.raises(ValueError, match=r"views must be \[V, B, D\]"):
        lejepa_prediction(jnp.zeros(shape))
    with pytest.raises(ValueError, match=r"views must be \[V, B, D\]"):
        sigreg(jax.random.key(0), jnp.zeros(shape))
