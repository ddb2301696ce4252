"""Prefetching with grain, in threads or in worker processes. Nothing in this file uses a device."""

import sys
from collections.abc import Callable

import grain
import numpy as np
from absl import flags
from numpy.typing import NDArray

from ssl_jax.data.source import Batch, Readable, read


class Steps:
    """The rows of a process for each step from `start` on, as grain's random-access source."""

    def __init__(
        self, source: Readable, indices: Callable[[int], NDArray[np.int32]], rows: NDArray[np.intp], *, start: int
    ):
        self._source, self._indices, self._rows, self._start = source, indices, rows, start

    def __len__(self) -> int:
        return sys.maxsize  # Endless: each epoch is another permutation.

    def __getitem__(self, position: int) -> Batch:
        index = self._indices(self._start + position)[self._rows]
        return {**read(self._source, index), "index": index}


def stream(steps: Steps, *, workers: int, threads: int) -> grain.DatasetIterator[Batch]:
    """The batches of `steps` in order, read ahead by `threads` threads, in `workers` processes if there are any.

    Close it: threads and shared memory outlive it otherwise.
    """
    threads = max(1, threads // max(1, workers))
    ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    batches = grain.MapDataset.source(steps).to_iter_dataset(ahead)
    if workers:
        if not flags.FLAGS.is_parsed():  # Grain's workers read flags, which only absl's own main function parses.
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=1))
    return iter(batches)
