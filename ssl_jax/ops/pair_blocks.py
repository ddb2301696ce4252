"""Exponentials of the scores of pairs of rows, block by block: their sums, and the gradient of these, for both rows of a pair.

D: size of a row; b: rows in a block; K, L: blocks of two sets of rows. Both `pairs` and `half_ring` are made of these.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import cut_rows
from ssl_jax.ops.collectives import varying_together
from ssl_jax.ops.comparison import Precision


class Scoring(NamedTuple):
    """How scores are taken: `scale` times the product of two rows, in a precision of `comparison`."""

    scale: float
    precision: Precision

    def product(self, left: Array, right: Array) -> Array:
        return jnp.matmul(left, right, precision=self.precision)


class Rows(NamedTuple):
    """Rows of unit length, or zero, in blocks; the last one is filled up with rows that are not counted.

    blocks: `[K, b, D]`.
    skip: `[K, b, S]` indices of the rows that a row is not compared with, the first its own.
    shares: `[K, b]` slopes of the loss in the sums, divided by these; None while sums are taken.
    """

    blocks: Array
    skip: Array
    shares: Any = None


def rows_in_blocks(rows: Array, skip: Array, block: int, *, shares: Array | None = None) -> Rows:
    """`[M, D]`, `[M, S]` and `[M]` in blocks; rows that fill up the last block have the index -1."""
    padding = -len(rows) % block
    skip = jnp.pad(skip, ((0, padding), (0, 0)), constant_values=-1)
    return Rows(cut_rows(rows, block), cut_rows(skip, block), None if shares is None else cut_rows(shares, block))


def sums_within(scoring: Scoring, rows: Rows) -> Array:
    """`[K, b]` sums of the exponentials of each row's scores with the others of the set, less the highest possible score."""
    weights = weights_between(scoring, rows, rows)

    def visit_row(i: Array, sums: Array) -> Array:
        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, sums = carried
            weight = weights(i, j)
            return own + weight.sum(axis=1), _add(sums, j, weight.sum(axis=0))

        own, sums = lax.fori_loop(i + 1, len(sums), visit, (weights(i, i).sum(axis=1), sums))
        return _add(sums, i, own)

    return lax.fori_loop(0, len(rows.blocks), visit_row, _zeros(rows.blocks.shape[:2], rows))


def sums_between(scoring: Scoring, left: Rows, right: Rows) -> tuple[Array, Array]:
    """`[K, b]` sums of the rows of one set over those of another, and `[L, b]` the other way round."""
    weights = weights_between(scoring, left, right)

    def visit_row(i: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, of_right = carried
            weight = weights(i, j)
            return own + weight.sum(axis=1), _add(of_right, j, weight.sum(axis=0))

        of_left, of_right = carried
        own, of_right = lax.fori_loop(0, len(right.blocks), visit, (of_left[i], of_right))
        return lax.dynamic_update_index_in_dim(of_left, own, i, 0), of_right

    start = _zeros(left.blocks.shape[:2], left), _zeros(right.blocks.shape[:2], right)
    return lax.fori_loop(0, len(left.blocks), visit_row, varying_together(start))


def gradients_within(scoring: Scoring, rows: Rows) -> Array:
    """`[K, b, D]`, by the `shares` of the rows."""
    weights, (blocks, _, shares) = weights_between(scoring, rows, rows), rows

    def visit_row(i: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
        first = blocks[i]
        own = scoring.product(weights(i, i) * (shares[i][:, None] + shares[i][None]), first)
        first_transposed = first.T

        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, of_columns = carried
            slopes = weights(i, j) * (shares[i][:, None] + shares[j][None])
            # [D, b] rather than [b, D]: XLA's CPU product is half as fast when its long side has to be transposed.
            return own + scoring.product(slopes, blocks[j]), _add(
                of_columns, j, scoring.product(first_transposed, slopes)
            )

        of_rows, of_columns = carried
        own, of_columns = lax.fori_loop(i + 1, len(of_columns), visit, (own, of_columns))
        return lax.dynamic_update_index_in_dim(of_rows, own, i, 0), of_columns

    start = _zeros(blocks.shape, rows), _zeros(blocks.mT.shape, rows)
    of_rows, of_columns = lax.fori_loop(0, len(blocks), visit_row, start)
    return of_rows + of_columns.mT


def gradients_between(scoring: Scoring, left: Rows, right: Rows) -> tuple[Array, Array]:
    """`[K, b, D]` and `[L, b, D]`, by the `shares` of both sets."""
    weights = weights_between(scoring, left, right)

    def visit_row(i: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
        share, transposed = left.shares[i][:, None], left.blocks[i].T

        def visit(j: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
            own, of_right = carried
            slopes = weights(i, j) * (share + right.shares[j][None])
            return own + scoring.product(slopes, right.blocks[j]), _add(
                of_right, j, scoring.product(transposed, slopes)
            )

        of_left, of_right = carried
        own, of_right = lax.fori_loop(0, len(right.blocks), visit, (of_left[i], of_right))
        return lax.dynamic_update_index_in_dim(of_left, own, i, 0), of_right

    start = _zeros(left.blocks.shape, left), _zeros(right.blocks.mT.shape, right)
    of_left, of_right = lax.fori_loop(0, len(left.blocks), visit_row, varying_together(start))
    return of_left, of_right.mT


def weights_between(scoring: Scoring, left: Rows, right: Rows) -> Callable[[Array, Array], Array]:
    """A function of i and j to the exponentials of the scores of two blocks, less the highest possible score, `[b, b]`.

    0 where a row of one block skips that of the other, and for rows that fill up a block.
    """

    def weights(i: Array, j: Array) -> Array:
        indices = right.skip[j][:, 0]
        included = (indices >= 0)[None] & (left.skip[i][:, :1] >= 0)
        for skipped in left.skip[i].T:
            included = included & (indices[None] != skipped[:, None])
        weight = jnp.exp((scoring.product(left.blocks[i], right.blocks[j].T) - 1) * scoring.scale)
        return jnp.where(included, weight, 0)

    return weights


def _zeros(shape: tuple[int, ...], like: Rows) -> Array:
    return varying_together((jnp.zeros(shape, like.blocks.dtype), like))[0]


def _add(blocks: Array, i: Array, block: Array) -> Array:
    return lax.dynamic_update_index_in_dim(blocks, blocks[i] + block, i, 0)
