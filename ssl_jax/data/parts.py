"""Parts of a source, evenly spaced over it, so that they have all classes also where the images are sorted by class."""

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.data.source import Data, Example, Source, unreadable_in
from ssl_jax.errors import UsageError

HELD_OUT = 5  # Every so many images, one is held out.


class Subset:
    """Some of a source's images, by their numbers in it."""

    def __init__(self, source: Source, numbers: ArrayLike):
        self._source, self._numbers = source, np.asarray(numbers, int)
        self.name, self.classes, self.image_shape = source.name, source.classes, source.image_shape

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def unreadable(self) -> set[int]:
        """The indices of the images for which others stand in, as `ssl_jax.data.in_order` needs them."""
        missing = unreadable_in(self._source)
        return {index for index, number in enumerate(self._numbers.tolist()) if number in missing} if missing else set()

    def __getitem__(self, index: int) -> Example:
        return self._source[int(self._numbers[index])]


def at_most(source: Source, size: int) -> Source:
    """The source, or an evenly spaced part of it."""
    return source if len(source) <= size else Subset(source, np.linspace(0, len(source) - 1, size))


def split_training(data: Data) -> Data:
    """The training images alone: of each five the third stands for a test image, the others are trained on.

    For choosing what to train and to judge by without a look at the test images.

    Raises:
      UsageError: no labels, or fewer than five images.
    """
    if not data.train.classes or len(data.train) < HELD_OUT:
        raise UsageError(
            f"held_out: {data.name} has {len(data.train)} training images of {len(data.train.classes)} classes, expected "
            f"labels and at least {HELD_OUT} images: choose a labelled data set."
        )
    numbers = np.arange(len(data.train))
    apart = numbers % HELD_OUT == HELD_OUT // 2
    train, test = (Subset(data.train, part) for part in (numbers[~apart], numbers[apart]))
    return Data(f"{data.name}, a fifth of its training images held out", train, test)
