"""Collectives that are the identity when one shard holds everything (`axis_name=None`).

B: rows held by this shard; N: rows of the whole batch, shards in the order of their number.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def gather_rows(rows: Array, axis_name: str | None) -> Array:
    """`[B, ...]` on each shard -> `[N, ...]` on every shard; the gradient returns to the shard that owns the row."""
    return rows if axis_name is None else lax.all_gather(rows, axis_name, tiled=True)


def row_numbers(rows: int, axis_name: str | None) -> Array:
    """Where this shard's rows stand in the whole batch: `[B]` integers below N."""
    first = 0 if axis_name is None else lax.axis_index(axis_name) * rows
    return first + jnp.arange(rows)


def mean_over_shards(tree: Any, axis_name: str | None) -> Any:
    """Mean of every leaf over shards of equal size."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)
