"""Seeds of k-means: k-means++, one by one or several at once, or any points, of points that may be sharded.

B: points of this shard; N: points of the whole set; D: their dimension; K: clusters; b: seeds that are drawn at once.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.collectives import max_over_shards, mean_over_shards, replicate_rows, row_numbers

# Mean distance from the seeds, as a part of that from the mean, above which float32 products resolve it.
RESOLVED = 1e-3


def draw_seeds(
    rng: Array, points: Array, weights: Array, clusters: int, *, at_once: int, axis_name: str | None
) -> Array:
    """`[K, D]`: each seed is a point drawn in proportion to its weight and its squared distance from the seeds before it.

    Of several at once, all are drawn in proportion to the distances from the seeds before them, and each is kept with
    the probability by which those kept among them have reduced its distance: as if they were drawn one by one, while
    all points are read once.

    Distances are those of products, several times as fast as differences, until they are so small beside the
    squares of which they are the difference that rounding would show: then they are computed again, from differences.

    Args:
      rng: key, the same on every shard.
      points, weights: `[B, D]` and `[B]`, of the same type.
      clusters: K, at most N.
      at_once: b, at least 1.
      axis_name: mapped axis over which the points are sharded; None: they are the whole set.

    Source: Arthur and Vassilvitskii 2007, k-means++: the advantages of careful seeding.
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

    def draw(count, distances, carry):
        number, seeds, nearest = carry
        key = jax.random.fold_in(rng, number)
        found, before = _draw_rows(key, (points, nearest), weights * nearest, count, axis_name)
        kept = _kept(jax.random.fold_in(key, 1), found, before) if count > 1 else jnp.ones(1, bool)
        index = number + jnp.cumsum(kept) - 1
        kept = kept & (index < clusters)
        seeds = seeds.at[jnp.where(kept, index, clusters)].set(found, mode="drop")
        reached = jnp.where(kept[None], jax.vmap(distances, out_axes=1)(found), jnp.inf)
        return number + kept.sum(dtype=number.dtype), seeds, jnp.minimum(nearest, reached.min(axis=1))

    first = _draw_rows(jax.random.fold_in(rng, 0), points, weights, 1, axis_name)[0]
    seeds = jnp.zeros((clusters, points.shape[1]), points.dtype).at[0].set(first)
    carry = jnp.int32(1), seeds, from_differences(first)
    number, seeds, nearest = lax.while_loop(
        lambda carry: (carry[0] < clusters) & (mean_over_shards(carry[2].mean(), axis_name) > least),
        partial(draw, at_once, from_products),
        carry,
    )
    before = jnp.where(number < clusters, number, 0)  # The distances from all seeds are not needed any more.
    nearest = lax.fori_loop(
        0,
        before,
        lambda of, nearest: jnp.minimum(nearest, from_differences(seeds[of])),
        jnp.full_like(nearest, jnp.inf),
    )
    return lax.while_loop(
        lambda carry: carry[0] < clusters, partial(draw, 1, from_differences), (number, seeds, nearest)
    )[1]


def draw_any(rng: Array, points: Array, weights: Array, clusters: int, *, axis_name: str | None) -> Array:
    """`[K, D]`: K different points in proportion to their weights; of fewer than K with a weight, one several times.

    One random number a point decides, which is the same for any number of shards.

    Args:
      rng, points, weights, clusters, axis_name: as in `draw_seeds`.

    Source: Efraimidis and Spirakis 2006, https://doi.org/10.1016/j.ipl.2005.11.003.
    """
    weights = replicate_rows(weights, axis_name)
    ranks, rows = lax.top_k(jnp.log(weights) + jax.random.gumbel(rng, weights.shape, weights.dtype), clusters)
    rows = jnp.where(ranks > -jnp.inf, rows, rows[0])
    here = rows - row_numbers(len(points), axis_name)[0]
    is_here = (here >= 0) & (here < len(points))
    return max_over_shards(jnp.where(is_here[:, None], points[here], -jnp.inf), axis_name)


def _kept(rng: Array, found: Array, before: Array) -> Array:
    """Which of `found` `[b, D]`, drawn in proportion to `before` `[b]`, are kept, the first in any case: `[b]`."""
    between = jnp.sum((found[:, None] - found[None]) ** 2, axis=2)
    least = jax.random.uniform(rng, before.shape, before.dtype) * before

    def decide(number, kept):
        return kept.at[number].set(jnp.min(between[number], initial=jnp.inf, where=kept) > least[number])

    return lax.fori_loop(0, len(found), decide, jnp.zeros(len(found), bool))


def _draw_rows(rng: Array, tree: Any, weights: Array, count: int, axis_name: str | None) -> Any:
    """Rows of the N of each leaf, drawn in proportion to their weights: `[count, ...]`, equal for any number of shards."""
    running = jnp.cumsum(weights)
    shard_ends = jnp.cumsum(replicate_rows(running[-1:], axis_name))
    target = jax.random.uniform(rng, (count,), shard_ends.dtype) * shard_ends[-1]
    shard = _place(shard_ends, target)
    row = _place(running, target - jnp.where(shard > 0, shard_ends[shard - 1], 0))

    def take(leaf):
        return replicate_rows(leaf[row][None], axis_name)[shard, jnp.arange(count)]

    return jax.tree.map(take, tree)


def _place(ends: Array, target: Array) -> Array:
    """The index at which running sums exceed the target; where rounding makes it too large, the last with a part of the sum."""
    return jnp.minimum(jnp.searchsorted(ends, target, side="right"), jnp.searchsorted(ends, ends[-1], side="left"))
