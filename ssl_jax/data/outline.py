"""Outlines of data sets: as many examples as the real one, of its shape, all zeros. Nothing is read; for plans of a run."""

from typing import Any, NamedTuple

import numpy as np

from ssl_jax.data.source import Data, Example, Readable
from ssl_jax.sizes import ImageSize, sides_of

FRAMES, SAMPLES = 8, 48_000  # Of a clip of `ssl_jax.data.tfds.clips`.


class Size(NamedTuple):
    """Training examples and classes. clips: whether they are clips with sound; else images in colour."""

    examples: int
    classes: int
    clips: bool = False


SIZES = {  # tfds's catalogue; of Kinetics the paper, https://arxiv.org/abs/1705.06950; of random images, those of SEER.
    "cifar10": Size(50_000, 10),
    "cifar100": Size(50_000, 100),
    "imagenet2012": Size(1_281_167, 1000),
    "kinetics": Size(240_000, 400, clips=True),
    "random_images": Size(10**9, 0),
}


class Outline:
    """A placeholder for a data set with its size and shape; attributes are those of a `Source`."""

    def __init__(self, name: str, size: Size, *, image_size: ImageSize):
        self.name = name
        self.classes = tuple(map(str, range(size.classes)))
        self.image_shape = (*(FRAMES,) * size.clips, *sides_of(image_size), 3)
        self._size = size

    def __len__(self) -> int:
        return self._size.examples

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(number)
        sound: dict[str, Any] = {"audio": np.zeros(SAMPLES, np.int16)} if self._size.clips else {}
        return {"image": np.zeros(self.image_shape, np.uint8), "label": np.int32(0), **sound}


def outline(name: str, *, size: ImageSize, examples: int | None = None) -> Data | None:
    """The outline of a data set of this name, without test examples; None where its size is neither known nor given.

    Args:
      name: a key of `SIZES`, or any name where the number of examples is given: images in colour of 1,000 classes.
      size: side of the images in pixels, or height and width.
      examples: number of training examples, in place of the known one.
    """
    known = SIZES.get(name, Size(examples, 1000) if examples else None)
    if known is None:
        return None
    return Data(name, Outline(name, known._replace(examples=examples or known.examples), image_size=size), None)


def is_outline(source: Readable) -> bool:
    """Whether a source, or the one that it shows in other channels, is an outline."""
    return isinstance(getattr(source, "_source", source), Outline)
