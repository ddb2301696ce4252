"""A first-in first-out memory of embeddings, as a value (MoCo, NNCLR, the late queue of SwAV).

K: rows of the queue; B: keys pushed at once; D: size of an embedding. A queue comes in as an argument and goes out as a
result; nothing is changed in place. Over shards there are two layouts, which hold the same set of rows:
- replicated: every shard holds all K rows and pushes the keys of all shards (`replicate_rows`); read it without a name;
- cut: every shard holds its own K / shards rows and pushes its own keys, without communication; read it with the name.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.collectives import gather_rows
from ssl_jax.ops.normalize import unit_length


class Queue(NamedTuple):
    """Rows in a ring: `next` is the oldest row, which is overwritten first."""

    rows: Array  # [K, D]
    next: Array  # int32, in [0, K)
    filled: Array  # int32, in [0, K]: rows that were pushed; the others are random, and stand first in line to go


def fresh(rng: Array, length: int, dim: int) -> Queue:
    """`length` random directions of size `dim`, float32: negatives that teach nothing until keys have replaced them."""
    if length < 1 or dim < 1:
        raise ValueError(f"queue.fresh: length and dim must be at least 1, got {length} and {dim}")
    return Queue(unit_length(jax.random.normal(rng, (length, dim))), jnp.int32(0), jnp.int32(0))


def push(queue: Queue, keys: Array) -> Queue:
    """The queue with its B oldest rows replaced by `keys` `[B, D]`, without gradient, in the queue's dtype.

    Push after the loss, so that the queue holds keys of former batches only. The length must be a multiple of B, so
    that the keys of one batch leave together and a cut queue holds the same rows as a whole one.

    Raises:
      ValueError: the keys do not fit the rows, are none, or do not divide the queue's length.
    """
    length, dim = queue.rows.shape
    if keys.ndim != 2 or keys.shape[1] != dim:
        raise ValueError(f"queue.push: keys must be [B, {dim}] like the queue's rows, got {keys.shape}")
    if len(keys) == 0 or length % len(keys):
        raise ValueError(f"queue.push: the queue's length must be a multiple of the keys, got {length} and {len(keys)}")
    places = (queue.next + jnp.arange(len(keys), dtype=jnp.int32)) % length
    rows = queue.rows.at[places].set(lax.stop_gradient(keys).astype(queue.rows.dtype))
    filled = jnp.minimum(queue.filled + len(keys), length)
    return Queue(rows, (queue.next + len(keys)) % length, filled)


def read(queue: Queue, *, axis_name: str | None = None) -> Array:
    """All rows, `[K, D]`; those of all shards, in shard order, when the queue is cut over `axis_name`."""
    return gather_rows(queue.rows, axis_name)
