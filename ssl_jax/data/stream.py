"""Prefetching with grain, in threads or in worker processes. Nothing in this file uses a device."""

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grain
import numpy as np
from absl import flags
from numpy.typing import NDArray

from ssl_jax.data.source import Batch, Readable, read
from ssl_jax.errors import RunError, reason_of


class Steps:
    """The rows of a process for each step from `start` on, as grain's random-access source."""

    def __init__(
        self, source: Readable, indices: Callable[[int], NDArray[np.int32]], rows: NDArray[np.intp], *, start: int
    ):
        self._source, self._indices, self._rows, self._start = source, indices, rows, start

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a worker process, which gets its copy here, a thread ends it when the main process is gone, killed or not."""
        self.__dict__.update(state)
        if multiprocessing.parent_process() is not None:
            threading.Thread(target=_end_with_the_main_process, daemon=True).start()

    def __len__(self) -> int:
        return sys.maxsize  # Endless: each epoch is another permutation.

    def __getitem__(self, position: int) -> Batch:
        index = self._indices(self._start + position)[self._rows]
        return {**read(self._source, index), "index": index}


def _end_with_the_main_process() -> None:
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)


@contextlib.contextmanager
def lost_workers() -> Iterator[None]:
    """Turns the end of a worker process, which grain reports, into a `RunError`."""
    try:
        yield
    except RuntimeError as fault:
        if "Worker process was terminated" not in str(fault):
            raise
        raise RunError(
            f"workers: one of the processes that decode has ended ({reason_of(fault).split('. ')[0]}): repeat the "
            "command, which resumes, with fewer --workers if memory was short, or with --workers 0 to decode in threads."
        ) from fault


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
