"""The order: each epoch a permutation, decided by the seed, the same for any division among processes."""

import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import order
from ssl_jax.data.order import batch_indices, rows_of


def numbers(step, *, seed=0):
    return batch_indices(step, size=22, batch_size=8, seed=seed)


def test_an_epoch_sees_no_example_twice_and_the_next_is_in_another_order():
    first = np.concatenate([numbers(0), numbers(1)])
    second = np.concatenate([numbers(2), numbers(3)])
    for epoch in (first, second):
        assert len(set(epoch.tolist())) == 16 and set(epoch.tolist()) <= set(range(22))
    assert not np.array_equal(first, second)


def test_it_is_the_permutation_of_the_seed_and_the_epoch():
    np.testing.assert_array_equal(numbers(5, seed=7), np.random.RandomState([7, 2]).permutation(22)[8:16])
    assert numbers(5).dtype == np.int32
    assert not np.array_equal(numbers(0, seed=0), numbers(0, seed=1))


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("axes", [("data",), ("data", "model")])
def test_processes_read_each_row_once_in_runs_and_together_the_whole_batch(processes, axes):
    """Devices are given to processes as on a real cluster, the first to the first."""
    mesh = Mesh(np.array(jax.devices()[:8]).reshape((8,) if len(axes) == 1 else (4, 2)), axes)
    slices = NamedSharding(mesh, PartitionSpec("data")).devices_indices_map((16,))
    places = [slices[device][0] for device in mesh.devices.flat]
    each = 8 // processes
    read = [rows_of(places[process * each : (process + 1) * each], 16) for process in range(processes)]
    np.testing.assert_array_equal(np.concatenate(read), np.arange(16))


def test_threads_that_begin_an_epoch_together_compute_its_permutation_once(monkeypatch):
    computed, begin = [], threading.Barrier(8)
    state = np.random.RandomState

    def counted(seed):
        computed.append(seed)
        time.sleep(0.05)
        return state(seed)

    def first_batch(_):
        begin.wait()
        return numbers(0, seed=12345)

    monkeypatch.setattr(np.random, "RandomState", counted)
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(first_batch, range(8)))
    assert computed == [[12345, 0]]
    np.testing.assert_array_equal(batches, [batches[0]] * 8)


@pytest.mark.parametrize("size", [2, 22, 64, 65, 1000])
def test_what_is_computed_where_it_is_needed_is_a_permutation_too(monkeypatch, size):
    monkeypatch.setattr(order, "LARGEST_HELD", 1)
    epochs = [
        [batch_indices(2 * epoch + half, size=size, batch_size=size // 2, seed=3) for half in (0, 1)]
        for epoch in (0, 1)
    ]
    for epoch in epochs:
        seen = np.concatenate(epoch)
        assert (
            seen.dtype == np.int32 and len(set(seen.tolist())) == size // 2 * 2 and 0 <= seen.min() <= seen.max() < size
        )
    assert size == 2 or not np.array_equal(*epochs)


def test_computed_permutations_are_as_even_as_held_ones(monkeypatch):
    """Of 2,000 epochs: each example comes first, and follows each other, about as often (chi-squared, 5 deviations)."""
    monkeypatch.setattr(order, "LARGEST_HELD", 1)
    size, epochs = 10, 2000
    drawn = np.stack([batch_indices(epoch, size=size, batch_size=size, seed=5) for epoch in range(epochs)])
    places = np.stack([np.bincount(column, minlength=size) for column in drawn.T])
    following = np.bincount((drawn[:, :-1] * size + drawn[:, 1:]).ravel(), minlength=size**2).reshape(size, size)
    for counts, mean in ((places, epochs / size), (following[~np.eye(size, dtype=bool)], epochs / size)):
        freedom = counts.size - 1
        assert abs(((counts - mean) ** 2 / mean).sum() - freedom) < 5 * np.sqrt(2 * freedom)
    assert not following.diagonal().any()


def test_a_billion_examples_take_no_memory():
    tracemalloc.start()
    batch = batch_indices(10**5, size=10**9, batch_size=4096, seed=0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20 and len(set(batch.tolist())) == 4096 and 0 <= batch.min() and batch.max() < 10**9
    assert abs(batch.mean() / 5e8 - 1) < 0.05
