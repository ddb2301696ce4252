"""The order of the examples, decided by the seed alone: not by the number of devices, processes, workers or threads.

Every epoch is a new permutation of the source, cut into `N // batch_size` whole batches; the remainder, other examples in
each epoch, is left out. So no example comes twice in a batch, which memory banks and negatives rely on. Everything that
counts epochs (the length of a run, warm-up, staircases, clusterings) counts these steps: see `steps_per_epoch`.
"""

import functools
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Steps of an epoch of `size` examples: whole batches only, as of a loader that drops the last one.

    At least 1, so that a batch larger than the source is refused by `Batches`, with a sentence. 4,000 examples in batches
    of 256 are 15 steps.
    """
    return max(1, size // batch_size)


def batch_numbers(step: int, *, size: int, batch_size: int, seed: int) -> NDArray[np.int32]:
    """Numbers of the examples of the batch that step `step` (from 0) sees: `[batch_size]`."""
    epoch, place = divmod(step, size // batch_size)
    return _permutation(size, seed, epoch)[place * batch_size :][:batch_size]


def rows_of(slices: Iterable[slice], batch_size: int) -> NDArray[np.intp]:
    """Rows of the global batch in these slices, each once and in order: what a process reads for its devices."""
    wanted = np.zeros(batch_size, bool)
    for part in slices:
        wanted[part] = True
    return np.flatnonzero(wanted)


_lock = threading.Lock()


def _permutation(size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    with _lock:  # Else each of the threads that begin an epoch together would compute it.
        return _computed(size, seed, epoch)


@functools.lru_cache(maxsize=4)
def _computed(size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    # RandomState, because numpy promises that its numbers never change: a run can be resumed under another numpy.
    return np.random.RandomState([seed, epoch]).permutation(np.arange(size, dtype=np.int32))
