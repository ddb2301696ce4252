"""k-means with k-means++ seeds, on points that may be sharded.

B: points of this shard; N: points of the whole set; D: their dimension; K: clusters. With `axis_name=None` the points are
the whole set; with a name they are one shard of it under that mapped axis. Points are compared in blocks, so
memory is O(B D + block K), never O(B K).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import floats
from ssl_jax.ops.checks import check_arrays, check_count, check_finite, check_flags, check_key, check_not_negative
from ssl_jax.ops.collectives import gather_rows, max_over_shards, mean_over_shards, shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import power_of_two, unit_length

CANDIDATES = 4  # centroids with exact distances from a point: products do not resolve neighbours far from the mean

# Mean distance from the seeds, as a part of that from the mean, above which float32 products resolve it.
RESOLVED = 1e-3


class Clusters(NamedTuple):
    """Result of k-means: `centroids` are equal on every shard, `labels` belong to the points of this shard."""

    centroids: Array  # [K, D] float32
    labels: Array  # [B] int32, the nearest centroid
    inertia: Array  # mean over the N points of the squared distance to the nearest centroid


@on_explicit_axes
def kmeans(
    rng: Array,
    points: Array,
    *,
    clusters: int,
    iterations: int = 20,
    spherical: bool = False,
    weights: Array | None = None,
    block_size: int = 4096,
    axis_name: str | None = None,
) -> Clusters:
    """Lloyd's k-means from k-means++ seeds.

    An empty cluster moves next to a full one, the largest first, and takes about half of it in the next round; this
    needs no communication and keeps clusters even. Fewer distinct points than clusters leave some clusters empty.

    Args:
      rng: key, the same on every shard.
      points: `[B, D]`.
      clusters: K, at most N.
      iterations: rounds after the seeds; 0 returns the seeds.
      spherical: compare directions: points and centroids are scaled to unit length (DeepCluster-v2).
      weights: `[B]`, of 0 or more: points count in this proportion. A point of weight 0, such as padding, has a label and
        changes nothing else. None: all are 1.
      block_size: points compared with all centroids at a time.
      axis_name: mapped axis over which the points are sharded, B on each and N on all; None: the points are the whole set.

    Raises:
      ValueError: the points are not a matrix with rows, or not finite, where values are concrete (not under `jit`); there are
        fewer points than clusters, weights do not fit the points, or a count is too small or not whole.

    Example:
      >>> points = jnp.array([[0.0], [1.0], [10.0], [11.0]])
      >>> result = kmeans(jax.random.key(0), points, clusters=2)
      >>> print(np.asarray(jnp.sort(result.centroids.ravel())).round(3))
      [ 0.5 10.5]

    Source: Arthur and Vassilvitskii 2007, k-means++: the advantages of careful seeding; Lloyd 1982.
    """
    check_arrays("kmeans", points=points)
    check_count("kmeans", clusters=clusters, block_size=block_size)
    check_count("kmeans", iterations=iterations, least=0)
    check_key("kmeans", rng=rng)
    check_flags("kmeans", spherical=spherical)
    check_finite("kmeans", points=points)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"kmeans: points must be [B, D] with at least one row and column, got {points.shape}")
    total = len(points) * shards(axis_name)
    if clusters > total:
        raise ValueError(f"kmeans: clusters must be between 1 and the {total} points, got {clusters}")
    if weights is None:
        weights = jnp.ones(len(points), jnp.float32)
    check_arrays("kmeans", weights=weights)
    check_not_negative("kmeans", weights=weights)
    if weights.shape != points.shape[:1]:
        raise ValueError(f"kmeans: weights must be [B], one for each of the {len(points)} points, got {weights.shape}")
    points, weights = lax.stop_gradient((points, weights))
    size = jnp.float32(1)
    if spherical:
        points = unit_length(points)
    else:  # squares of very large or small points would overflow or vanish
        points = points.astype(jnp.float32)
        size = power_of_two(max_over_shards(jnp.abs(points).max(), axis_name))
        size = jnp.where(size > 0, size, 1)
        points = points / size
    weights = weights.astype(points.dtype)

    def mean(values):
        """Weighted mean over the N points."""
        total = mean_over_shards(weights.mean(), axis_name)
        return mean_over_shards((weights * values).mean(), axis_name) / jnp.where(total > 0, total, 1)

    def lloyd(number, centroids):
        labels, distance = nearest_centroid(points, centroids, block_size=block_size)
        means, counts = _means(points, weights, labels, clusters, axis_name)
        spread = jnp.sqrt(mean(distance) / points.shape[1])
        means = _fill_empty(jax.random.fold_in(rng, clusters + number), means, counts, spread)
        return unit_length(means) if spherical else means

    centroids = lax.fori_loop(0, iterations, lloyd, _seeds(rng, points, weights, clusters, axis_name))
    labels, distance = nearest_centroid(points, centroids, block_size=block_size)
    return Clusters(centroids * size, labels, mean(distance) * size * size)


@on_explicit_axes
def nearest_centroid(points: Array, centroids: Array, *, block_size: int = 4096) -> tuple[Array, Array]:
    """`[B, D]` points and `[K, D]` centroids -> `[B]` index of the nearest centroid and squared distance to it."""
    check_arrays("nearest_centroid", points=points, centroids=centroids)
    check_count("nearest_centroid", block_size=block_size)
    if (
        points.ndim != 2
        or centroids.ndim != 2
        or points.shape[1] != centroids.shape[1]
        or not points.size * centroids.size
    ):
        raise ValueError(
            f"nearest_centroid: needs points [B, D] and centroids [K, D], not empty, got {points.shape}, {centroids.shape}"
        )
    points, centroids = floats(jnp.asarray(points), jnp.asarray(centroids))
    middle = centroids.mean(axis=0)  # far from the origin, the products below would cancel
    shifted = centroids - middle[None]
    half_squares = jnp.sum(shifted**2, axis=1) / 2

    def one(point):
        closeness = jnp.dot(shifted, point - middle, precision="highest") - half_squares
        near = lax.top_k(closeness, min(CANDIDATES, len(centroids)))[1].astype(jnp.int32)
        distances = jnp.sum((point[None] - centroids[near]) ** 2, axis=1)
        best = jnp.argmin(distances)
        return near[best], distances[best]

    return lax.map(one, points, batch_size=min(block_size, len(points)))


def _seeds(rng: Array, points: Array, weights: Array, clusters: int, axis_name: str | None) -> Array:
    """k-means++: each seed is a point drawn in proportion to its weight and its squared distance from the seeds before it.

    Distances are those of matrix-vector products, several times as fast as differences, until they are so small beside the
    squares of which they are the difference that rounding would show: then they are computed again, from differences.
    """
    middle = mean_over_shards(points.mean(axis=0), axis_name)
    squares = jnp.sum((points - middle[None]) ** 2, axis=1)
    least = RESOLVED * mean_over_shards(squares.mean(), axis_name)

    def from_differences(seed):
        return jnp.sum((points - seed[None]) ** 2, axis=1)

    def from_products(seed):
        away = seed - middle
        products = jnp.matmul(points, away, precision="highest") - jnp.dot(middle, away)
        return jnp.maximum(squares - 2 * products + jnp.sum(away**2), 0)

    def draw(number, carry, distance):
        seeds, nearest = carry
        seed = _draw_row(jax.random.fold_in(rng, number), points, weights * nearest, axis_name)
        return seeds.at[number].set(seed), jnp.minimum(nearest, distance(seed))

    def resolved(carry):
        number, _, nearest = carry
        return (number < clusters) & (mean_over_shards(nearest.mean(), axis_name) > least)

    first = _draw_row(jax.random.fold_in(rng, 0), points, weights, axis_name)
    seeds = jnp.zeros((clusters, points.shape[1]), points.dtype).at[0].set(first)
    carry = jnp.int32(1), seeds, from_differences(first)
    number, seeds, nearest = lax.while_loop(
        resolved, lambda carry: (carry[0] + 1, *draw(carry[0], carry[1:], from_products)), carry
    )
    before = jnp.where(number < clusters, number, 0)  # The distances from all seeds are not needed any more.
    nearest = lax.fori_loop(
        0,
        before,
        lambda of, nearest: jnp.minimum(nearest, from_differences(seeds[of])),
        jnp.full_like(nearest, jnp.inf),
    )
    seeds, _ = lax.fori_loop(
        number, clusters, lambda number, carry: draw(number, carry, from_differences), (seeds, nearest)
    )
    return mean_over_shards(seeds, axis_name)  # already equal on all shards; this types them as replicated


def _draw_row(rng: Array, points: Array, weights: Array, axis_name: str | None) -> Array:
    """One of the N points, drawn in proportion to its weight: `[D]`, equal for any number of shards."""
    running = jnp.cumsum(weights)
    shard_ends = jnp.cumsum(gather_rows(running[-1:], axis_name))
    target = jax.random.uniform(rng, dtype=shard_ends.dtype) * shard_ends[-1]
    shard = _place(shard_ends, target)
    start = jnp.where(shard > 0, shard_ends[shard - 1], 0)
    row = _place(running, target - start)
    return gather_rows(points[row][None], axis_name)[shard]


def _place(ends: Array, target: Array) -> Array:
    """The index at which running sums exceed the target; where rounding makes it too large, the last with a part of the sum."""
    return jnp.minimum(jnp.searchsorted(ends, target, side="right"), jnp.searchsorted(ends, ends[-1], side="left"))


def _means(points: Array, weights: Array, labels: Array, clusters: int, axis_name: str | None) -> tuple[Array, Array]:
    """Mean of each cluster `[K, D]`, 0 where it is empty, and its share of the points `[K]`, up to a common factor."""
    sums = mean_over_shards(jax.ops.segment_sum(weights[:, None] * points, labels, clusters), axis_name)
    counts = mean_over_shards(jax.ops.segment_sum(weights, labels, clusters), axis_name)
    return sums / jnp.where(counts > 0, counts, 1)[:, None], counts


def _fill_empty(rng: Array, means: Array, counts: Array, spread: Array) -> Array:
    """The e-th empty cluster moves next to the e-th largest: with random noise of a hundredth of the points' deviation."""
    empty = counts == 0
    donor = jnp.argsort(-counts)[(jnp.cumsum(empty) - 1) % jnp.sum(~empty)]
    nudged = means[donor] + 0.01 * spread * jax.random.normal(rng, means.shape, means.dtype)
    return jnp.where(empty[:, None], nudged, means)
