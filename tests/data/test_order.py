"""The order: each epoch a permutation, decided by the seed, the same for any division among processes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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
