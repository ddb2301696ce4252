"""The order of the examples, from the seed alone, independent of the number of devices, processes, workers or threads.

Every epoch is a new permutation of the source, cut into `N // batch_size` whole batches; the remainder, other examples in
each epoch, is left out. So no example occurs twice in a batch, as memory banks and negatives require. Everything that
counts epochs (the length of a run, warm-up, step decay, clusterings) counts these steps: see `steps_per_epoch`.

Permutations of up to 16.8 million examples are held in memory, those of more are computed a batch at a time.
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

    Example:
      >>> steps_per_epoch(4000, 256)
      15
    """
    return max(1, size // batch_size)


def batch_indices(step: int, *, size: int, batch_size: int, seed: int) -> NDArray[np.int32]:
    """Indices of the examples of the batch of step `step` (from 0): `[batch_size]`."""
    epoch, position = divmod(step, size // batch_size)
    return _examples(position * batch_size + np.arange(batch_size), size, seed, epoch)


def rows_of(slices: Iterable[slice], batch_size: int) -> NDArray[np.intp]:
    """Rows of the global batch in these slices, each once and in order: those that a process reads for its devices."""
    wanted = np.zeros(batch_size, bool)
    for part in slices:
        wanted[part] = True
    return np.flatnonzero(wanted)


_lock = threading.Lock()
LARGEST_HELD = 2**24  # Examples whose permutation is held in memory, 64 MiB of it: all of ImageNet-22k.
ROUNDS = 8


def _examples(positions: NDArray[np.int64], size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """The examples at these positions of an epoch."""
    if size > LARGEST_HELD:
        return _permuted(positions, size, seed, epoch)
    with _lock:  # Otherwise each of the threads that begin an epoch together computes it.
        return _permutation(size, seed, epoch)[positions]


@functools.lru_cache(maxsize=2)
def _permutation(size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    # RandomState, because numpy guarantees a stable stream: a run can be resumed under another numpy.
    return np.random.RandomState([seed, epoch]).permutation(np.arange(size, dtype=np.int32))


def _permuted(positions: NDArray[np.int64], size: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Values of a permutation that is computed where it is needed: of a billion examples it would take 4 GB.

    A Feistel network permutes the numbers of an even number of bits; one that it takes beyond `size` is passed through it
    again, less than three times on average, until it is below (cycle walking: Black and Rogaway 2002,
    https://doi.org/10.1007/3-540-45760-7_9).
    """
    half = np.uint64(((size - 1).bit_length() + 1) // 2)
    keys = np.random.RandomState([seed, epoch]).randint(0, 2**63, ROUNDS, dtype=np.uint64)
    found = positions.astype(np.uint64)
    walking = np.ones(len(found), bool)
    while walking.any():
        found[walking] = _feistel(found[walking], half, keys)
        walking = found >= size
    return found.astype(np.int32)


def _feistel(numbers: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << half) | right


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, https://doi.org/10.1145/2714064.2660195)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
