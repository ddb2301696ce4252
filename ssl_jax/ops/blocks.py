"""Rows in blocks, and products of narrow types with wide sums, for blockwise computation.

K: rows; b: rows in a block.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.collectives import varying_together


def floats(*arrays: Array) -> tuple[Array, ...]:
    """The arrays in floating-point types that can be summed together: the promotion rule of the project.

    Integers and booleans become float32, and so does float64 unless all are float64. Narrower floating-point types are kept.
    """
    double = all(array.dtype == jnp.float64 for array in arrays)

    def as_floats(array: Array) -> Array:
        narrow = jnp.issubdtype(array.dtype, jnp.floating) and (double or array.dtype.itemsize <= 4)
        return array if narrow else array.astype(jnp.float32)

    return tuple(as_floats(array) for array in arrays)


def mixed_precision_einsum(equation: str, left: Array, right: Array, precision: str = "highest") -> Array:
    """An einsum in the narrower of the two floating-point types (see `floats`), summed in float32 or wider.

    precision: of the products of float32, see `comparison`; "highest" takes them in float32 on accelerators, too.
    """
    left, right = floats(left, right)
    narrow = min(left.dtype, right.dtype, key=lambda dtype: dtype.itemsize)
    return jnp.einsum(
        equation,
        left.astype(narrow),
        right.astype(narrow),
        precision=precision,
        preferred_element_type=accumulation_dtype(narrow),
    )


def accumulation_dtype(dtype: Any) -> jnp.dtype:
    """The type of sums over elements of a type: float32, or float64 for float64."""
    return jnp.dtype(jnp.float64 if dtype == jnp.float64 else jnp.float32)


def cut_rows(rows: Array, block: int) -> Array:
    """`[K, ...]` -> `[K / b, b, ...]`, with zeros at the end where b does not divide K."""
    count = -(-len(rows) // block)
    padding = ((0, count * block - len(rows)), *((0, 0),) * (rows.ndim - 1))
    return jnp.pad(rows, padding).reshape(count, block, *rows.shape[1:])


def equal_blocks(count: int, most: int) -> int:
    """Rows in a block when so many rows are cut into equal blocks of at most `most`, or of one row."""
    return -(-count // -(-count // max(1, most)))


def map_blocks(function: Callable[[Array], Array], rows: Array, block: int) -> Array:
    """`function(rows)` by blocks of the rows, one after the other; zeros fill up the last block.

    For its derivatives only the rows are kept, without values within the function.
    """
    blocks = cut_rows(rows, block)
    function = jax.checkpoint(function, prevent_cse=False)
    results = lax.map(function, blocks) if len(blocks) > 1 else function(blocks[0])[None]
    return results.reshape(-1, *results.shape[2:])[: len(rows)]


def sum_over_blocks(term: Callable[..., Array], arrays: tuple[Array, ...], block: int) -> Array:
    """The sum of `term(*blocks)` over the blocks of the rows, one after the other; zeros fill up the last block.

    For its derivatives no values within a term are kept, but computed again.
    """
    cut = tuple(cut_rows(array, block) for array in arrays)
    like = jax.eval_shape(term, *(array[0] for array in cut))
    term = jax.checkpoint(term, prevent_cse=False)
    zeros, *cut = varying_together((jnp.zeros(like.shape, like.dtype), *cut))
    return lax.scan(lambda total, blocks: (total + term(*blocks), None), zeros, tuple(cut))[0]
