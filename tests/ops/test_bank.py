"""The bank against a loop in numpy, cut over shards, and with numbers that repeat or do not exist."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import WITHOUT_GRADIENT, in_pieces

from ssl_jax.ops import bank
from ssl_jax.ops.bank import Bank

KEY = jax.random.key(0)
read, write = jax.jit(bank.read), jax.jit(bank.write, static_argnames="momentum")
others = jax.jit(bank.others, static_argnums=2, static_argnames="length")
INDEX = jnp.array([3, 15, 0, 3, 9, 8, 3, 1])


def unit(row):
    return row / np.linalg.norm(row)


def by_loop(rows, index, new, momentum=0.5):
    rows, new, index = np.asarray(rows, np.float64), np.asarray(new, np.float64), np.asarray(index)
    result = rows.copy()
    for i in set(index.tolist()):
        if 0 <= i < len(rows):
            mean = np.mean([unit(row) for row in new[index == i]], axis=0)
            result[i] = unit(momentum * rows[i] + (1 - momentum) * mean)
    return result


def new_rows(seed=1):
    return 5 * jax.random.normal(jax.random.key(seed), (8, 4))


@pytest.mark.slow
def test_write_is_a_moving_average_at_unit_length_and_repeats_are_averaged():
    start = bank.fresh(KEY, 16, 4)
    for momentum in (0.5, 0.0, 1.0):
        written = write(start, INDEX, new_rows(), momentum=momentum)
        np.testing.assert_allclose(written.rows, by_loop(start.rows, INDEX, new_rows(), momentum), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(written.rows, axis=1), 1, rtol=1e-6)


def test_order_of_repeats_does_not_matter():
    start, order = bank.fresh(KEY, 16, 4), jax.random.permutation(KEY, 8)
    shuffled = write(start, INDEX[order], new_rows()[order])
    np.testing.assert_allclose(shuffled.rows, write(start, INDEX, new_rows()).rows, rtol=1e-6, atol=1e-7)


def test_numbers_that_do_not_exist_are_dropped_by_write_and_nan_to_read():
    start = bank.fresh(KEY, 16, 4)
    index = jnp.array([-1, 16, 2, -16, 1000, 2**31 - 1, -(2**31), 15])
    written = write(start, index, new_rows())
    np.testing.assert_allclose(written.rows, by_loop(start.rows, index, new_rows()), rtol=1e-5, atol=1e-6)
    came = np.asarray(read(start, index))
    known = np.array([0, 0, 1, 0, 0, 0, 0, 1], bool)
    np.testing.assert_array_equal(np.isnan(came).all(axis=1), ~known)
    np.testing.assert_array_equal(came[known], start.rows[jnp.array([2, 15])])


def test_read_keeps_the_shape_of_the_numbers_and_passes_no_gradient():
    start = bank.fresh(KEY, 16, 4)
    index = INDEX.reshape(2, 4)
    np.testing.assert_array_equal(read(start, index), start.rows[index])
    read_sum = jax.jit(jax.grad(lambda rows: bank.read(Bank(rows), index).sum()))
    write_sum = jax.jit(jax.grad(lambda rows: bank.write(start, INDEX, rows).rows.sum()))
    assert not read_sum(start.rows).any()
    assert not write_sum(new_rows()).any()


def test_entries_never_vanish():
    """A zero row moves nothing, and the exact opposite would leave no direction."""
    start = bank.fresh(KEY, 2, 4)
    written = write(start, jnp.array([0, 1]), jnp.stack([jnp.zeros(4), -start.rows[1]]))
    np.testing.assert_allclose(written.rows, start.rows, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype):
    start = Bank(bank.fresh(KEY, 16, 4).rows.astype(dtype))
    written = write(start, INDEX, new_rows().astype(dtype))
    assert written.rows.dtype == dtype
    expected = by_loop(start.rows.astype("float32"), INDEX, new_rows().astype(dtype).astype("float32"))
    np.testing.assert_allclose(written.rows.astype("float32"), expected, atol=1e-2)


@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_a_cut_bank_equals_the_whole_one(way, shards):
    start = bank.fresh(KEY, 16, 4)
    index = INDEX.at[4].set(-1).at[7].set(16)
    pieces = in_pieces(functools.partial(bank.write, axis_name="data"), way, shards, cut=(0, 0, 0), joined=0)
    written = pieces(start, index, new_rows())
    np.testing.assert_allclose(written.rows, write(start, index, new_rows()).rows, rtol=1e-6, atol=1e-7)
    pieces = in_pieces(functools.partial(bank.read, axis_name="data"), way, shards, cut=(0, 0), joined=0)
    np.testing.assert_array_equal(pieces(start, index), read(start, index))


def test_others_are_uniform_and_never_the_item_itself():
    drawn = np.asarray(others(KEY, jnp.array([0, 2, 4]), 3000, length=5))
    for item, row in zip((0, 2, 4), drawn, strict=True):
        counts = np.bincount(row, minlength=5)
        assert counts[item] == 0
        assert np.abs(counts[counts > 0] / 3000 - 0.25).max() < 0.04


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda b: bank.read(b, jnp.ones(2)), "bank.read: index must be integers, got float32"),
        (lambda b: bank.write(b, jnp.arange(2), jnp.ones((3, 4))), r"rows \[B, 4\], got \(2,\) and \(3, 4\)"),
        (lambda b: bank.write(b, jnp.arange(2), jnp.ones((2, 3))), r"got \(2,\) and \(2, 3\)"),
        (lambda b: bank.write(b, INDEX, new_rows(), momentum=1.5), r"momentum must be in \[0, 1\], got 1.5"),
        (lambda b: bank.others(KEY, INDEX, 3, length=1), "length must be at least 2.*got 1"),
        (lambda b: bank.fresh(KEY, 4, 0), "bank.fresh: dim must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(bank.fresh(KEY, 16, 4))
