"""A memory bank: one stored embedding for each example of the data set, as a value (NPID, PIRL, AVID).

L: examples of the data set; B: examples read or written at once; D: size of an embedding. A bank is an argument and
a result of functions; nothing is changed in place. An entry is as old as the last step with its example: half an epoch
on average.

With `axis_name=None` the bank is whole. With a name each shard holds L / shards consecutive entries, in shard
order, and refers to its examples by their index in the whole data set: rows are communicated, the bank is not. To keep a
whole bank on every shard instead, `write` the indices and rows of all shards (`replicate_rows`) without a name.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_integers, check_key, check_range, check_type
from ssl_jax.ops.collectives import gather_rows, row_numbers, shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length


class Bank(NamedTuple):
    """Entry i, of unit length, belongs to example i."""

    rows: Array  # [L, D], or [L / shards, D]


def fresh(rng: Array, length: int, dim: int) -> Bank:
    """`length` random directions of size `dim`, float32.

    Example:
      >>> print(fresh(jax.random.key(0), length=100, dim=4).rows.shape)
      (100, 4)
    """
    check_key("bank.fresh", rng=rng)
    check_count("bank.fresh", length=length, dim=dim)
    return Bank(unit_length(jax.random.normal(rng, (length, dim))))


@on_explicit_axes
def read(bank: Bank, index: Array, *, axis_name: str | None = None) -> Array:
    """Entries of the examples `index` (integers of any shape `[...]`): `[..., D]`, without gradient.

    An index outside [0, L) gives a row of NaN, so that the loss shows that the bank is too short.

    Example:
      >>> print(read(fresh(jax.random.key(0), 100, 4), jnp.array([[3, 5], [7, 9]])).shape)
      (2, 2, 4)
    """
    check_type("bank.read", Bank, bank=bank)
    check_integers("bank.read", index=index)
    rows = take_rows(lax.stop_gradient(bank.rows), index.reshape(-1), axis_name=axis_name)
    length = len(bank.rows) * shards(axis_name)
    valid = (index.reshape(-1) >= 0) & (index.reshape(-1) < length)
    return jnp.where(valid[:, None], rows, jnp.nan).reshape(*index.shape, bank.rows.shape[1])


@on_explicit_axes
def take_rows(rows: Array, index: Array, *, axis_name: str | None = None) -> Array:
    """The rows of the examples `index` `[B]`, of an array with a row for each example: `[B, ...]`, 0 for an invalid index.

    rows: numbers `[L, ...]`, or `[L / shards, ...]`: labels for instance.

    Example:
      >>> print(take_rows(jnp.array([7, 8, 9]), jnp.array([2, 0])))
      [9 7]
    """
    check_arrays("bank.take_rows", rows=rows)
    check_integers("bank.take_rows", index=index)
    if index.ndim != 1 or not rows.size:
        raise ValueError(
            f"bank.take_rows: needs rows [L, ...], not empty, and index [B], got {rows.shape} and {index.shape}"
        )
    row = _local_row(len(rows), gather_rows(index, axis_name), axis_name)
    taken = jnp.asarray(rows).at[row].get(mode="fill", fill_value=0)
    if axis_name is None:
        return taken
    return lax.psum_scatter(taken, axis_name, tiled=True)  # only the row of the owning shard is not 0


@on_explicit_axes
def write(bank: Bank, index: Array, rows: Array, *, momentum: float = 0.5, axis_name: str | None = None) -> Bank:
    """The bank with entry i at unit length of `momentum * entry + (1 - momentum) * row`, for each i in `index`.

    Rows are scaled to unit length first, and lose their gradient. Rows of one example are averaged over all shards,
    so that order does not matter. An index outside [0, L) is ignored. An entry that would become zero stays
    unchanged.

    Args:
      index: `[B]` integers.
      rows: `[B, D]`.
      momentum: weight of the old entry, in [0, 1]; 0.5 in PIRL and AVID.

    Raises:
      ValueError: the rows do not fit the indices or the bank, or the momentum is not in [0, 1].

    Example:
      >>> entries = Bank(jnp.eye(2))
      >>> print(write(entries, jnp.array([0]), jnp.array([[0.0, 1.0]]), momentum=0.0).rows)
      [[0. 1.]
       [0. 1.]]
    """
    check_type("bank.write", Bank, bank=bank)
    check_integers("bank.write", index=index)
    check_arrays("bank.write", rows=rows)
    check_range("bank.write", 0, 1, momentum=momentum)
    if rows.shape != (*index.shape, bank.rows.shape[1]) or index.ndim != 1:
        raise ValueError(
            f"bank.write: needs index [B] and rows [B, {bank.rows.shape[1]}], got {index.shape} and {rows.shape}"
        )
    rows = gather_rows(unit_length(lax.stop_gradient(rows)), axis_name)
    row = _local_row(len(bank.rows), gather_rows(index, axis_name), axis_name)

    row, slot = jnp.unique(row, return_inverse=True, size=len(row), fill_value=len(bank.rows))
    counts = jax.ops.segment_sum(jnp.ones((len(slot), 1), jnp.float32), slot, len(row))
    means = jax.ops.segment_sum(rows, slot, len(row)) / jnp.maximum(counts, 1)
    old = bank.rows.at[row].get(mode="clip").astype(jnp.float32)
    new = unit_length(momentum * old + (1 - momentum) * means)
    new = jnp.where(jnp.any(new != 0, axis=1, keepdims=True), new, old)
    return Bank(bank.rows.at[row].set(new.astype(bank.rows.dtype), mode="drop"))


def others(rng: Array, index: Array, count: int, *, length: int) -> Array:
    """`count` indices in [0, length) for each of `index` `[B]`, uniform over all but itself: `[B, count]` int32.

    Each example has its own key, from `rng` and its index: its draws do not depend on the rest of the batch.

    Example:
      >>> print(others(jax.random.key(0), jnp.array([0, 1]), 4, length=2))
      [[1 1 1 1]
       [0 0 0 0]]
    """
    check_key("bank.others", rng=rng)
    check_integers("bank.others", index=index)
    check_count("bank.others", count=count, length=length)
    if index.ndim != 1:
        raise ValueError(f"bank.others: index must be [B], got {index.shape}")
    if length < 2:
        raise ValueError(f"bank.others: length must be at least 2, so that another entry exists, got {length}")

    def of_one(key: Array, own: Array) -> Array:
        return (own.astype(jnp.int32) + jax.random.randint(key, (count,), 1, length)) % length

    return jax.vmap(of_one)(keys_of(rng, index), index)


def keys_of(rng: Array, index: Array) -> Array:
    """A key for each example, `[B]`, that depends on its index and not on its position in the batch.

    Example:
      >>> print(keys_of(jax.random.key(0), jnp.arange(3)).shape)
      (3,)
    """
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(rng, index)


def _local_row(held: int, index: Array, axis_name: str | None) -> Array:
    """Row of each example among the `held` ones of this shard; `held`, which is no row, where another shard or none has it."""
    row = index.astype(jnp.int32) - row_numbers(held, axis_name)[0].astype(jnp.int32)
    return jnp.where((row >= 0) & (row < held), row, held)  # negative indices would count from the end
