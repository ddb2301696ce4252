"""What the rest of the project sees of a data set: examples by number.

An example is arrays by name, each of one shape: `{"image": uint8 [H, W, C], "label": int32}`, C being 1 or 3 and the label
-1 where there is none. Of a clip the image is the video, `[T, H, W, C]`, beside others such as "audio"; what is no image at
all, such as a word, has names of its own. A batch is the same with a leading axis. Numbers run from 0; the same number is
always the same example.
"""

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

Example = dict[str, Any]
Batch = dict[str, NDArray[Any]]


class Readable(Protocol):
    """A sequence of examples, all of one shape, read in any order and from any thread."""

    @property
    def name(self) -> str:
        """What messages call it, such as "cifar10:train"."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Example: ...


class Source(Readable, Protocol):
    """Examples that are images or clips."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty when there are none."""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width, channels (1 or 3); of a clip, frames before them."""


@dataclass(frozen=True)
class Data:
    """A data set: what to train on, and what to evaluate on where there is something labelled for it."""

    name: str
    train: Source
    test: Source | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, of the test images where no training image has one; empty when there are none."""
        return self.train.classes or (self.test.classes if self.test else ())


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Examples that lie in memory: `images` uint8 `[N, H, W, C]`, `labels` int32 `[N]`."""

    name: str
    classes: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int32]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Example:
        return {"image": self.images[number], "label": self.labels[number]}


@dataclass(frozen=True, eq=False)
class Arrays:
    """Examples of any kind that lie in memory: arrays by name, `[N, ...]`."""

    name: str
    arrays: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, number: int) -> Example:
        return {name: array[number] for name, array in self.arrays.items()}


def read(source: Readable, numbers: NDArray[Any] | range, pool: Executor | None = None) -> Batch:
    """The examples of these numbers as one batch, read by the threads of `pool` if there is one."""
    size, one = len(numbers), source[int(numbers[0])]
    batch = {name: np.empty((size, *array.shape), array.dtype) for name, array in one.items()}

    def fill(rows: range) -> None:
        for row in rows:
            example = source[int(numbers[row])] if row else one
            for name, array in batch.items():
                array[row] = example[name]

    parts = [range(first, min(first + 32, len(numbers))) for first in range(0, len(numbers), 32)]
    for _ in pool.map(fill, parts) if pool else map(fill, parts):
        pass  # What a thread raised is raised here.
    return batch


def model_inputs(batch: Mapping[str, Any]) -> Any:
    """What a network may see of examples: their images, or what else they are; of more arrays than one, all by name."""
    seen = {name: array for name, array in batch.items() if name not in ("label", "index")}
    return seen if len(seen) > 1 else next(iter(seen.values()))


def unreadable_in(source: Readable) -> frozenset[int]:
    """The numbers of the examples for which others stand in because they cannot be read, as far as they have been read."""
    return frozenset(getattr(source, "unreadable", ()))


def readable_indices(source: Readable) -> NDArray[np.intp]:
    """The numbers of the examples that were not found to be unreadable, ascending: those of the rows of `in_order`."""
    return np.setdiff1d(np.arange(len(source)), list(unreadable_in(source)))


def labels_of(source: Readable) -> NDArray[np.int32] | None:
    """The labels `[N]` of all examples where the source has them at hand, as its `labels`; else None."""
    return getattr(source, "labels", None)


_held: WeakKeyDictionary[Readable, Batch] = WeakKeyDictionary()
_holding: WeakKeyDictionary[Readable, Lock] = WeakKeyDictionary()  # Of each source, since one may read another.
_lock = Lock()


def load_into_memory(source: Readable) -> Batch:
    """The whole source, in order, as one batch: "image" `[N, H, W, C]`, "label" `[N]`. Read once, then remembered.

    In the rows of `unreadable_in(source)` others stand in.
    """
    if isinstance(source, Arrays):
        return dict(source.arrays)
    if isinstance(source, ArraySource):
        return {"image": source.images, "label": source.labels}
    with _lock:
        reading = _holding.setdefault(source, Lock())
    with reading:
        if source not in _held:
            _held[source] = _whole(source)
        return _held[source]


def _whole(source: Readable) -> Batch:
    if len(source) > 20_000:  # Some seconds.
        print(f"data: reading {len(source)} examples of {source.name} into memory", file=sys.stderr)
    with ThreadPoolExecutor() as pool:
        whole = read(source, range(len(source)), pool)
    for array in whole.values():
        array.setflags(write=False)
    return whole


_left_out: WeakKeyDictionary[Readable, int] = WeakKeyDictionary()  # How many were counted in a line already.


def in_order(source: Readable, *, batch_size: int) -> Iterator[Batch]:
    """The readable examples once, in order, in numpy batches for evaluation; the last may be short.

    Beside the arrays of the examples, "index" int32 `[B]` holds their numbers in the source. What cannot be read is left out
    and counted in one line on standard error.
    """
    left: Batch | None = None  # Rows that wait for a whole batch.
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(source), batch_size):
            part = _readable(source, range(first, min(first + batch_size, len(source))), pool)
            if part and left:
                part = {name: np.concatenate([left[name], array]) for name, array in part.items()}
            left = part or left
            if left and len(left["index"]) >= batch_size:
                yield {name: array[:batch_size] for name, array in left.items()}
                left = {name: array[batch_size:] for name, array in left.items()}
                left = left if len(left["index"]) else None
    if left:
        yield left
    missing = len(unreadable_in(source))
    if missing > _left_out.get(source, 0):
        _left_out[source] = missing
        print(f"data: {missing} of {len(source)} examples of {source.name} cannot be read: left out", file=sys.stderr)


def _readable(source: Readable, numbers: range, pool: Executor) -> Batch | None:
    """Of these numbers, the examples that can be read, and "index"; None where there are none."""
    known = unreadable_in(source)
    wanted = np.array([number for number in numbers if number not in known], np.int32)
    if not len(wanted):
        return None
    batch = read(source, wanted, pool) | {"index": wanted}
    found = unreadable_in(source)
    kept = np.array([number not in found for number in wanted.tolist()])
    return batch if kept.all() else {name: array[kept] for name, array in batch.items()} if kept.any() else None
