"""A first-in first-out queue of embeddings, as a value (MoCo, NNCLR, and SwAV after some epochs).

K: rows of the queue; B: keys pushed at once; D: size of an embedding. A queue is an argument and a result of
functions; nothing is changed in place. Row `b * (K / B) + t` holds the key of row b of the batch that was pushed at time t,
modulo K / B. A queue that is sharded over devices along its rows, as the batch is, therefore takes the keys of its own part of
the batch without communication, and holds the same rows at the same indices on any number of devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_key, check_type
from ssl_jax.ops.collectives import gather_rows
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length


class Queue(NamedTuple):
    """Rows of a ring buffer, and the number of pushes; rows that no key has replaced yet are random."""

    rows: Array  # [K, D], or [K / shards, D]
    pushes: Array  # int32


def fresh(rng: Array, length: int, dim: int) -> Queue:
    """`length` random directions of size `dim`, float32: uninformative negatives until keys have replaced them.

    Example:
      >>> print(fresh(jax.random.key(0), length=100, dim=4).rows.shape)
      (100, 4)
    """
    check_key("queue.fresh", rng=rng)
    check_count("queue.fresh", length=length, dim=dim)
    return Queue(unit_length(jax.random.normal(rng, (length, dim))), jnp.int32(0))


@on_explicit_axes
def push(queue: Queue, keys: Array) -> Queue:
    """The queue with its B oldest rows replaced by `keys` `[B, D]`, without gradient, in the queue's dtype.

    Push after the loss, so that the queue holds keys of former batches only. The length must be a multiple of B, so
    that the keys of one batch are replaced together. With a sharded queue, each shard pushes its own keys.

    Raises:
      ValueError: the keys do not fit the rows, are empty, or do not divide the queue's length.

    Example:
      >>> keys = jnp.array([[1.0, 0.0]])
      >>> print(push(fresh(jax.random.key(0), 1, 2), keys).rows)
      [[1. 0.]]
    """
    check_type("queue.push", Queue, queue=queue)
    check_arrays("queue.push", keys=keys)
    length, dim = queue.rows.shape
    if keys.ndim != 2 or keys.shape[1] != dim:
        raise ValueError(f"queue.push: keys must be [B, {dim}] like the queue's rows, got {keys.shape}")
    if len(keys) == 0 or length % len(keys):
        raise ValueError(f"queue.push: the queue's length must be a multiple of the keys, got {length} and {len(keys)}")
    times = length // len(keys)
    rows = queue.rows.reshape(len(keys), times, dim)
    keys = lax.stop_gradient(keys).astype(rows.dtype)
    rows = lax.dynamic_update_index_in_dim(rows, keys, queue.pushes % times, axis=1)
    return Queue(rows.reshape(length, dim), queue.pushes + 1)


def is_full(queue: Queue, batch: int) -> Array:
    """Whether keys, `batch` at a time, have replaced all rows; for a sharded queue, `batch` is that of the shard.

    Example:
      >>> queue = push(fresh(jax.random.key(0), 4, 2), jnp.ones((2, 2)))
      >>> print(is_full(queue, 2))
      False
    """
    return queue.pushes * batch >= len(queue.rows)


def read(queue: Queue, *, axis_name: str | None = None) -> Array:
    """All rows, `[K, D]`; those of all shards, in shard order, when the queue is sharded over `axis_name`.

    Example:
      >>> print(read(fresh(jax.random.key(0), 4, 2)).shape)
      (4, 2)
    """
    return gather_rows(queue.rows, axis_name)
