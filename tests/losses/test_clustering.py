"""SwAV's swapped prediction and the cross-entropy of clusters against their definitions, over shards, at the limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.clustering import cluster_cross_entropy, swav
from ssl_jax.ops.sinkhorn import sinkhorn

run = jax.jit(swav, static_argnames="temperature")
run_cluster = jax.jit(cluster_cross_entropy)


def crops(count=4, assigned=2, seed=0):
    """Cosines [V, 8, 5] and assignments [A, 8, 5] whose rows sum to 1."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (count, 8, 5))
    assignments = rng.dirichlet(np.ones(5), (assigned, 8))
    return jnp.asarray(scores, jnp.float32), jnp.asarray(assignments, jnp.float32)


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def numpy_swav(scores, assignments, temperature=0.1):
    scores, assignments = np.asarray(scores, np.float64), np.asarray(assignments, np.float64)
    losses = []
    for a, target in enumerate(assignments):
        for v, score in enumerate(scores):
            if v != a:
                losses.append(-np.mean(np.sum(target * log_softmax(score / temperature), axis=1)))
    return np.mean(losses)


@pytest.mark.parametrize(("count", "assigned"), [(2, 2), (2, 1), (6, 2), (3, 3)])
def test_swav_is_its_definition_for_any_number_of_crops(count, assigned):
    scores, assignments = crops(count, assigned)
    value, gradient = jax.jit(jax.value_and_grad(swav))(scores, assignments)
    np.testing.assert_allclose(value, numpy_swav(scores, assignments), rtol=1e-5)
    expected = numerical_gradient(numpy_swav, (scores, assignments), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)


def test_swav_ignores_a_crop_that_only_meets_its_own_assignment():
    """With one assignment its own crop gets no gradient."""
    gradient = jax.jit(jax.grad(swav))(*crops(3, 1))
    assert not gradient[0].any()
    assert gradient[1:].any()


def test_assignments_are_constants():
    assert not jax.jit(jax.grad(swav, argnums=1))(*crops()).any()


def test_swav_known_values():
    _, assignments = crops()
    np.testing.assert_allclose(run(jnp.zeros((4, 8, 5)), assignments), np.log(5), rtol=1e-6)
    agreed = jnp.tile(jax.nn.one_hot(jnp.arange(8) % 5, 5)[None], (3, 1, 1))
    assert run(agreed, agreed[:2], temperature=0.01) < 1e-6


def test_swav_does_not_depend_on_the_order_of_examples_or_prototypes():
    scores, assignments = crops()
    for order, axis in ((jnp.array([3, 1, 7, 0, 2, 6, 5, 4]), 1), (jnp.array([4, 2, 0, 1, 3]), 2)):
        moved = run(jnp.take(scores, order, axis=axis), jnp.take(assignments, order, axis=axis))
        np.testing.assert_allclose(moved, run(scores, assignments), rtol=1e-5)


@pytest.mark.parametrize(("epsilon", "leaves"), [(0.05, False), (0.03, True)])
def test_crops_leave_the_uniform_solution_if_they_agree_on_more_than_epsilon_over_temperature(epsilon, leaves):
    """Nearly equal scores of two crops that correlate by 0.4, at the temperature 0.1: the step of one along its scores."""
    shared, *own = np.random.default_rng(0).normal(size=(3, 512, 8))
    scores = 1e-3 * jnp.asarray([0.4**0.5 * shared + 0.6**0.5 * noise for noise in own], jnp.float32)

    def loss(scores):
        return swav(scores, jnp.stack([sinkhorn(crop, epsilon=epsilon) for crop in scores]))

    centred = scores - scores.mean(axis=2, keepdims=True)
    grows = -(jax.jit(jax.grad(loss))(scores) * centred).sum() > 0
    assert grows == leaves


def swav_with_its_sinkhorn(scores, *, axis_name=None):
    assignments = jnp.stack([sinkhorn(crop, axis_name=axis_name) for crop in scores[:2]])
    return swav(scores, assignments, axis_name=axis_name)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_swav_with_its_sinkhorn_in_pieces_is_that_of_the_whole_batch(way, shards):
    assert_same_in_pieces(swav_with_its_sinkhorn, way, shards, crops()[:1], cut=(1,))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_swav_stays_finite(dtype):
    scores, assignments = (array.astype(dtype) for array in crops())
    for temperature in (0.1, 1e-3):
        value, gradient = jax.jit(jax.value_and_grad(functools.partial(swav, temperature=temperature)))(
            scores, assignments
        )
        assert value.dtype == jnp.float32 and jnp.isfinite(value) and jnp.isfinite(gradient).all()
        exact = numpy_swav(scores.astype("float32"), assignments.astype("float32"), temperature)
        np.testing.assert_allclose(value, exact, rtol=1e-5)


def test_one_example():
    scores, assignments = crops()
    value = run(scores[:, :1], assignments[:, :1])
    np.testing.assert_allclose(value, numpy_swav(scores[:, :1], assignments[:, :1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("scores", "assignments", "sentence"),
    [
        (
            (4, 8, 5),
            (2, 8, 6),
            r"swav: needs scores \[V, B, K\] and assignments \[A, B, K\].*got \(4, 8, 5\) and \(2, 8, 6\)",
        ),
        ((8, 5), (8, 5), r"got \(8, 5\) and \(8, 5\)"),
        ((4, 0, 5), (2, 0, 5), r"not empty, got \(4, 0, 5\)"),
        ((1, 8, 5), (1, 8, 5), "scores of V >= 2 crops and assignments of 1 to V of them, got 1 and 1"),
        ((2, 8, 5), (3, 8, 5), "got 2 and 3"),
        ((2, 8, 5), (0, 8, 5), "got 2 and 0"),
    ],
)
def test_swav_wrong_shapes_are_one_sentence(scores, assignments, sentence):
    with pytest.raises(ValueError, match=sentence):
        swav(jnp.ones(scores), jnp.ones(assignments))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match=f"swav: temperature must be above 0, got {temperature}"):
        swav(*crops(), temperature=temperature)
    with pytest.raises(ValueError, match=f"cluster_cross_entropy: temperature must be above 0, got {temperature}"):
        cluster_cross_entropy(crops()[0][0], jnp.zeros(8, jnp.int32), temperature=temperature)


def test_cluster_cross_entropy_of_hard_and_soft_labels():
    scores, soft = crops()[0][0], crops()[1][0]
    hard = jnp.arange(8) % 5
    log_p = log_softmax(np.asarray(scores, np.float64) / 0.1)
    np.testing.assert_allclose(run_cluster(scores, hard), -log_p[np.arange(8), hard].mean(), rtol=1e-5)
    np.testing.assert_allclose(run_cluster(scores, soft), -(soft * log_p).sum(axis=1).mean(), rtol=1e-5)
    one_hot = jax.nn.one_hot(hard, 5)
    np.testing.assert_allclose(run_cluster(scores, hard), run_cluster(scores, one_hot), rtol=1e-6)
    assert not jax.jit(jax.grad(cluster_cross_entropy, argnums=1))(scores, soft).any()


def test_examples_without_a_cluster_do_not_count():
    scores = crops()[0][0]
    labels = jnp.array([0, 1, -1, 2, -1, -1, 4, 3])
    kept = np.flatnonzero(labels >= 0)
    np.testing.assert_allclose(run_cluster(scores, labels), run_cluster(scores[kept], labels[kept]), rtol=1e-6)
