"""Log-sum-exp of every row against all the others of the batch, for in-batch contrastive losses.

M: rows of this shard; D: size of a row, which has unit length or is zero; N: rows of all shards; b: rows in a block. A score
is `inverse_temperature * row . other`. Row indices count through all shards, in their order.

Scores of rows with each other are symmetric, so that half of them are enough: their exponentials add to the sums of one row and
of the other, and in the gradient, where they are recomputed, one matrix of weights serves both. That takes 4 N M D operations
on each shard, forward and backward; the plain formula takes 6 and this project's general reduction 8. On one device blocks
(i, j >= i) are visited; several devices compare every pair of shards once (`meet_all`). With unit length the highest possible
score is known, so that no running maximum is needed, unless the temperature is so low that exponentials underflow.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import devices_under, on_several_devices, platform_of, shards, varying_together
from ssl_jax.ops.comparison import Precision, chosen_comparison
from ssl_jax.ops.half_ring import meet_all
from ssl_jax.ops.pair_blocks import (
    Scoring,
    gradients_between,
    gradients_within,
    rows_in_blocks,
    sums_between,
    sums_within,
)
from ssl_jax.ops.streaming import log_sum_exp, most_scores

HIGHEST_SCORE = 40.0  # exp(-2 * 40) is the smallest exponential, and representable in float32
# Measured on two cores: one block is fastest up to 2048 rows, then blocks that fit into the cache. On an H200, forward and
# backward of 32,768 rows take 158.9 ms in blocks of 512, 30.1 in blocks of 2048 and 22.5 in blocks of 4096.
ONE_BLOCK, CPU_BLOCK, BLOCK = 2048, 512, 4096


def log_sums_over_others(
    rows: Array,
    skip: Array,
    *,
    inverse_temperature: float | Array,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision = "highest",
) -> Array:
    """Logarithm of the sum of the exponentials of each row's scores with all rows of all shards except those in `skip`.

    Args:
      rows: `[M, D]`, float32.
      skip: `[M, S]` integers: the row itself, first, and others, but not all. If i skips j, then j skips i.
      axis_name: mapped axis over which the rows are sharded.
      block_size: b; with an axis, rows then pass through a ring. None chooses by size.
      precision: of products, see `ops.comparison`.

    Returns:
      `[M]`, float32.
    """
    bounded = not isinstance(inverse_temperature, Array) and 0 < inverse_temperature <= HIGHEST_SCORE
    ring = on_several_devices(axis_name) and _in_a_ring(rows, axis_name, block_size)
    if not bounded or not (ring or (axis_name is None and devices_under(rows) == 1)):
        return log_sum_exp(
            rows, rows, inverse_temperature=inverse_temperature, skip=skip, axis_name=axis_name, block_size=block_size,
            precision=precision,
        )  # fmt: skip
    block = block_size or chosen_comparison().block_size or _block_by_size(rows)
    block = min(block, len(rows))
    block += block % 2 if ring else 0  # Even, so that two shards can share the pairs of a block.
    rows, skip = varying_together((rows, skip))
    return _symmetric(axis_name, Scoring(float(inverse_temperature), precision), block, rows, skip)


def _block_by_size(rows: Array) -> int:
    if platform_of(rows) != "cpu":
        return BLOCK
    return CPU_BLOCK if len(rows) > ONE_BLOCK else len(rows)


def _in_a_ring(rows: Array, axis_name: str | None, block_size: int | None) -> bool:
    """Whether rows pass from device to device, as `softmax_sum` chooses where keys do."""
    chosen = chosen_comparison()
    by_size = (block_size or chosen.block_size) is None and len(rows) ** 2 * shards(axis_name) <= most_scores(rows)
    return chosen.keys == "ring" or (chosen.keys == "auto" and not by_size)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _symmetric(axis_name: str | None, scoring: Scoring, block: int, rows: Array, skip: Array) -> Array:
    return _forward(axis_name, scoring, block, rows, skip)[0]


def _forward(axis_name: str | None, scoring: Scoring, block: int, rows: Array, skip: Array) -> tuple[Array, Any]:
    mine = rows_in_blocks(rows, skip, block)
    sums = sums_within(scoring, mine)
    if axis_name is not None:
        sums = sums + meet_all(axis_name, mine, partial(sums_between, scoring))
    sums = sums.reshape(-1)[: len(rows)]
    return jnp.log(sums) + scoring.scale, (rows, skip, sums)


def _backward(axis_name: str | None, scoring: Scoring, block: int, kept: Any, cotangent: Array) -> tuple[Array, None]:
    rows, skip, sums = kept
    mine = rows_in_blocks(rows, skip, block, shares=scoring.scale * cotangent / sums)
    gradient = gradients_within(scoring, mine)
    if axis_name is not None:
        gradient = gradient + meet_all(axis_name, mine, partial(gradients_between, scoring))
    return gradient.reshape(-1, rows.shape[1])[: len(rows)], None


_symmetric.defvjp(_forward, _backward)
