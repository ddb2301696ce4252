"""One remembered embedding for each example of the data set, as a value (NPID, PIRL, AVID).

L: examples of the data set; B: examples touched at once; D: size of an embedding. A bank comes in as an argument and
goes out as a result; nothing is changed in place. An entry is as old as the last visit to its example: half an epoch on
average.

`axis_name=None` says that the bank is whole. A name says that each shard holds L / shards consecutive entries, in shard
order, and asks for its own examples by their number in the whole data set: rows travel, the bank does not. To keep a
whole bank on every shard instead, `write` the numbers and rows of all shards (`replicate_rows`) without a name.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_integers, check_range
from ssl_jax.ops.collectives import gather_rows, row_numbers, shards
from ssl_jax.ops.normalize import unit_length


class Bank(NamedTuple):
    """Entry i, of unit length, belongs to example i."""

    rows: Array  # [L, D], or [L / shards, D]


def fresh(rng: Array, length: int, dim: int) -> Bank:
    """`length` random directions of size `dim`, float32."""
    check_count("bank.fresh", length=length, dim=dim)
    return Bank(unit_length(jax.random.normal(rng, (length, dim))))


def read(bank: Bank, index: Array, *, axis_name: str | None = None) -> Array:
    """Entries of the examples `index` (integers of any shape `[...]`): `[..., D]`, without gradient.

    A number outside [0, L) gives a row of NaN: the bank is too short, and the loss should say so.
    """
    check_integers("bank.read", index=index)
    numbers = gather_rows(index.reshape(-1), axis_name)
    place = _place_here(bank, numbers, axis_name)
    if axis_name is None:
        rows = bank.rows.at[place].get(mode="fill", fill_value=jnp.nan)
    else:
        rows = bank.rows.at[place].get(mode="fill", fill_value=0)
        rows = lax.psum_scatter(rows, axis_name, tiled=True)  # of all shards, only the owner's row is not 0
        length = len(bank.rows) * shards(axis_name)
        known = (index.reshape(-1) >= 0) & (index.reshape(-1) < length)
        rows = jnp.where(known[:, None], rows, jnp.nan)
    return lax.stop_gradient(rows).reshape(*index.shape, bank.rows.shape[1])


def write(bank: Bank, index: Array, rows: Array, *, momentum: float = 0.5, axis_name: str | None = None) -> Bank:
    """The bank with entry i at unit length of `momentum * entry + (1 - momentum) * row`, for each i in `index`.

    Rows are scaled to unit length first, and lose their gradient. Rows of one example are averaged, whichever shard
    they came from, so that order does not matter. A number outside [0, L) is dropped. An entry that would vanish stays
    as it was.

    Args:
      index: `[B]` integers.
      rows: `[B, D]`.
      momentum: weight of what was remembered, in [0, 1]; 0.5 in PIRL and AVID.

    Raises:
      ValueError: the rows do not fit the numbers or the bank, or the momentum is not in [0, 1].
    """
    check_integers("bank.write", index=index)
    check_arrays("bank.write", rows=rows)
    check_range("bank.write", 0, 1, momentum=momentum)
    if rows.shape != (*index.shape, bank.rows.shape[1]) or index.ndim != 1:
        raise ValueError(
            f"bank.write: needs index [B] and rows [B, {bank.rows.shape[1]}], got {index.shape} and {rows.shape}"
        )
    rows = gather_rows(unit_length(lax.stop_gradient(rows)), axis_name)
    place = _place_here(bank, gather_rows(index, axis_name), axis_name)

    place, slot = jnp.unique(place, return_inverse=True, size=len(place), fill_value=len(bank.rows))
    counts = jax.ops.segment_sum(jnp.ones((len(slot), 1), jnp.float32), slot, len(place))
    means = jax.ops.segment_sum(rows, slot, len(place)) / jnp.maximum(counts, 1)
    old = bank.rows.at[place].get(mode="clip").astype(jnp.float32)
    new = unit_length(momentum * old + (1 - momentum) * means)
    new = jnp.where(jnp.any(new != 0, axis=1, keepdims=True), new, old)
    return Bank(bank.rows.at[place].set(new.astype(bank.rows.dtype), mode="drop"))


def others(rng: Array, index: Array, count: int, *, length: int) -> Array:
    """`count` numbers in [0, length) for each of `index` `[B]`, uniform over all but itself: `[B, count]` int32.

    Each example has a key of its own, out of `rng` and its number: the same draws whatever it is in a batch with.
    """
    check_integers("bank.others", index=index)
    check_count("bank.others", count=count, length=length)
    if length < 2:
        raise ValueError(f"bank.others: length must be at least 2 for there to be another entry, got {length}")

    def of_one(key: Array, number: Array) -> Array:
        return (number.astype(jnp.int32) + jax.random.randint(key, (count,), 1, length)) % length

    return jax.vmap(of_one)(keys_of(rng, index), index)


def keys_of(rng: Array, index: Array) -> Array:
    """A key for each example, `[B]`, that depends on its number and not on its place."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(rng, index)


def _place_here(bank: Bank, index: Array, axis_name: str | None) -> Array:
    """Row in this shard of each example; `len(bank.rows)`, which no row has, where it is held elsewhere or nowhere."""
    held = len(bank.rows)
    place = index.astype(jnp.int32) - row_numbers(held, axis_name)[0].astype(jnp.int32)
    return jnp.where((place >= 0) & (place < held), place, held)  # negative numbers would count from the end
