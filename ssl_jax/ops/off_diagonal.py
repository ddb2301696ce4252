"""The redundancy of dimensions: squared correlations beside the diagonal, without the matrix where dimensions are many.

B: examples of this shard; N: examples of the whole batch; D: dimensions. With `axis_name=None` the arrays hold the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.collectives import gather_rows, mean_over_shards, row_numbers, shards

# Cosine of the Gram matrices of two views. Below it, their sum loses more than four of the 24 bits of float32.
LEAST_COSINE = 1 / 16


def off_diagonal_squares(first: Array, second: Array, axis_name: str | None) -> Array:
    """Sum of `C_ij^2` over i != j, for `C = first^T second / N` over the whole batch.

    With few dimensions C is computed. With many, the sum of all squares is that of the product of two Gram matrices `[N, N]`,
    entry by entry, from which the diagonal's is subtracted where float32 resolves the difference: always, as long as no few
    dimensions have most of the variance. Otherwise the diagonal is left out: each shard computes its share of the rows of C, a
    block at a time.

    Args:
      first, second: `[B, D]`, float32, centred.
      axis_name: mapped axis over which the batch is sharded; None: the arrays are the whole batch.
    """
    total, dim = len(first) * shards(axis_name), first.shape[1]
    if 2 * total > dim:
        correlation = mean_over_shards(jnp.matmul(first.T, second, precision="highest") / len(first), axis_name)
        return _squares_beside(correlation, jnp.arange(dim))

    whole = gather_rows(first, axis_name), gather_rows(second, axis_name)
    grams = [
        jnp.matmul(rows, all.T, precision="highest") / total for rows, all in zip((first, second), whole, strict=True)
    ]
    sums = [jnp.sum(one * other) for one, other in (grams, grams[:1] * 2, grams[1:] * 2)]
    squares, of_first, of_second = mean_over_shards(jnp.stack(sums), axis_name) * shards(axis_name)
    on_diagonal = jnp.sum(diagonal(first, second, axis_name) ** 2)
    resolved = (squares > 2 * on_diagonal) & (squares > LEAST_COSINE * jnp.sqrt(of_first) * jnp.sqrt(of_second))
    return lax.cond(resolved, lambda: squares - on_diagonal, lambda: _in_blocks(*whole, axis_name))


def diagonal(first: Array, second: Array, axis_name: str | None) -> Array:
    """Diagonal of `C = first^T second / N` over the whole batch, `[D]`."""
    return mean_over_shards(jnp.mean(first * second, axis=0), axis_name)


def _in_blocks(first: Array, second: Array, axis_name: str | None) -> Array:
    """`off_diagonal_squares` of the whole batch on each shard, `[N, D]`, by blocks of rows of C."""
    (total, dim), count = first.shape, shards(axis_name)
    blocks = -(-dim // (2 * total * count))  # in each shard
    block = -(-dim // (blocks * count))
    first = jnp.pad(first / total, ((0, 0), (0, blocks * count * block - dim)))

    @jax.checkpoint
    def of_block(number: Array) -> Array:
        columns = lax.dynamic_slice_in_dim(first, number * block, block, axis=1)
        rows = jnp.matmul(columns.T, second, precision="highest")  # [block, D]
        return _squares_beside(rows, number * block + jnp.arange(block))

    return count * mean_over_shards(lax.map(of_block, row_numbers(blocks, axis_name)).sum(), axis_name)


def _squares_beside(rows: Array, diagonal: Array) -> Array:
    """Sum of the squares of `[R, D]`, without row r's entry at `diagonal[r]`."""
    beside = diagonal[:, None] != jnp.arange(rows.shape[1])[None]
    return jnp.sum(jnp.where(beside, rows, 0) ** 2)
