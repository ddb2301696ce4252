"""k-means against Lloyd's rounds in numpy, on blobs whose clusters are known, in pieces, and where clusters run
empty."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import WITHOUT_GRADIENT, in_pieces

from ssl_jax.ops.kmeans import Clusters, _fill_empty, _moments, _spread, _sums, nearest_centroid
from ssl_jax.ops.kmeans import kmeans as eager
from ssl_jax.ops.kmeans_seeds import _draw_rows, _kept, draw_any

kmeans = jax.jit(eager, static_argnames=("clusters", "iterations", "spherical", "seeds", "seeds_at_once", "block_size"))
KEY = jax.random.key(7)


def blobs(spread=0.1, each=8):
    """`each` points around each of 4 far corners, shuffled: points `[32, 3]` and the blob of each."""
    rng = np.random.default_rng(0)
    corners = np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5], [-5, -5, -5]], np.float64)
    blob = rng.permutation(np.repeat(np.arange(4), each))
    return jnp.asarray(corners[blob] + spread * rng.standard_normal((4 * each, 3)), jnp.float32), blob


def lloyd(points, centroids):
    """One round in float64; every cluster must have a point."""
    points, centroids = np.asarray(points, np.float64), np.asarray(centroids, np.float64)
    labels = np.argmin(((points[:, None] - centroids[None]) ** 2).sum(-1), axis=1)
    return np.stack([points[labels == k].mean(axis=0) for k in range(len(centroids))])


@pytest.mark.slow
@pytest.mark.parametrize("spherical", [False, True])
def test_finds_blobs(spherical):
    points, blob = blobs()
    found = kmeans(KEY, points, clusters=4, iterations=4, spherical=spherical)
    assert len({(int(a), int(b)) for a, b in zip(found.labels, blob, strict=True)}) == 4
    if spherical:
        np.testing.assert_allclose(jnp.linalg.norm(found.centroids, axis=1), 1, rtol=1e-6)
    else:
        assert found.inertia < 3 * 0.1**2 * 1.3


@pytest.mark.slow
def test_a_round_is_lloyds():
    points = jax.random.normal(jax.random.key(1), (32, 3))
    before = kmeans(KEY, points, clusters=4, iterations=0)
    after = kmeans(KEY, points, clusters=4, iterations=1)
    np.testing.assert_allclose(after.centroids, lloyd(points, before.centroids), rtol=1e-5, atol=1e-6)
    assert after.inertia <= before.inertia
    distances = ((np.asarray(points)[:, None] - np.asarray(after.centroids)[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(after.labels, distances.argmin(axis=1))
    np.testing.assert_allclose(after.inertia, distances.min(axis=1).mean(), rtol=1e-5)


def test_seeds_are_spread_points():
    """Far blobs: the chance that k-means++ puts two of the four seeds in one is below 1 in 1000; of uniform ones
    0.9."""
    points, blob = blobs(spread=0.01)
    for seed in range(5):
        found = kmeans(jax.random.key(seed), points, clusters=4, iterations=0)
        rows = [int(np.flatnonzero((np.asarray(points) == np.asarray(c)).all(axis=1))[0]) for c in found.centroids]
        assert len(set(blob[rows])) == 4


def test_seeds_by_products_are_those_by_differences(monkeypatch):
    points, keys = jax.random.normal(jax.random.key(3), (64, 5)) + 7.0, jax.random.split(KEY, 6)

    def seeds():
        return jax.jit(jax.vmap(lambda key: eager(key, points, clusters=16, iterations=0).centroids))(keys)

    found = seeds()
    monkeypatch.setattr(sys.modules["ssl_jax.ops.kmeans_seeds"], "RESOLVED", float("inf"))
    np.testing.assert_array_equal(found, seeds())


def test_seeds_of_pairs_that_products_do_not_resolve():
    """16 far points and a neighbour of each, nearer to it than the rounding of its square, 1e8."""
    rng = np.random.default_rng(0)
    far = 1e4 * rng.normal(size=(16, 4))
    points = jnp.asarray(np.concatenate([far, far + 0.3 * rng.normal(size=far.shape)]), jnp.float32)
    seeds = jax.jit(jax.vmap(lambda key: eager(key, points, clusters=32, iterations=0).centroids))
    for found in np.asarray(seeds(jax.random.split(KEY, 6))):
        assert len({tuple(row) for row in found.tolist()}) == 32


@pytest.mark.parametrize("at_once", [1, 3])
def test_seeds_at_once_are_drawn_as_those_one_by_one(at_once):
    """Of points at 0, 1 and 3: the first is any; the second is drawn in proportion to the squared distance from it."""
    points = jnp.array([[0.0], [1.0], [3.0]])
    run = jax.jit(
        jax.vmap(
            lambda key: eager(key, points, clusters=2, iterations=0, seeds_at_once=at_once).centroids.sum(axis=0)[0]
        )
    )
    sums = np.asarray(run(jax.random.split(KEY, 4000)))
    shares = [(sums == both).mean() for both in (1, 3, 4)]  # {0, 1}, {0, 3}, {1, 3}
    np.testing.assert_allclose(shares, np.array([1 / 10 + 1 / 5, 9 / 10 + 9 / 13, 4 / 5 + 4 / 13]) / 3, atol=0.03)


def test_a_candidate_is_kept_by_what_those_before_it_leave():
    """Of candidates at 0, 2 and 2, all at distance 4 before: the second has all of it left, the third nothing."""
    found, before = jnp.array([[0.0], [2.0], [2.0]]), jnp.full(3, 4.0)
    np.testing.assert_array_equal(_kept(KEY, found, before), [True, True, False])
    half = jax.vmap(lambda key: _kept(key, jnp.array([[0.0], [1.0]]), jnp.full(2, 2.0))[1])
    assert abs(float(half(jax.random.split(KEY, 4000)).mean()) - 0.5) < 0.03


def random_seeds(keys, points, weights, clusters):
    return np.asarray(jax.jit(jax.vmap(lambda key: draw_any(key, points, weights, clusters, axis_name=None)))(keys))


def test_random_seeds_are_different_points():
    points = jnp.arange(6.0)[:, None]
    found = random_seeds(jax.random.split(KEY, 500), points, jnp.ones(6), 3)[..., 0]
    assert all(len(set(seeds)) == 3 for seeds in found.tolist())
    np.testing.assert_allclose(np.bincount(found.ravel().astype(int)) / 500, 0.5, atol=0.08)
    direct = kmeans(KEY, points, clusters=3, iterations=0, seeds="random").centroids
    np.testing.assert_array_equal(direct, random_seeds(KEY[None], points, jnp.ones(6), 3)[0])


def test_random_seeds_are_drawn_in_proportion_to_their_weight():
    """Never padding; of fewer points than seeds, one is there again."""
    points, weights = jnp.arange(4.0)[:, None], jnp.array([0.0, 1.0, 3.0, 0.0])
    first = random_seeds(jax.random.split(KEY, 4000), points, weights, 1).ravel()
    assert set(first.tolist()) == {1.0, 2.0} and abs((first == 2).mean() - 0.75) < 0.03
    assert {*random_seeds(KEY[None], points, weights, 4).ravel().tolist()} == {1.0, 2.0}


def test_rounds_end_where_nothing_changes():
    points, _ = blobs()
    found, longer = (kmeans(KEY, points, clusters=4, iterations=rounds) for rounds in (10, 2_000_000_000))
    np.testing.assert_array_equal(longer.centroids, found.centroids)


def test_rows_are_drawn_in_proportion_to_their_weight():
    weights = jnp.array([0.0, 1.0, 0.0, 3.0, 0.0])
    drawn = np.asarray(jax.jit(lambda: _draw_rows(KEY, jnp.arange(5.0), weights, 4000, None))())
    assert set(drawn) == {1.0, 3.0}
    assert abs((drawn == 3.0).mean() - 0.75) < 0.03


@pytest.mark.slow
def test_the_spread_within_clusters():
    rng = np.random.default_rng(0)
    label, weights = rng.integers(0, 3, 200), rng.uniform(0, 2, 200)
    points = rng.normal(size=(3, 5))[label] + 0.1 * rng.normal(size=(200, 5)) + 7
    counts = np.array([weights[label == k].sum() for k in range(3)])
    means = np.array([np.average(points[label == k], axis=0, weights=weights[label == k]) for k in range(3)])
    expected = np.sqrt(np.average((points - means[label]) ** 2, axis=0, weights=weights).mean())
    single = [jnp.asarray(array, jnp.float32) for array in (points, weights / weights.mean(), means, counts)]
    np.testing.assert_allclose(_spread(*single[2:], *_moments(*single[:2], None)), expected, rtol=1e-3)


def test_an_empty_cluster_takes_part_of_the_largest():
    points, _ = blobs()
    centroids = jnp.array([[100.0, 0, 0], [0, 0, 0], [0, 200.0, 0]])  # everything is nearest to the middle one
    labels, distance = nearest_centroid(points, centroids)
    assert set(np.asarray(labels)) == {1}
    sums, counts = _sums(points, jnp.ones(len(points)), centroids, 5)
    means = sums / jnp.maximum(counts, 1)[:, None]
    np.testing.assert_allclose(means[1], points.mean(axis=0), atol=1e-6)
    filled = _fill_empty(KEY, means, counts, jnp.sqrt(distance.mean()))
    np.testing.assert_array_equal(filled[1], means[1])
    labels, _ = nearest_centroid(points, filled)
    assert np.bincount(labels, minlength=3).min() > 0


def test_identical_points_and_one_point():
    found = kmeans(KEY, jnp.ones((32, 3)), clusters=4, iterations=4)
    np.testing.assert_allclose(found.centroids, 1)
    assert found.inertia == 0
    labels, distance = nearest_centroid(jnp.full((1, 2), 3.0), jnp.full((1, 2), 3.0))
    assert (labels, distance) == (0, 0)


def test_far_from_the_origin_nothing_cancels():
    points, blob = blobs()
    found = kmeans(KEY, points + 3000.0, clusters=4, iterations=4)
    assert len({(int(a), int(b)) for a, b in zip(found.labels, blob, strict=True)}) == 4


def test_neighbours_far_from_the_middle_are_told_apart():
    """Products of numbers of 1e4 are 1e8, of which float32 does not hold the parts by which two centroids differ."""
    rng = np.random.default_rng(0)
    far = 1e4 * rng.normal(size=(16, 4))
    centroids = jnp.asarray(np.concatenate([far, far + 0.3 * rng.normal(size=far.shape)]), jnp.float32)
    points = centroids + jnp.array([[0.01, 0.0, 0.0, 0.02]])
    labels, distances = nearest_centroid(points, centroids)
    np.testing.assert_array_equal(labels, np.arange(32))
    np.testing.assert_allclose(distances, ((points - centroids) ** 2).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_the_scale_of_the_points_does_not_matter(size):
    points = jnp.asarray(np.random.default_rng(0).normal(size=(30, 3)), jnp.float32)
    found, scaled = (kmeans(jax.random.key(0), rows, clusters=4, iterations=5) for rows in (points, points * size))
    np.testing.assert_array_equal(scaled.labels, found.labels)
    np.testing.assert_allclose(scaled.centroids / size, found.centroids, rtol=1e-4, atol=1e-5)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="kmeans: points must be finite, got NaN or infinity"):
        eager(jax.random.key(0), jnp.array([[1.0], [np.nan], [2.0]]), clusters=2)


def test_block_size_changes_nothing():
    points, _ = blobs()
    centroids = jax.random.normal(KEY, (5, 3))
    nearest = jax.jit(nearest_centroid, static_argnames="block_size")
    whole = nearest(points, centroids)
    for block_size in (1, 5, 32):
        for expected, came in zip(whole, nearest(points, centroids, block_size=block_size), strict=True):
            np.testing.assert_allclose(came, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["k-means++", "random"])
@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_shards_find_what_the_whole_set_finds(way, shards, seeds):
    points = jax.random.normal(jax.random.key(3), (32, 3))
    options = {"clusters": 4, "iterations": 4, "spherical": True, "seeds": seeds}
    pieces = in_pieces(
        functools.partial(eager, axis_name="data", **options),
        way,
        shards,
        cut=(None, 0),
        joined=Clusters(None, 0, None),
    )
    whole, found = kmeans(KEY, points, **options), pieces(KEY, points)
    np.testing.assert_allclose(found.centroids, whole.centroids, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.labels, whole.labels)
    np.testing.assert_allclose(found.inertia, whole.inertia, rtol=1e-5)


def test_half_precision_points():
    points, blob = blobs()
    found = kmeans(KEY, points.astype(jnp.bfloat16), clusters=4, iterations=4)
    assert found.centroids.dtype == jnp.float32
    assert len({(int(a), int(b)) for a, b in zip(found.labels, blob, strict=True)}) == 4


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((4,), {"clusters": 2}, r"kmeans: points must be \[B, D\].*got \(4,\)"),
        ((0, 4), {"clusters": 2}, r"got \(0, 4\)"),
        ((4, 2), {"clusters": 5}, "clusters must be between 1 and the 4 points, got 5"),
        ((4, 2), {"clusters": 0}, "clusters must be a whole number of at least 1, got 0"),
        ((4, 2), {"clusters": 2, "seeds": "far"}, "seeds must be one of k-means.., random, got 'far'"),
        ((4, 2), {"clusters": 2, "block_size": 0}, "block_size must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(shape, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        eager(KEY, jnp.ones(shape), **options)


@pytest.mark.slow
@pytest.mark.parametrize("way", [None, *WITHOUT_GRADIENT])
def test_points_of_weight_0_are_padding(way):
    """On one device and on several, where a shard may hold nothing else."""
    points, _ = blobs(each=4)
    padded = jnp.concatenate([points, 100 + jnp.zeros((16, 3))])
    weights = (jnp.arange(32) < 16).astype(jnp.float32)
    whole = kmeans(KEY, points, clusters=4, iterations=3)
    run = functools.partial(eager, KEY, clusters=4, iterations=3)
    if way is None:
        found = jax.jit(lambda points, weights: run(points, weights=weights))(padded, weights)
    else:
        shard = lambda points, weights: run(points, weights=weights, axis_name="data")  # noqa: E731
        found = in_pieces(shard, *way, cut=(0, 0), joined=Clusters(None, 0, None))(padded, weights)
    np.testing.assert_allclose(found.centroids, whole.centroids, rtol=1e-5)
    np.testing.assert_array_equal(found.labels[:16], whole.labels)
    np.testing.assert_allclose(found.inertia, whole.inertia, rtol=1e-4)


def test_a_point_of_weight_3_counts_as_three():
    points = jnp.array([[0.0], [4.0]])
    found = kmeans(KEY, points, clusters=1, iterations=1, weights=jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(found.centroids, [[1.0]])
    np.testing.assert_allclose(found.inertia, (3 * 1 + 9) / 4)


def test_weights_fit_the_points():
    with pytest.raises(ValueError, match=r"kmeans: weights must be \[B\], one for each of the 2 points, got \(3,\)"):
        eager(KEY, jnp.ones((2, 2)), clusters=1, weights=jnp.ones(3))


@pytest.mark.slow
def test_the_nearest_of_many_centroids_of_any_length():
    """More of them than are compared exactly, and from short to long."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(256, 4))
    centroids = (directions * np.geomspace(0.01, 10, 256)[:, None]).astype(np.float32)
    points = rng.normal(size=(500, 4)).astype(np.float32)
    found, distances = nearest_centroid(jnp.asarray(points), jnp.asarray(centroids))
    squares = np.square(points[:, None].astype(np.float64) - centroids[None]).sum(axis=-1)
    np.testing.assert_array_equal(found, squares.argmin(axis=1))
    np.testing.assert_allclose(distances, squares.min(axis=1), rtol=1e-4)
