"""What all drawn data sets share: examples that follow from the seed and their index alone, classes that take turns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Drawn:
    """The part of a `Source` that does not depend on what is drawn; a subclass has `__getitem__`.

    Args:
      size: number of examples.
      seed: of all examples.
    """

    def __init__(self, name: str, classes: Sequence[str], image_shape: tuple[int, ...], *, size: int, seed: int):
        self.name, self.classes, self.image_shape = f"{name}:{seed}", tuple(classes), image_shape
        self._size, self._seed = size, seed

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> NDArray[np.int32]:
        return np.arange(self._size, dtype=np.int32) % len(self.classes)

    def begin(self, number: int) -> tuple[int, np.random.Generator]:
        """The class of an example, and the generator that draws it."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return number % len(self.classes), np.random.default_rng([self._seed, number])
