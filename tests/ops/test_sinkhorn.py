"""Sinkhorn against its definition by repeated division, its two sums, its limits and its shards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp
from sharding import WITHOUT_GRADIENT, in_pieces

from ssl_jax.ops.sinkhorn import sinkhorn as eager
from ssl_jax.ops.sinkhorn import sinkhorn_labels

sinkhorn = jax.jit(eager, static_argnames=("epsilon", "iterations", "axis_name"))


def by_division(scores, *, epsilon, iterations):
    """The papers' form: exponentials, divided by column sums and by row sums in turn."""
    plan = np.exp(np.asarray(scores, np.float64) / epsilon)
    for _ in range(iterations):
        plan = plan / plan.sum(axis=0, keepdims=True)
        plan = plan / plan.sum(axis=1, keepdims=True)
    return plan


def cosines(seed=0, shape=(16, 6)):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0, maxval=1.0)


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_equals_repeated_division(iterations):
    plan = sinkhorn(cosines(), epsilon=0.05, iterations=iterations)
    expected = by_division(cosines(), epsilon=0.05, iterations=iterations)
    np.testing.assert_allclose(plan, expected, rtol=1e-4, atol=1e-7)


def test_rows_sum_to_one_and_columns_share_the_batch():
    plan = np.asarray(sinkhorn(cosines(shape=(64, 8)), iterations=100))
    np.testing.assert_allclose(plan.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(plan.sum(axis=0), 64 / 8, rtol=1e-4)


def test_rows_that_are_not_counted_share_nothing_and_are_assigned_by_the_others_scaling():
    scores, counted = cosines(), jnp.arange(16) % 3 > 0
    plan = sinkhorn(scores, counted=counted)
    np.testing.assert_allclose(plan[counted], sinkhorn(scores[counted]), rtol=1e-5, atol=1e-7)
    other = sinkhorn(jnp.where(counted[:, None], scores, -scores), counted=counted)
    np.testing.assert_allclose(other[counted], plan[counted], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(plan.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(sinkhorn(scores, counted=counted & False), sinkhorn(scores, counted=counted | True))
    np.testing.assert_allclose(sinkhorn(scores, counted=counted | True), sinkhorn(scores), rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"sinkhorn: counted must be \[B\] for scores \(16, 6\), got \(15,\)"):
        eager(scores, counted=counted[1:])


@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_counted_rows_in_pieces_are_those_of_the_whole_batch(way, shards):
    counted = jnp.arange(16) < 3  # None on most shards.
    run = in_pieces(
        lambda scores, counted: eager(scores, counted=counted, axis_name="data"), way, shards, cut=(0, 0), joined=0
    )
    np.testing.assert_allclose(run(cosines(), counted), sinkhorn(cosines(), counted=counted), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("epsilon", [1e-3, 0.05, 10.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_never_overflows(epsilon, dtype):
    scores = cosines().astype(dtype)
    plan = sinkhorn(scores, epsilon=epsilon)
    assert plan.dtype == jnp.float32
    np.testing.assert_allclose(plan.sum(axis=1), 1, rtol=1e-5)


def test_a_prototype_that_nobody_likes_still_gets_its_share():
    """In float32 its exponentials underflow: e^-2000. Repeated division gives 0/0 there."""
    scores = jnp.zeros((8, 4)).at[:, 3].set(-2.0).at[0, 3].set(-1.99)
    plan = np.asarray(sinkhorn(scores, epsilon=1e-3, iterations=50))
    np.testing.assert_allclose(plan.sum(axis=0), 2, rtol=0.05)


@pytest.mark.parametrize("iterations", [3, 30, 300])
def test_scalings_far_beyond_the_range_of_float32(iterations):
    """At this epsilon entries that underflow in the first plan are those that count in the last."""
    scores = cosines(shape=(12, 4)).at[:, 0].add(2.0)
    logits = np.asarray(scores, np.float64) / 1e-3
    for _ in range(iterations):
        logits = log_softmax(logits - logsumexp(logits, axis=0, keepdims=True), axis=1)
    plan = sinkhorn(scores, epsilon=1e-3, iterations=iterations)
    np.testing.assert_allclose(plan, np.exp(logits), atol=2e-3)


def test_no_rounds_is_the_softmax_and_equal_scores_are_uniform():
    np.testing.assert_allclose(
        sinkhorn(cosines(), epsilon=0.1, iterations=0), jax.nn.softmax(cosines() / 0.1), rtol=1e-6
    )
    np.testing.assert_allclose(sinkhorn(jnp.ones((5, 4))), 0.25, rtol=1e-6)
    np.testing.assert_allclose(sinkhorn(jnp.ones((1, 3))), 1 / 3, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(-5, 5))
def test_permutation_and_shift(seed, shift):
    scores = cosines(seed % 1000, (8, 5))
    order = jax.random.permutation(jax.random.key(seed), 8)
    plan = sinkhorn(scores)
    np.testing.assert_allclose(sinkhorn(scores[order]), plan[order], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sinkhorn(scores + jnp.float32(shift)), plan, rtol=2e-3, atol=1e-6)


def test_no_gradient_passes():
    assert not jax.grad(lambda scores: jnp.sum(sinkhorn(scores) ** 2))(cosines()).any()


@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_shards_share_the_prototypes_as_the_whole_batch_does(way, shards):
    pieces = in_pieces(functools.partial(eager, axis_name="data"), way, shards, cut=(0,), joined=0)
    plan, gradient = jax.jit(lambda scores: (pieces(scores), jax.grad(lambda s: jnp.sum(pieces(s) ** 2))(scores)))(
        cosines()
    )
    np.testing.assert_allclose(plan, sinkhorn(cosines()), rtol=1e-5, atol=1e-8)
    assert not gradient.any()


def test_each_shard_by_itself_would_be_another_assignment():
    alone = np.concatenate([sinkhorn(part) for part in np.split(np.asarray(cosines()), 4)])
    assert np.abs(alone - np.asarray(sinkhorn(cosines()))).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scores": jnp.ones(3)}, r"sinkhorn: scores must be \[B, K\].*got \(3,\)"),
        ({"scores": jnp.ones((0, 3))}, r"at least one row.*got \(0, 3\)"),
        ({"scores": jnp.ones((2, 3)), "epsilon": 0.0}, "sinkhorn: epsilon must be above 0, got 0.0"),
        (
            {"scores": jnp.ones((2, 3)), "iterations": -1},
            "sinkhorn: iterations must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_wrong_input_is_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        eager(**arguments)


POINTS, PROTOTYPES = (jax.random.normal(jax.random.key(seed), shape) for seed, shape in ((1, (37, 5)), (2, (4, 5))))


@pytest.mark.parametrize("block_size", [8, 37, 4096])
def test_labels_of_a_whole_data_set_are_those_of_its_assignments_however_it_is_cut(block_size):
    labels = sinkhorn_labels(POINTS, PROTOTYPES, epsilon=0.5, iterations=20, block_size=block_size)
    rows_first = jax.nn.log_softmax(POINTS @ PROTOTYPES.T / 0.5) * 0.5
    np.testing.assert_array_equal(labels, sinkhorn(rows_first, epsilon=0.5, iterations=20).argmax(axis=1))


@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_labels_of_a_sharded_data_set_are_those_of_the_whole(way, shards):
    """With 3 rows of padding, which would pull all labels but one to themselves."""
    options = {"epsilon": 0.5, "iterations": 20}
    padded = jnp.concatenate([POINTS, jnp.broadcast_to(100 * PROTOTYPES[:1], (3, 5))])
    counted = jnp.arange(40) < 37
    whole = sinkhorn_labels(POINTS, PROTOTYPES, **options)
    np.testing.assert_array_equal(sinkhorn_labels(padded, PROTOTYPES, counted=counted, **options)[:37], whole)

    def of_shard(points, counted):
        return sinkhorn_labels(points, PROTOTYPES, counted=counted, axis_name="data", **options)

    found = in_pieces(of_shard, way, shards, cut=(0, 0), joined=0)(padded, counted)
    np.testing.assert_array_equal(found[:37], whole)


def test_labels_are_equally_frequent_where_the_nearest_prototypes_are_not():
    points = POINTS.at[:, 0].add(3.0)  # one side of all prototypes
    nearest = np.bincount((points @ PROTOTYPES.T).argmax(axis=1), minlength=4)
    counts = np.bincount(sinkhorn_labels(points, PROTOTYPES, epsilon=0.02, iterations=300), minlength=4)
    assert nearest.max() > 15 and counts.min() >= 8 and counts.max() <= 11


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (jnp.zeros((3, 4)), {}, r"got \(3, 4\) and \(4, 5\)"),
        (jnp.zeros((0, 5)), {}, "points"),
        (POINTS, {"epsilon": 0.0}, "epsilon"),
        (POINTS, {"iterations": 0}, "iterations"),
        (POINTS, {"block_size": 0}, "block_size"),
    ],
)
def test_bad_points_or_options_of_labels_are_refused(points, options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_labels(points, PROTOTYPES, **options)
