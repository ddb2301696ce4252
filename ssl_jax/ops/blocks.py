"""Rows in blocks, and products of narrow numbers with wide sums: what computing piece by piece is made of.

K: rows; b: rows in a block.
"""

import jax.numpy as jnp
from jax import Array


def product(equation: str, left: Array, right: Array) -> Array:
    """An einsum in the narrower of the two types, summed in float32 or wider."""
    narrow = min(left.dtype, right.dtype, key=lambda dtype: dtype.itemsize)
    return jnp.einsum(
        equation,
        left.astype(narrow),
        right.astype(narrow),
        precision="highest",
        preferred_element_type=wide(narrow),
    )


def wide(dtype: jnp.dtype) -> jnp.dtype:
    """The type of sums over numbers of a type: float32, or float64 for float64."""
    return max(jnp.dtype(dtype), jnp.dtype(jnp.float32), key=lambda dtype: dtype.itemsize)


def cut_rows(rows: Array, block: int) -> Array:
    """`[K, ...]` -> `[K / b, b, ...]`, with zeros at the end where b does not divide K."""
    count = -(-len(rows) // block)
    padding = ((0, count * block - len(rows)), *((0, 0),) * (rows.ndim - 1))
    return jnp.pad(rows, padding).reshape(count, block, *rows.shape[1:])
