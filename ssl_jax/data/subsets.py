"""Representative parts of a source, independent of the order of its images.

Where labels are in memory, a part is stratified by class; elsewhere it is drawn at random. Both depend on the source and
the size of the part alone. A part by position would be biased where labels alternate or are sorted.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_jax.data.fingerprint import stored
from ssl_jax.data.pixels.depth import Levels
from ssl_jax.data.source import (
    Data,
    Example,
    MaskReader,
    Source,
    labels_of,
    masks_of,
    path_of,
    readable_indices,
    unreadable_in,
)
from ssl_jax.errors import UsageError

HELD_OUT = 5  # One image in five is held out.
SEED = 0


class Subset:
    """Some of a source's images, by index: `indices` are those in the source."""

    def __init__(self, source: Source, indices: ArrayLike):
        self._source, self.indices = source, np.asarray(indices, int)
        self.name, self.classes, self.image_shape = source.name, source.classes, source.image_shape

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """The labels of its images, where the source has them in memory."""
        labels = labels_of(self._source)
        return None if labels is None else labels[self.indices]

    @property
    def levels(self) -> Levels | None:
        """Black and white of deep pixels, where the source decodes images."""
        return getattr(self._source, "levels", None)

    def path(self, index: int) -> Path | None:
        """The file of an image, where the source is one of files."""
        return path_of(self._source, int(self.indices[index]))

    @property
    def mask(self) -> MaskReader | None:
        """The masks of its images, where the source has them."""
        masks = masks_of(self._source)
        return masks and (lambda index: masks(int(self.indices[index])))

    @property
    def unreadable(self) -> set[int]:
        """The indices of the unreadable images, for `ssl_jax.data.in_order`."""
        missing = unreadable_in(self._source)
        return {index for index, number in enumerate(self.indices.tolist()) if number in missing} if missing else set()

    def stored(self) -> Iterator[bytes]:
        """Of the whole source, and the indices."""
        yield from (*stored(self._source), self.indices.tobytes())

    def __getitem__(self, index: int) -> Example:
        return self._source[int(self.indices[index])]


def subsample(source: Source, size: int) -> Source:
    """The source, or a representative part of this size.

    Example:
      >>> print(len(subsample(open_data("digits").train, 100)))
      100
    """
    return source if len(source) <= size else Subset(source, stratified(source, size))


def labelled(source: Source) -> Source:
    """The images with a label; all images where labels are not in memory, or no image has one."""
    labels = labels_of(source)
    rows = None if labels is None else np.flatnonzero(labels >= 0)
    return source if rows is None or len(rows) in (0, len(source)) else Subset(source, rows)


def stratified(source: Source, size: int) -> NDArray[np.intp]:
    """Indices of `size` representative images of the source, ascending; they repeat only where it has fewer."""
    order = np.concatenate(_classes_of(source))
    return np.sort(order[(np.arange(size) * 2 + 1) * len(source) // (2 * size)])


def readable(source: Source) -> Source:
    """The source without unreadable images: those whose features the evaluation has, in order."""
    return Subset(source, readable_indices(source)) if unreadable_in(source) else source


def split_training(data: Data) -> Data:
    """The training images only: a fifth of each class replaces the test images, the others are trained on.

    For choices of hyperparameters without the test images. Of a class of two to seven images one
    is held out; a single image, and images without a label, stay in the training part.

    Raises:
      UsageError: no labels, or fewer than five images.

    Example:
      >>> parts = split_training(open_data("digits"))
      >>> print(len(parts.train), len(parts.test))
      3200 800
    """
    parts = _with_a_fifth_apart(data.train)
    if parts is None:
        raise UsageError(
            f"held_out: {data.name} has {len(data.train)} training images of {len(data.train.classes)} classes, expected "
            f"labels and at least {HELD_OUT} images: choose a labelled data set."
        )
    return Data(f"{data.name}, a fifth of its training images held out", *parts)


def with_test_part(data: Data) -> Data:
    """The data, with the parts of `split_training` where they have labels but no test part; else as they are."""
    parts = _with_a_fifth_apart(data.train) if data.test is None else None
    return Data(data.name, *parts) if parts else data


def _with_a_fifth_apart(source: Source) -> tuple[Subset, Subset] | None:
    """The images without a fifth of each class, and that fifth; None without labels or below five images."""
    labels = labels_of(source)
    groups = [group for group in _classes_of(source) if labels is None or labels[group[0]] >= 0]
    held = [group[: max(1, (len(group) + HELD_OUT // 2) // HELD_OUT)] for group in groups if len(group) > 1]
    if not source.classes or len(source) < HELD_OUT or not held:
        return None
    test = np.sort(np.concatenate(held))
    return Subset(source, np.setdiff1d(np.arange(len(source)), test)), Subset(source, test)


def _classes_of(source: Source) -> list[NDArray[np.intp]]:
    """The indices of each class in random order; those of all images together where labels are not in memory."""
    order = np.random.RandomState(SEED).permutation(len(source))
    labels = labels_of(source)
    if labels is None:
        return [order]
    order = order[np.argsort(labels[order], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
