"""Log-sum-exp of every row against all the others of the batch, for in-batch contrastive losses.

M: rows of this shard; D: size of a row, which has unit length or is zero; N: rows of all shards; b: rows in a block. A score
is `inverse_temperature * row . other`. Row indices count through all shards, in their order.

Scores of rows with each other are symmetric, so that half of them are enough: their exponentials add to the sums of one row and
of the other, and in the gradient, where they are recomputed, one matrix of weights serves both. That takes 4 N M D operations
on each shard, forward and backward; the plain formula takes 6 and this project's general reduction 8. On one device blocks
(i, j >= i) are visited; several devices compare every pair of shards once (`half_ring`). With unit length the highest possible
score is known, so that no running maximum is needed, unless the temperature is so low that exponentials underflow.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops import half_ring
from ssl_jax.ops.collectives import devices_under, on_several_devices, shards, varying_together
from ssl_jax.ops.exchange import chosen_exchange
from ssl_jax.ops.pair_blocks import gradients_within, rows_in_blocks, sums_within
from ssl_jax.ops.streaming import MOST_SCORES, log_sum_exp

HIGHEST_SCORE = 40.0  # exp(-2 * 40) is the smallest exponential, and representable in float32
# Measured on two cores: one block is fastest up to 2048 rows, then blocks that fit into the cache.
ONE_BLOCK, BLOCK = 2048, 512


def log_sums_over_others(
    rows: Array,
    skip: Array,
    *,
    inverse_temperature: float | Array,
    axis_name: str | None = None,
    block_size: int | None = None,
) -> Array:
    """Logarithm of the sum of the exponentials of each row's scores with all rows of all shards except those in `skip`.

    Args:
      rows: `[M, D]`, float32.
      skip: `[M, S]` integers: the row itself, first, and others, but not all. If i skips j, then j skips i.
      axis_name: mapped axis over which the rows are sharded.
      block_size: b; with an axis, rows then pass through a ring. None chooses by size.

    Returns:
      `[M]`, float32.
    """
    symmetric: Callable[..., Array] | None
    if isinstance(inverse_temperature, Array) or not 0 < inverse_temperature <= HIGHEST_SCORE:
        symmetric = None
    elif axis_name is None and devices_under(rows) == 1:
        symmetric = _symmetric
    elif on_several_devices(axis_name) and _in_a_ring(rows, axis_name, block_size):
        symmetric = partial(half_ring.log_sums, axis_name)
    else:
        symmetric = None
    if symmetric is None:
        return log_sum_exp(
            rows, rows, inverse_temperature=inverse_temperature, skip=skip, axis_name=axis_name, block_size=block_size
        )
    block = block_size or chosen_exchange().block_size or (BLOCK if len(rows) > ONE_BLOCK else len(rows))
    rows, skip = varying_together((rows, skip))
    return symmetric(float(inverse_temperature), min(block, len(rows)), rows, skip)


def _in_a_ring(rows: Array, axis_name: str | None, block_size: int | None) -> bool:
    """Whether rows pass from device to device, as `softmax_sum` chooses where keys do."""
    chosen = chosen_exchange()
    by_size = (block_size or chosen.block_size) is None and len(rows) ** 2 * shards(axis_name) <= MOST_SCORES
    return chosen.keys == "ring" or (chosen.keys == "auto" and not by_size)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _symmetric(scale: float, block: int, rows: Array, skip: Array) -> Array:
    return _forward(scale, block, rows, skip)[0]


def _forward(scale: float, block: int, rows: Array, skip: Array) -> tuple[Array, tuple[Array, ...]]:
    sums = sums_within(scale, rows_in_blocks(rows, skip, block)).reshape(-1)[: len(rows)]
    return jnp.log(sums) + scale, (rows, skip, sums)


def _backward(scale: float, block: int, kept: tuple[Array, ...], cotangent: Array) -> tuple[Array, None]:
    rows, skip, sums = kept
    shares = scale * cotangent / sums
    gradient = gradients_within(scale, rows_in_blocks(rows, skip, block, shares=shares))
    return gradient.reshape(-1, rows.shape[1])[: len(rows)], None


_symmetric.defvjp(_forward, _backward)
