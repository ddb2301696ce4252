"""The interface of a data set: examples by index.

An example is arrays by name, each of one shape: `{"image": uint8 [H, W, C], "label": int32}`, C being 1 or 3 and the label
-1 where there is none. For a clip the image is the video, `[T, H, W, C]`, beside others such as "audio"; other data,
such as words, have their own names. A batch is the same with a leading axis. Indices start at 0; an index always
gives the same example.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ssl_jax.files import printable

Example = dict[str, Any]
Batch = dict[str, NDArray[Any]]
MaskReader = Callable[[int], NDArray[np.uint8]]


class Readable(Protocol):
    """A sequence of examples, all of one shape, read in any order and from any thread."""

    @property
    def name(self) -> str:
        """Its name in messages, such as "cifar10:train"."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Example: ...


class Source(Readable, Protocol):
    """Examples that are images or clips."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty when there are none."""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width, channels (1 or 3); for a clip, frames before them."""


@dataclass(frozen=True)
class Data:
    """A data set: a training part, and a labelled test part if there is one."""

    name: str
    train: Source
    test: Source | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, those of the test images if no training image has one; empty when there are none."""
        return self.train.classes or (self.test.classes if self.test else ())


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Images in memory: `images` uint8 `[N, H, W, C]`, `labels` int32 `[N]`, and `masks` uint8 `[N, H, W]`, see `masks_of`."""

    name: str
    classes: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    masks: NDArray[np.uint8] | None = None

    @property
    def mask(self) -> MaskReader | None:
        return None if self.masks is None else self.masks.__getitem__

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
    """Examples of any kind in memory: arrays by name, `[N, ...]`."""

    name: str
    arrays: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, number: int) -> Example:
        return {name: array[number] for name, array in self.arrays.items()}


def read(source: Readable, indices: NDArray[Any] | range, pool: Executor | None = None) -> Batch:
    """The examples with these indices as one batch, read by the threads of `pool` if there is one."""
    if (whole := _in_memory(source)) is not None:
        return {name: array[np.asarray(indices)] for name, array in whole.items()}
    size, one = len(indices), source[int(indices[0])]
    batch = {name: np.empty((size, *array.shape), array.dtype) for name, array in one.items()}

    def fill(rows: range) -> None:
        for row in rows:
            example = source[int(indices[row])] if row else one
            for name, array in batch.items():
                array[row] = example[name]

    parts = [range(first, min(first + 32, len(indices))) for first in range(0, len(indices), 32)]
    for _ in pool.map(fill, parts) if pool else map(fill, parts):
        pass  # Raises the exceptions of the threads.
    return batch


def model_inputs(batch: Mapping[str, Any]) -> Any:
    """The inputs of a network from examples: their images, or other data; several arrays by name.

    Example:
      >>> print(model_inputs({"image": np.zeros((2, 8, 8, 1)), "label": np.zeros(2)}).shape)
      (2, 8, 8, 1)
    """
    seen = {name: array for name, array in batch.items() if name not in ("label", "index")}
    return seen if len(seen) > 1 else next(iter(seen.values()))


def unreadable_in(source: Readable) -> frozenset[int]:
    """Indices of the unreadable examples, which others replace, as far as examples have been read."""
    return frozenset(getattr(source, "unreadable", ()))


def readable_indices(source: Readable) -> NDArray[np.intp]:
    """Indices of all other examples, ascending: those of the rows of `in_order`."""
    return np.setdiff1d(np.arange(len(source)), list(unreadable_in(source)))


def labels_of(source: Readable) -> NDArray[np.int32] | None:
    """The labels `[N]` of all examples where the source has them in memory, as its `labels`; else None."""
    return getattr(source, "labels", None)


def masks_of(source: Readable) -> MaskReader | None:
    """What every pixel shows: index -> uint8 `[H, W]`, 0 for the background, 1 + class, and 255 where unknown; else None.

    Not a part of the examples, since networks do not take it.
    """
    return getattr(source, "mask", None)


def path_of(source: Any, number: int) -> Path | None:
    """The file of an image, where each image of the source is a file; else None."""
    path = getattr(source, "path", None)
    return path and path(number)


def name_of(source: Readable, number: int) -> str:
    """The path of an example's file, with escapes as in `printable`; else its number in its source: "cifar10/3.0.2:test[7]"."""
    path = path_of(source, number)
    return f"{source.name}[{number}]" if path is None else printable(str(path))


SMALL = 2**26  # Bytes of a source that stays in memory once it is read in order, 64 MiB.
_held: WeakKeyDictionary[Readable, Batch] = WeakKeyDictionary()
_holding: WeakKeyDictionary[Readable, Lock] = WeakKeyDictionary()  # One for each source, since one may read another.
_lock = Lock()


def load_into_memory(source: Readable) -> Batch:
    """The whole source, in order, as one batch: "image" `[N, H, W, C]`, "label" `[N]`. Read once, then cached.

    The rows of `unreadable_in(source)` hold their replacements.

    Example:
      >>> print(load_into_memory(open_data("digits").test)["image"].shape)
      (1000, 28, 28, 1)
    """
    if (whole := _in_memory(source)) is not None:
        return whole
    with _lock:
        reading = _holding.setdefault(source, Lock())
    with reading:
        if source not in _held:
            _held[source] = _whole(source)
        return _held[source]


def _in_memory(source: Readable) -> Batch | None:
    """The arrays of a source that has them, or that `load_into_memory` has read; else None."""
    if isinstance(source, Arrays):
        return dict(source.arrays)
    if isinstance(source, ArraySource):
        return {"image": source.images, "label": source.labels}
    return _held.get(source)


def _whole(source: Readable) -> Batch:
    if len(source) > 20_000:  # Takes some seconds.
        print(f"data: reading {len(source)} examples of {source.name} into memory", file=sys.stderr)
    with ThreadPoolExecutor() as pool:
        whole = read(source, range(len(source)), pool)
    for array in whole.values():
        array.setflags(write=False)
    return whole


def bytes_of(source: Readable) -> int:
    """Bytes of all examples in memory: they have the shapes of the first."""
    return len(source) * sum(array.nbytes for array in source[0].values())


_left_out: WeakKeyDictionary[Readable, int] = WeakKeyDictionary()  # Numbers that were already reported.


def in_order(source: Readable, *, batch_size: int) -> Iterator[Batch]:
    """The readable examples once, in order, in numpy batches for evaluation; the last may be short.

    Beside the arrays of the examples, "index" int32 `[B]` holds their indices in the source. Unreadable ones are left out
    and counted in one line on standard error.

    Example:
      >>> print([len(batch["label"]) for batch in in_order(open_data("digits").test, batch_size=400)])
      [400, 400, 200]
    """
    if len(source) and _in_memory(source) is None and bytes_of(source) <= SMALL:
        load_into_memory(source)  # An evaluation reads the same images for each network that it compares.
    left: Batch | None = None  # Rows of an incomplete batch.
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


def _readable(source: Readable, indices: range, pool: Executor) -> Batch | None:
    """The readable examples with these indices, and "index"; None where there are none."""
    unreadable = unreadable_in(source)
    readable = np.array([number for number in indices if number not in unreadable], np.int32)
    if not len(readable):
        return None
    batch = read(source, readable, pool) | {"index": readable}
    failed = unreadable_in(source)
    kept = np.array([number not in failed for number in readable.tolist()])
    return batch if kept.all() else {name: array[kept] for name, array in batch.items()} if kept.any() else None
