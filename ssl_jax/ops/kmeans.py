"""k-means from k-means++ or random seeds, on points that may be sharded.

B: points of this shard; N: points of the whole set; D: their dimension; K: clusters. With `axis_name=None` the points are
the whole set; with a name they are one shard of it under that mapped axis. Points are compared in blocks, so
memory is O(B D + block K), never O(B K). On a CPU a block and its scores fit into the cache, where also the sums of clusters
are made: a round then takes 1.3 to 1.5 times as long as its products.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import floats
from ssl_jax.ops.checks import (
    check_arrays,
    check_choice,
    check_count,
    check_finite,
    check_flags,
    check_key,
    check_not_negative,
    given,
)
from ssl_jax.ops.collectives import max_over_shards, mean_over_shards, platform_of, shards, varying_together
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.kmeans_seeds import draw_any, draw_seeds
from ssl_jax.ops.normalize import power_of_two, unit_length

CANDIDATES = 4  # centroids with exact distances from a point where products do not resolve which is nearest
ROUNDED = (
    1e-5  # of the variance: less is left within clusters by rounding, where the variance between them is subtracted
)
MARK = 2.0**23  # Added to indices below it, which float32 then holds exactly.
ROUNDING = 8  # units of it in the lengths of a point and a centroid: nearer ones than that are not resolved

# Points of a block; on a CPU these and their scores fit into the caches: on two cores 512 of 512 numbers are compared with 64
# to 2,000 centroids 1.5 to 1.8 times as fast as 4,096.
BLOCK, CACHED_BLOCK = 4096, 512

# Clusters up to which seeds are drawn one by one unless the caller says otherwise, and how many at once of more.
ONE_BY_ONE, TOGETHER = 256, 32


Seeds = Literal["k-means++", "random"]


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
    seeds: Seeds = "k-means++",
    seeds_at_once: int | None = None,
    block_size: int | None = None,
    axis_name: str | None = None,
) -> Clusters:
    """Lloyd's k-means, from seeds of k-means++ or from random ones.

    An empty cluster moves next to a full one, the largest first, and takes about half of it in the next round; this
    needs no communication and keeps clusters even. Fewer distinct points than clusters leave some clusters empty. Rounds end
    before their number where one changes nothing.

    Args:
      rng: key, the same on every shard.
      points: `[B, D]`.
      clusters: K, at most N.
      iterations: rounds after the seeds; 0 returns the seeds.
      spherical: compare directions: points and centroids are scaled to unit length (DeepCluster-v2).
      weights: `[B]`, of 0 or more: points count in this proportion. A point of weight 0, such as padding, has a label and
        changes nothing else. None: all are 1.
      seeds: "k-means++" draws points far from one another; "random" takes any, which needs no pass over the points, as
        faiss, DeepCluster and DeepCluster-v2 do.
      seeds_at_once: seeds of k-means++ drawn together. Those too near to one another are rejected at random, such that any
        number draws from the same distribution, by the same key other seeds. None: 1 up to 256 clusters, 32 for more.
      block_size: points compared with all centroids at a time; None chooses by platform.
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
    check_count("kmeans", clusters=clusters, **given(seeds_at_once=seeds_at_once, block_size=block_size))
    check_count("kmeans", iterations=iterations, least=0)
    check_key("kmeans", rng=rng)
    check_flags("kmeans", spherical=spherical)
    check_choice("kmeans", get_args(Seeds), seeds=seeds)
    check_finite("kmeans", points=points)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"kmeans: points must be [B, D] with at least one row and column, got {points.shape}")
    total = len(points) * shards(axis_name)
    if clusters > total:
        raise ValueError(f"kmeans: clusters must be between 1 and the {total} points, got {clusters}")
    equal = weights is None
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

    heaviness = mean_over_shards(weights.mean(), axis_name)
    heaviness = jnp.where(heaviness > 0, heaviness, 1)
    if seeds_at_once is None:
        seeds_at_once = 1 if clusters <= ONE_BY_ONE else TOGETHER

    middle, variance = _moments(points, weights / heaviness, axis_name)

    def lloyd(carry):
        number, before, _ = carry
        sums, counts = mean_over_shards(_sums(points, None if equal else weights, before, block_size), axis_name)
        means = sums / jnp.where(counts > 0, counts, 1)[:, None]
        spread = _spread(means, counts, middle, variance)
        means = _fill_empty(jax.random.fold_in(rng, clusters + number), means, counts, spread)
        means = unit_length(means) if spherical else means
        return number + 1, means, jnp.any(means != before)

    drawn = draw_any if seeds == "random" else partial(draw_seeds, at_once=seeds_at_once)
    start = jnp.int32(0), drawn(rng, points, weights, clusters, axis_name=axis_name), jnp.bool_(True)
    _, centroids, _ = lax.while_loop(lambda carry: (carry[0] < iterations) & carry[2], lloyd, start)
    labels, distance = nearest_centroid(points, centroids, block_size=block_size)
    inertia = mean_over_shards((weights * distance).mean(), axis_name) / heaviness
    return Clusters(centroids * size, labels, inertia * size * size)


