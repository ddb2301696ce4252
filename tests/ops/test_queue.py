"""The queue against a Python list, its two layouts over shards, and its refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import WITHOUT_GRADIENT, in_pieces

from ssl_jax.ops import queue
from ssl_jax.ops.collectives import gather_rows
from ssl_jax.ops.queue import Queue

push = jax.jit(queue.push)
KEY = jax.random.key(0)


def keys(number, rows=4):
    return jnp.full((rows, 3), 10.0 * number) + jnp.arange(float(rows))[:, None]


def test_fresh_rows_are_random_directions():
    fresh = queue.fresh(KEY, 8, 3)
    np.testing.assert_allclose(jnp.linalg.norm(fresh.rows, axis=1), 1, rtol=1e-6)
    assert len(np.unique(fresh.rows, axis=0)) == 8
    assert int(fresh.pushes) == 0


def test_first_in_first_out():
    value, remembered = queue.fresh(KEY, 12, 3), []
    for number in range(8):
        value = push(value, keys(number))
        remembered = [*remembered, *np.asarray(keys(number))][-12:]
        assert bool(queue.is_full(value, 4)) == (len(remembered) == 12)
        held = sorted(map(tuple, np.asarray(queue.read(value)).tolist()))
        assert set(map(tuple, np.asarray(remembered).tolist())) <= set(held)
        oldest = np.asarray(value.rows)[int(value.pushes) % 3]
        if len(remembered) == 12:
            np.testing.assert_array_equal(oldest, remembered[0])


def test_keys_lose_their_gradient_and_take_the_dtype_of_the_queue():
    value = Queue(jnp.zeros((8, 3), jnp.bfloat16), jnp.int32(0))
    assert push(value, keys(1)).rows.dtype == jnp.bfloat16
    value = queue.fresh(KEY, 8, 3)
    assert not jax.grad(lambda k: queue.push(value, k).rows.sum())(keys(1)).any()


@pytest.mark.parametrize(("way", "shards"), WITHOUT_GRADIENT)
def test_both_layouts_hold_the_rows_of_the_whole_queue(way, shards):
    whole = queue.fresh(KEY, 32, 3)
    start, batches = whole, [jax.random.normal(jax.random.key(n), (8, 3)) for n in range(5)]
    for batch in batches:
        whole = push(whole, batch)

    def replicated(value, *batches):
        for batch in batches:
            if way == "shard_map":  # its checker must be told that what is gathered is the same everywhere
                keys = jax.lax.all_gather(batch, "data", tiled=True, to="invarying")
            else:
                keys = gather_rows(batch, "data")
            value = queue.push(value, keys)
        return queue.read(value)

    def cut(rows, *batches):
        value = Queue(rows, jnp.int32(0))
        for batch in batches:
            value = queue.push(value, batch)
        return queue.read(value, axis_name="data").sum(axis=0, keepdims=True), value.rows

    pieces = in_pieces(replicated, way, shards, cut=(None, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(pieces(start, *batches), whole.rows, rtol=1e-6)
    pieces = in_pieces(cut, way, shards, cut=(0, 0, 0, 0, 0, 0), joined=(0, 0))
    sums, rows = pieces(start.rows, *batches)
    np.testing.assert_allclose(rows, whole.rows, rtol=1e-6)  # in the same places
    np.testing.assert_allclose(sums, np.tile(whole.rows.sum(axis=0), (shards, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((4, 2), r"queue.push: keys must be \[B, 3\].*got \(4, 2\)"),
        ((3,), r"got \(3,\)"),
        ((5, 3), "must be a multiple of the keys, got 12 and 5"),
        ((24, 3), "got 12 and 24"),
        ((0, 3), "got 12 and 0"),
    ],
)
def test_wrong_input_is_one_sentence(shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        queue.push(queue.fresh(KEY, 12, 3), jnp.ones(shape))


def test_an_empty_queue_is_refused():
    with pytest.raises(ValueError, match=r"queue\.fresh: length must be a whole number of at least 1, got 0"):
        queue.fresh(KEY, 0, 3)
