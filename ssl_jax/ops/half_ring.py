"""Pairs of rows on several devices, for `pairs`: rows pass through half of a ring, so that every pair of shards meets once.

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
from ssl_jax.ops.pair_blocks import Rows


def meet_all(axis_name: str, mine: Rows, between: Callable[[Rows, Rows], tuple[Array, Array]]) -> Array:
    """The sum of what all pairs with rows of other shards add to the rows of this one, in blocks.

    Args:
      mine: the rows of this shard, in blocks of an even number.
      between: two sets of rows -> what their pairs add to the rows of either.
    """
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
    own = own + pass_on(theirs, axis_name, distance=-half)
    if count % 2:
        return own
    for_own, for_visitors = _share(axis_name, mine, visitors, between)
    return own + for_own + pass_on(for_visitors, axis_name, distance=count // 2)


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
