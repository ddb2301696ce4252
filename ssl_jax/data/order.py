"""The order of the examples, from the seed alone, independent of the number of devices, processes, workers or threads.

Every epoch is a new permutation of the source, cut into `N // batch_size` whole batches; the remainder, other examples in
each epoch, is left out. So no example occurs twice in a batch, as memory banks and negatives require. Everything that
counts epochs (the length of a run, warm-up, step decay, clusterings) counts these steps: see `steps_per_epoch`.
"""

import functools
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Steps of an epoch of `size` examples: whole batches only, as in a loader that drops the last one.

    At least 1, so that a batch larger than the source is refused by `Batches`, with a sentence. 4,000 examples in batches
    of 256 are 15 steps.
    """
    return max(1, size // batch_size)


def batch_indices(step: int, *, size: int, batch_size: int, seed: int) -> NDArray[np.int32]:
    """Indices of the examples of the batch of step `step` (from 0): `[batch_size]`."""
    epoch, position = divmod(step, size // batch_size)
    return _permutation(size, seed, epoch)[position * batch_size :][:batch_size]


def rows_of(slices: Iterable[slice], batch_size: int) -> NDArray[np.intp]:
    """Rows of the global batch in these slices, each once and in order: those that a process reads for its devices."""
    wanted = np.zeros(batch_size, bool)
    for part in slices:
        wanted[part] = True
    return np.flatnonzero(wanted)


_lock = threading.Lock()


def _permutation(size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    with _lock:  # Otherwise each of the threads that begin an epoch together computes it.
        return _computed(size, seed, epoch)


@functools.lru_cache(maxsize=4)
def _computed(size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    # RandomState, because numpy guarantees a stable stream: a run can be resumed under another numpy.
    return np.random.RandomState([seed, epoch]).permutation(np.arange(size, dtype=np.int32))