@on_explicit_axes
def nearest_centroid(points: Array, centroids: Array, *, block_size: int | None = None) -> tuple[Array, Array]:
    """`[B, D]` points and `[K, D]` centroids -> `[B]` index of the nearest centroid and squared distance to it.

    block_size: points compared at a time; None chooses by platform.
    """
    check_arrays("nearest_centroid", points=points, centroids=centroids)
    check_count("nearest_centroid", **given(block_size=block_size))
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
    nearest = _nearest(centroids)

    def visit(found, rows, start, new):
        labels = nearest(rows)
        distances = jnp.sum((rows - centroids[labels]) ** 2, axis=1)
        return tuple(
            lax.dynamic_update_slice(whole, part.astype(whole.dtype), (start,))
            for whole, part in zip(found, (labels, distances), strict=True)
        )

    kind = jnp.result_type(points, centroids)
    nothing = jnp.zeros(len(points), jnp.int32), jnp.zeros(len(points), kind)
    return _over_blocks(visit, nothing, points, _block(points, block_size))


def _moments(points: Array, weights: Array, axis_name: str | None) -> tuple[Array, Array]:
    """The mean of all points, `[1, D]`, and of their squared distances to it, in proportion to weights whose mean is 1."""

    def average(values):
        return mean_over_shards((weights[:, None] * values).mean(axis=0, keepdims=True), axis_name)

    middle = average(points)
    return middle, average((points - middle) ** 2).sum()


def _spread(means: Array, counts: Array, middle: Array, variance: Array) -> Array:
    """The deviation of points from the means of their clusters, a number: of all variance, what is not between the means."""
    between = jnp.sum(counts[:, None] * (means - middle) ** 2) / counts.sum()
    within = jnp.where(variance - between > ROUNDED * variance, variance - between, 0)
    return jnp.sqrt(within / means.shape[1])


def _sums(points: Array, weights: Array | None, centroids: Array, block_size: int | None) -> tuple[Array, Array]:
    """Of each cluster, the weighted sum of its points `[K, D]` and the sum of their weights `[K]`; None: all weights are 1."""
    nearest = _nearest(centroids)

    def visit(carry, rows, start, new):
        sums, counts = carry
        labels = jnp.where(new, nearest(rows), len(centroids))  # Those out of bounds are not added.
        if weights is None:
            return sums.at[labels].add(rows, mode="drop"), counts.at[labels].add(1, mode="drop")
        parts = lax.dynamic_slice_in_dim(weights, start, len(rows))
        return sums.at[labels].add(parts[:, None] * rows, mode="drop"), counts.at[labels].add(parts, mode="drop")

    nothing = jnp.zeros_like(centroids), jnp.zeros(len(centroids), points.dtype)
    return _over_blocks(visit, nothing, points, _block(points, block_size))


def _block(points: Array, block_size: int | None) -> int:
    if block_size is None:
        block_size = CACHED_BLOCK if platform_of(points) == "cpu" else BLOCK
    return min(block_size, len(points))


def _over_blocks(visit: Callable[..., Any], carry: Any, points: Array, block: int) -> Any:
    """`carry` after `carry = visit(carry, rows, start, new)` of each block of rows, which begins at `start`.

    The last block is as long as the others, and so begins with rows of the one before it: of these `new` `[block]` is False.
    """

    def step(number, carry):
        start = jnp.minimum(number * block, len(points) - block)
        new = start + jnp.arange(block) >= number * block
        return visit(carry, lax.dynamic_slice_in_dim(points, start, block), start, new)

    *carry, _ = varying_together((*carry, points[0, 0]))
    return lax.fori_loop(0, -(-len(points) // block), step, tuple(carry))


def _nearest(centroids: Array) -> Callable[[Array], Array]:
    """The function of points `[b, D]` that finds the nearest centroid of each, `[b]`.

    Products decide, where the best is further ahead of the second than their rounding; in a block where one is not, exact
    distances of the best few.
    """
    middle = centroids.mean(axis=0)  # far from the origin, the products below would cancel
    shifted = centroids - middle[None]
    squares = jnp.sum(shifted**2, axis=1)
    longest = jnp.sqrt(squares.max())

    def nearest(rows):
        away = rows - middle[None]
        closeness = jnp.dot(away, shifted.T, precision="highest") - squares[None] / 2
        best = closeness.max(axis=1)
        rounding = ROUNDING * jnp.finfo(closeness.dtype).eps * longest * (longest + jnp.sqrt(jnp.sum(away**2, axis=1)))
        # One sum in place of an argmax, which takes ten times as long on CPUs, and a second maximum: where only one centroid is
        # as near as the best, up to rounding, its index above MARK.
        numbers = MARK + lax.broadcasted_iota(jnp.float32, closeness.shape, 1)
        found = jnp.where(closeness >= (best - rounding)[:, None], numbers, 0).sum(axis=1)
        alone = jnp.all((found >= MARK) & (found < 2 * MARK))

        def exactly():
            near = lax.top_k(closeness, min(CANDIDATES, len(centroids)))[1].astype(jnp.int32)
            distances = jnp.sum((rows[:, None] - centroids[near]) ** 2, axis=2)
            return jnp.take_along_axis(near, jnp.argmin(distances, axis=1, keepdims=True), axis=1)[:, 0]

        return lax.cond(alone, lambda: (found - MARK).astype(jnp.int32), exactly)

    return nearest


def _fill_empty(rng: Array, means: Array, counts: Array, spread: Array) -> Array:
    """The e-th empty cluster moves next to the e-th largest: with random noise of a hundredth of the points' deviation."""
    empty = counts == 0
    donor = jnp.argsort(-counts)[(jnp.cumsum(empty) - 1) % jnp.sum(~empty)]
    nudged = means[donor] + 0.01 * spread * jax.random.normal(rng, means.shape, means.dtype)
    return jnp.where(empty[:, None], nudged, means)
