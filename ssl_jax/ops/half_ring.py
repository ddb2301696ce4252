"""`pairs.log_sums_over_others` over several devices: rows pass through half of a ring, so that every pair of shards meets once.

M: rows of this shard; D: size of a row; n: shards; b: rows in a block.

A shard compares its rows with themselves and with those of the h = (n - 1) / 2 shards before it. What a pair adds to the sums,
and to the gradient, of the visiting rows travels with them, a step behind, and goes home at the end; the next rows are
transferred while the present ones are compared. Where n is even, the two shards that are n / 2 apart meet twice and share the
work: one compares the first half of its rows with all of the other's, the other one the second half.
Each shard computes 4 n M^2 D operations, forward and backward, and holds O(M D + b^2) numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.collectives import pass_on, shards, varying_together
from ssl_jax.ops.pair_blocks import (
    Rows,
    gradients_between,
    gradients_within,
    rows_in_blocks,
    sums_between,
    sums_within,
)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def log_sums(axis_name: str, scale: float, block: int, rows: Array, skip: Array) -> Array:
    """`[M]` for rows `[M, D]` of unit length that are sharded over the axis, and `skip` `[M, S]`, a row's own index first."""
    return _forward(axis_name, scale, block, rows, skip)[0]


def _forward(axis_name: str, scale: float, block: int, rows: Array, skip: Array) -> tuple[Array, Any]:
    mine = rows_in_blocks(rows, skip, block + block % 2)  # Even, for `_share`.
    met = _meet_all(axis_name, mine, partial(sums_between, scale))
    sums = (sums_within(scale, mine) + met).reshape(-1)[: len(rows)]
    return jnp.log(sums) + scale, (rows, skip, sums)


def _backward(axis_name: str, scale: float, block: int, kept: Any, cotangent: Array) -> tuple[Array, None]:
    rows, skip, sums = kept
    mine = rows_in_blocks(rows, skip, block + block % 2, shares=scale * cotangent / sums)
    met = _meet_all(axis_name, mine, partial(gradients_between, scale))
    return (gradients_within(scale, mine) + met).reshape(-1, rows.shape[1])[: len(rows)], None


log_sums.defvjp(_forward, _backward)


def _meet_all(axis_name: str, mine: Rows, between: Callable[[Rows, Rows], tuple[Array, Array]]) -> Array:
    """The sum of what all pairs with rows of other shards add to the rows of this one, in blocks."""
    count = shards(axis_name)
    half = (count - 1) // 2
    nothing = jnp.zeros_like(jax.eval_shape(between, mine, mine)[0])

    def step(carried: Any, _: None) -> tuple[Any, None]:
        own, theirs, visitors = carried
        coming, theirs = pass_on((visitors, theirs), axis_name)  # Independent of what follows: transferred meanwhile.
        for_own, for_visitors = between(mine, visitors)
        return (own + for_own, theirs + for_visitors, coming), None

    start = varying_together((nothing, nothing, pass_on(mine, axis_name)))
    (own, theirs, visitors), _ = lax.scan(step, start, None, length=half)
    own = own + _shift(theirs, axis_name, -half)
    if count % 2:
        return own
    for_own, for_visitors = _share(axis_name, mine, visitors, between)
    return own + for_own + _shift(for_visitors, axis_name, count // 2)


def _share(
    axis_name: str, mine: Rows, visitors: Rows, between: Callable[[Rows, Rows], tuple[Array, Array]]
) -> tuple[Array, Array]:
    """What half of the pairs with the shard that is n / 2 away add to the rows of both; that shard computes the other half.

    The shard of the lower number takes the first half of the rows of each of its blocks, the other one the second half of the
    same blocks, so that both run one program.
    """
    lower = lax.axis_index(axis_name) < shards(axis_name) // 2
    half = mine.blocks.shape[1] // 2
    left, right = jax.tree.map(
        partial(jnp.where, lower),
        (jax.tree.map(lambda part: part[:, :half], mine), visitors),
        (jax.tree.map(lambda part: part[:, half:], visitors), mine),
    )
    for_left, for_right = between(left, right)
    none = jnp.zeros_like(for_left)
    before, after = jnp.concatenate([for_left, none], axis=1), jnp.concatenate([none, for_left], axis=1)
    return jnp.where(lower, before, for_right), jnp.where(lower, for_right, after)


def _shift(array: Array, axis_name: str, distance: int) -> Array:
    """The array of the shard that is `distance` before this one, counted around the ring."""
    count = shards(axis_name)
    return lax.ppermute(array, axis_name, [(shard, (shard + distance) % count) for shard in range(count)])
