"""Log-sum-exp of every row against all the others of the batch, for in-batch contrastive losses.

M: rows of this shard; D: size of a row, which has unit length or is zero; N: rows of all shards; b: rows in a block. A score
is `inverse_temperature * row . other`. Row indices count through all shards, in their order.

Scores of rows with each other are symmetric, and where all rows are on one device half of them are enough. Only blocks
(i, j >= i) are visited: their exponentials add to the sums of i by rows and of j by columns, and in the gradient, where
they are recomputed, one matrix of weights serves both. That takes 4 N^2 D operations forward and backward;
the plain formula takes 6 and this project's general reduction 8. With unit length the highest possible score is known,
so that no running maximum is needed, unless the temperature is so low that exponentials underflow.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import cut_rows
from ssl_jax.ops.collectives import devices_under, varying_together
from ssl_jax.ops.streaming import log_sum_exp

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
      skip: `[M, S]` integers: the row itself and others, but not all. If i skips j, then j skips i.
      axis_name: mapped axis over which the rows are sharded.
      block_size: b; with an axis, rows then pass through a ring. None chooses by size.

    Returns:
      `[M]`, float32.
    """
    bounded = not isinstance(inverse_temperature, Array) and 0 < inverse_temperature <= HIGHEST_SCORE
    if axis_name is None and devices_under(rows) == 1 and bounded:
        block = block_size or (BLOCK if len(rows) > ONE_BLOCK else len(rows))
        (rows,) = varying_together([rows])
        return _symmetric(float(inverse_temperature), min(block, len(rows)), rows, skip)
    return log_sum_exp(
        rows,
        rows,
        inverse_temperature=inverse_temperature,
        skip=skip,
        axis_name=axis_name,
        block_size=block_size,
    )


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _symmetric(scale: float, block: int, rows: Array, skip: Array) -> Array:
    return _forward(scale, block, rows, skip)[0]


def _forward(scale: float, block: int, rows: Array, skip: Array) -> tuple[Array, tuple[Array, ...]]:
    weights = _blocks_of_weights(scale, block, rows, skip)

    def visit_row(i: Array, sums: Array) -> Array:
        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, sums = carried
            _, _, weight = weights(i, j)
            return own + weight.sum(axis=1), _add(sums, j, weight.sum(axis=0))

        own, sums = lax.fori_loop(i + 1, len(sums), visit, (weights(i, i)[2].sum(axis=1), sums))
        return _add(sums, i, own)

    count = -(-len(rows) // block)
    sums, _ = varying_together((jnp.zeros((count, block), rows.dtype), rows))
    sums = lax.fori_loop(0, count, visit_row, sums).reshape(-1)[: len(rows)]
    return jnp.log(sums) + scale, (rows, skip, sums)


def _backward(scale: float, block: int, kept: tuple[Array, ...], cotangent: Array) -> tuple[Array, None]:
    rows, skip, sums = kept
    weights = _blocks_of_weights(scale, block, rows, skip)
    shares = cut_rows(scale * cotangent / sums, block)

    def visit_row(i: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
        first, _, weight = weights(i, i)
        own = _product(weight * (shares[i][:, None] + shares[i][None]), first)
        first_transposed = first.T

        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, of_columns = carried
            _, second, weight = weights(i, j)
            slopes = weight * (shares[i][:, None] + shares[j][None])
            # [D, b] rather than [b, D]: XLA's CPU product is half as fast when its long side has to be transposed.
            return own + _product(slopes, second), _add(of_columns, j, _product(first_transposed, slopes))

        of_rows, of_columns = carried
        own, of_columns = lax.fori_loop(i + 1, len(of_columns), visit, (own, of_columns))
        return lax.dynamic_update_index_in_dim(of_rows, own, i, 0), of_columns

    count, dim = len(shares), rows.shape[1]
    zeros = (jnp.zeros(shape, rows.dtype) for shape in ((count, block, dim), (count, dim, block)))
    start, _ = varying_together((tuple(zeros), rows))
    of_rows, of_columns = lax.fori_loop(0, count, visit_row, start)
    return (of_rows + of_columns.mT).reshape(-1, dim)[: len(rows)], None


_symmetric.defvjp(_forward, _backward)


def _blocks_of_weights(scale, block, rows, skip):
    """A function of i and j to blocks of rows `[b, D]` and exponentials of their scores, less the highest possible."""
    total, rows, skip = len(rows), cut_rows(rows, block), cut_rows(skip, block)

    def weights(i: Array, j: Array) -> tuple[Array, Array, Array]:
        indices = j * block + jnp.arange(block)
        included = (indices < total)[None]
        for skipped in skip[i].T:
            included = included & (indices[None] != skipped[:, None])
        weight = jnp.exp((_product(rows[i], rows[j].T) - 1) * scale)
        return rows[i], rows[j], jnp.where(included, weight, 0)

    return weights


def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision="highest")


def _add(blocks: Array, i: Array, block: Array) -> Array:
    return lax.dynamic_update_index_in_dim(blocks, blocks[i] + block, i, 0)
