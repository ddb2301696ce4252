"""Decoding of images to uint8 arrays of one shape.

Depth: pixels of more bits become 8, see `ssl_jax.data.depth`; palettes, CMYK and the like become RGB, or grayscale where one
channel is required; transparent pixels are composited on white. Size: the largest central crop of the target's aspect ratio
is resized with antialiasing (Pillow, bicubic); for a square that resizes the shorter side and crops the centre. Smaller
images are enlarged. EXIF orientation is not applied.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data import fingerprint
from ssl_jax.data.depth import Levels, is_deep, is_deep_colour, levels_of, to_eight_bits
from ssl_jax.data.formats import header, load, loaded
from ssl_jax.data.skipping import Skipping, Unreadable
from ssl_jax.data.source import Example, path_of

SAMPLE = 32  # Images whose depth is checked.
BAND = 2**20  # Pixels that are converted at once.
DIRECT = {"LAB": "RGB", "La": "LA"}  # Modes that Pillow converts to few others, with an intermediate mode.


class Records(Protocol):
    """Encoded images with their labels, by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> tuple[bytes, int]:
        """Encoded image and label; -1 where there is none."""

    def where(self, number: int) -> str:
        """The name of this image in messages."""


class DecodedSource(Skipping):
    """A source that decodes and resizes images on access, and skips unreadable ones. Attributes are those of a `Source`.

    Args:
      levels: black and white of deep pixels, such as those of the training images for the test images; those of a sample
        of these images when None.
      strict: every image is read once by the constructor; the first unreadable one raises a `UsageError`.
    """

    def __init__(
        self,
        records: Records,
        *,
        name: str,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        levels: Levels | None = None,
        strict: bool = False,
    ):
        super().__init__(strict=strict)
        self.name, self.classes, self.image_shape = name, classes, image_shape
        self._records = records
        self.levels = levels or levels_in(records, name=name)
        self._check_all()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """The labels of the records, where they are in memory."""
        return getattr(self._records, "labels", None)

    def path(self, number: int) -> Path | None:
        """The file of this image; None where the image is a part of a larger file."""
        return path_of(self._records, number)

    def header(self, number: int) -> Image.Image | None:
        """Size and mode of an image as it is stored, without decoding; None where these cannot be read."""
        return header(io.BytesIO(self._records[number][0]))

    def stored(self) -> Iterator[bytes]:
        """For the data set's fingerprint: what the records say of themselves, or the bytes of a sample of them."""
        if hasattr(self._records, "stored"):
            yield from self._records.stored()
            return
        for number in fingerprint.spread(len(self), fingerprint.SAMPLE):
            with contextlib.suppress(Unreadable):  # Reported when it is read as an example.
                encoded, label = self._records[number]
                yield encoded + str(label).encode()

    def _example(self, number: int) -> Example:
        encoded, label = self._records[number]
        return {"image": decode(encoded, shape=self.image_shape, levels=self.levels), "label": np.int32(label)}

    def _where(self, number: int) -> str:
        return self._records.where(number)


def is_grayscale(image: Image.Image) -> bool:
    """Whether an image, or its header, has one channel, beside transparency."""
    return image.mode in ("1", "L", "LA", "La") or is_deep(image)


def levels_in(records: Records, *, name: str) -> Levels | None:
    """Black and white of the deep images among 32, evenly spaced; None where there are none. `name`: for messages."""
    return levels_of(_deep(records, name, fingerprint.spread(len(records), SAMPLE)))


def _deep(records: Records, name: str, indices: list[int]) -> Iterator[Image.Image]:
    mentioned = False
    for number in indices:
        try:
            encoded, _ = records[number]
            about = header(io.BytesIO(encoded))
            if about and is_deep(about):
                yield load(encoded)
            if about and is_deep_colour(about) and not mentioned:
                mentioned = True
                print(
                    f"data: {name} has colour of 16 bits a channel, of which the upper 8 are read: convert images that use "
                    "fewer than 16.",
                    file=sys.stderr,
                )
        except Unreadable:  # Reported when it is read as an example.
            pass


def decode(encoded: bytes, *, shape: tuple[int, int, int], levels: Levels | None = None) -> NDArray[np.uint8]:
    """An encoded image as uint8 of this `[H, W, C]`.

    Args:
      levels: black and white of deep pixels; those of the image when None.

    Raises:
      Unreadable: truncated, damaged, too large, or of an unknown format.
    """
    height, width, channels = shape
    with loaded(encoded, near=(2 * width, 2 * height)) as image:
        image = fit(eight_bit(image, channels=channels, levels=levels), height=height, width=width)
    return np.asarray(image).reshape(shape)


def central_square(encoded: bytes, *, most: int) -> NDArray[np.uint8]:
    """The part of an encoded image that `decode` keeps for a square, to look at: uint8 `[S, S, 3]`, S at most `most`.

    Small images are not enlarged. Raises as `decode`.
    """
    with loaded(encoded, near=(2 * most, 2 * most)) as image:
        side = min(most, *image.size)
        return np.asarray(fit(eight_bit(image, channels=3), height=side, width=side))


def eight_bit(image: Image.Image, *, channels: int, levels: Levels | None = None) -> Image.Image:
    """Mode "L" for 1 channel, "RGB" for 3. In bands of a million pixels, since the steps between would take three times the
    memory of the image."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode == mode and not image.has_transparency_data:
        return image
    if is_deep(image):
        levels = levels or levels_of([image])
    whole, rows = Image.new(mode, image.size), max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        whole.paste(_converted(band, mode, levels), (0, top))
    return whole


def _converted(image: Image.Image, mode: str, levels: Levels | None) -> Image.Image:
    if is_deep(image):  # Pillow's own conversion would clip at 255.
        image = to_eight_bits(image, levels or Levels(0, 255))
    elif image.mode == "F":
        raise Unreadable("floating-point pixels have no known range")
    elif image.mode in DIRECT:
        image = image.convert(DIRECT[image.mode])
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == mode else image.convert(mode)


def fit(image: Image.Image, *, height: int, width: int) -> Image.Image:
    """The largest central crop of this aspect ratio, resized."""
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left, top = (max(0.0, (side - part * scale) / 2) for side, part in zip(image.size, (width, height), strict=True))
    # Rounding may extend the crop beyond the image by a fraction that Pillow refuses.
    right, bottom = min(image.width, left + width * scale), min(image.height, top + height * scale)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
