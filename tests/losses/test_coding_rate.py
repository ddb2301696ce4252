"""The coding rate and SimDINO's loss against their definitions in numpy, over shards, and at their bounds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.coding_rate import coding_rate, simdino

LARGE, CROPS, EXAMPLES, DIM = 2, 4, 8, 5
LOSSES = {groups: partial(simdino, groups=groups) for groups in (1, 4)}


def embeddings(views, seed=0):
    """Not centred, with dimensions of different scale; examples drift, so that shards differ."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(-1, 1, EXAMPLES)[None, :, None]
    rows = (rng.standard_normal((views, EXAMPLES, DIM)) + drift) * np.linspace(0.2, 1.2, DIM) + 0.3
    return jnp.asarray(rows, jnp.float32)


def numpy_rate(views, distortion=0.05):
    rates = []
    for rows in np.asarray(views, np.float64):
        moment = sum(np.outer(row, row) for row in rows) / len(rows)
        rates.append(np.log(1 + rows.shape[1] / distortion * np.linalg.eigvalsh(moment)).sum() / 2)
    return np.mean(rates)


def numpy_simdino(student, teacher, groups=1):
    """As in the authors' code, on as many devices: each sums over its own rows, and divides by the rows of all devices."""
    student, teacher = (
        rows / np.linalg.norm(rows, axis=2, keepdims=True)
        for rows in (np.asarray(student, np.float64), np.asarray(teacher, np.float64))
    )
    pairs = [
        np.mean([a @ b for a, b in zip(teacher[target], student[crop], strict=True)])
        for target in range(len(teacher))
        for crop in range(len(student))
        if crop != target
    ]
    rates = []
    for rows in np.split((student[: len(teacher)] + teacher) / 2, groups, axis=1):
        sums = np.eye(DIM) + DIM / (EXAMPLES * 0.05) * rows.swapaxes(1, 2) @ rows
        rates.append(np.log(np.diagonal(np.linalg.cholesky(sums), axis1=1, axis2=2)).sum(axis=1).mean())
    return -np.mean(pairs) - (DIM + EXAMPLES) / (DIM * EXAMPLES) * np.mean(rates)


def test_the_rate_and_its_gradient_are_those_of_the_definition():
    views = embeddings(LARGE)
    value, gradient = jax.jit(jax.value_and_grad(coding_rate))(views)
    np.testing.assert_allclose(value, numpy_rate(views), rtol=1e-5)
    np.testing.assert_allclose(gradient, numerical_gradient(numpy_rate, (views,), 0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("groups", LOSSES)
def test_simdino_is_the_definition_and_its_teacher_a_constant(groups):
    student, teacher = embeddings(CROPS), embeddings(LARGE, seed=1)
    value, gradients = jax.jit(jax.value_and_grad(LOSSES[groups], argnums=(0, 1)))(student, teacher)
    definition = partial(numpy_simdino, groups=groups)
    np.testing.assert_allclose(value, definition(student, teacher), rtol=1e-5)
    expected = numerical_gradient(definition, (student, teacher), 0)
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(gradients[1], 0)


@pytest.mark.parametrize(("way", "shards"), [("vmap", 1), *CASES])
@pytest.mark.parametrize("groups", LOSSES)
def test_shards_give_the_loss_of_the_whole_batch(way, shards, groups):
    """Four groups: parts of a shard, a shard, and two shards each."""
    arrays, loss = (embeddings(CROPS), embeddings(LARGE, seed=1)), LOSSES[groups]
    assert_same_in_pieces(loss, way, shards, arrays, cut=(1, 1), rtol=1e-4, atol=1e-6)


def test_the_rate_of_groups_is_the_mean_of_theirs():
    views = embeddings(LARGE)
    of_groups = np.mean([numpy_rate(part) for part in np.split(np.asarray(views), 4, axis=1)])
    np.testing.assert_allclose(coding_rate(views, groups=4), of_groups, rtol=1e-5)
    assert of_groups < 0.9 * numpy_rate(views)


@pytest.mark.parametrize("distortion", [0.05, 0.5])
def test_the_rate_at_its_bounds(distortion):
    """A collapsed batch, and one that spreads over all dimensions: the axes, and random directions approach the bound."""
    even = jnp.eye(DIM)[None]
    most, least = DIM * np.log1p(1 / distortion) / 2, np.log1p(DIM / distortion) / 2
    np.testing.assert_allclose(coding_rate(even, distortion=distortion), most, rtol=1e-5)
    np.testing.assert_allclose(coding_rate(even[:, jnp.zeros(9, int)], distortion=distortion), least, rtol=1e-5)
    np.testing.assert_allclose(coding_rate(0 * even, distortion=distortion), 0, atol=1e-6)
    rows = np.random.default_rng(0).standard_normal((1, 4096, DIM))
    rows = jnp.asarray(rows / np.linalg.norm(rows, axis=2, keepdims=True), jnp.float32)
    np.testing.assert_allclose(coding_rate(rows, distortion=distortion), most, rtol=1e-3)


def test_random_directions_cost_less_than_a_collapse():
    """The rate has the upper hand in 5 dimensions: the loss cannot be lowered by giving up all differences."""
    student, teacher = embeddings(CROPS), embeddings(LARGE, seed=1)
    same = jnp.ones((CROPS, EXAMPLES, DIM))
    assert float(simdino(same, same[:LARGE])) > float(simdino(student, teacher)) + 0.1


def test_the_weight_of_the_cosines():
    student, teacher = embeddings(CROPS), embeddings(LARGE, seed=1)
    none, one, two = (float(simdino(student, teacher, invariance=weight)) for weight in (0.0, 1.0, 2.0))
    np.testing.assert_allclose(two - one, one - none, rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_and_zeros_stay_finite(dtype):
    for rows in (embeddings(CROPS), jnp.zeros((CROPS, EXAMPLES, DIM)), jnp.full((CROPS, EXAMPLES, DIM), 1e4)):
        value, gradient = jax.value_and_grad(simdino)(rows.astype(dtype), rows[:LARGE].astype(dtype))
        assert jnp.isfinite(value) and jnp.isfinite(gradient).all() and value.dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coding_rate(jnp.ones((3, 2))), r"views must be \[V, B, D\], not empty, got \(3, 2\)"),
        (lambda: coding_rate(jnp.ones((2, 0, 3))), "not empty"),
        (lambda: coding_rate(jnp.ones((1, 3, 2)), groups=2), "groups must divide the 3 rows of the batch, got 2"),
        (lambda: coding_rate(jnp.ones((1, 3, 2)), groups=0), "groups must be a whole number of at least 1, got 0"),
        (lambda: coding_rate(jnp.ones((1, 3, 2)), distortion=0.0), "distortion must be above 0"),
        (
            lambda: simdino(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 5))),
            r"needs student \[V, B, K\] and teacher \[A, B, K\]",
        ),
        (lambda: simdino(jnp.ones((1, 3, 4)), jnp.ones((1, 3, 4))), "V >= 2 crops"),
        (lambda: simdino(jnp.ones((2, 3, 4)), jnp.ones((2, 3, 4)), invariance=-1.0), "invariance must be finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
