"""Decoding of images to uint8 arrays of one shape.

Depth: pixels of more bits become 8, see `ssl_jax.data.pixels.depth`; palettes, CMYK and the like become RGB, or grayscale where
one channel is required; transparent pixels are composited on white. Other numbers of channels than 1 and 3 are kept
(`ssl_jax.data.pixels.arrays`). Size: the largest central crop of the target's aspect ratio is resized with antialiasing
(Pillow, bicubic); for a square that resizes the shorter side and crops the centre. Smaller images are enlarged. Images are
turned as EXIF says.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data import fingerprint
from ssl_jax.data.pixels.arrays import read_array
from ssl_jax.data.pixels.deep_png import read_deep_png
from ssl_jax.data.pixels.depth import BAND, Levels, is_deep, levels_of, to_eight_bits
from ssl_jax.data.pixels.formats import TURNS, Header, header, load, loaded, orientation
from ssl_jax.data.skipping import Skipping, Unreadable
from ssl_jax.data.source import Example, path_of

SAMPLE = 32  # Images whose depth is checked.
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

    def header(self, number: int) -> Header | None:
        """Size and channels of an image as it is stored, without decoding; None where these cannot be read."""
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


def levels_in(records: Records, *, name: str) -> Levels | None:
    """Black and white of the deep images among 32, evenly spaced; None where there are none. `name`: for messages.

    Says once where colour is cut to 8 bits, or where pixels are transparent.
    """
    return levels_of(_deep(records, name, fingerprint.spread(len(records), SAMPLE)))


def _deep(records: Records, name: str, indices: list[int]) -> Iterator[Any]:
    said = set()
    for number in indices:
        try:
            encoded, _ = records[number]
            about = header(io.BytesIO(encoded))
            if about and about.deep:
                array = _array(encoded)
                yield np.asarray(load(encoded)) if array is None else array
            for note in _notes(about) if about else ():
                if note not in said:
                    said.add(note)
                    print(f"data: {name} has {note}", file=sys.stderr)
        except Unreadable:  # Reported when it is read as an example.
            pass


def _array(encoded: bytes) -> NDArray[Any] | None:
    """The pixels `[H, W, C]` of a file that Pillow does not read, or not in full; None for others."""
    array = read_array(encoded)
    return read_deep_png(encoded) if array is None else array


def _notes(about: Header) -> Iterator[str]:
    if about.cut:
        yield "channels of 16 bits, of which the upper 8 are read: convert images that use fewer than 16."
    if about.transparent:
        yield "images with transparency: what is transparent becomes white."


def decode(encoded: bytes, *, shape: tuple[int, int, int], levels: Levels | None = None) -> NDArray[np.uint8]:
    """An encoded image as uint8 of this `[H, W, C]`.

    Args:
      levels: black and white of deep pixels; those of the image when None.

    Raises:
      Unreadable: truncated, damaged, too large, of an unknown format, or of other than C channels, where C or they are
        neither 1 nor 3.
    """
    array = _array(encoded)
    if array is not None:
        return from_array(array, shape=shape, levels=levels)
    height, width, channels = shape
    if channels not in (1, 3):
        raise Unreadable(f"an image of other than {channels} channels")
    with loaded(encoded, near=(2 * width, 2 * height)) as image:
        return np.asarray(upright(image, shape=shape, levels=levels)).reshape(shape)


def from_array(array: NDArray[Any], *, shape: tuple[int, int, int], levels: Levels | None = None) -> NDArray[np.uint8]:
    """Pixels `[H, W, C]` of any type as `decode`, which has the arguments and errors."""
    height, width, channels = shape
    planes = [fit(plane, height=height, width=width) for plane in _planes(array, levels)]
    if len(planes) == channels:
        return np.stack([np.asarray(plane) for plane in planes], axis=-1)
    if not {len(planes), channels} <= {1, 3}:
        raise Unreadable(f"{len(planes)} channels, expected {channels}")
    image = planes[0] if len(planes) == 1 else Image.merge("RGB", planes)
    return np.asarray(eight_bit(image, channels=channels)).reshape(shape)


def upright(image: Image.Image, *, shape: tuple[int, int, int], levels: Levels | None = None) -> Image.Image:
    """A decoded image in 8 bits, of this `[H, W, C]`, turned as EXIF says."""
    height, width, channels = shape
    turned = orientation(image)
    if turned >= 5:
        height, width = width, height
    image = fit(eight_bit(image, channels=channels, levels=levels), height=height, width=width)
    return image.transpose(TURNS[turned]) if turned in TURNS else image


def central_part(
    encoded: bytes, *, most: int, shape: tuple[int, int] = (1, 1), levels: Levels | None = None
) -> NDArray[np.uint8]:
    """The part of an encoded image that `decode` keeps, to look at: uint8 `[H, W, 3]`, neither side above `most`.

    Small images are not enlarged. Of several channels, the first three. Raises as `decode`.

    Args:
      shape: height and width, whose ratio alone counts: that of the squares or rectangles that the encoder takes.
    """
    array = _array(encoded)
    if array is not None:
        height, width = _inside(array.shape[:2], shape, most)
        planes = _planes(array[..., : 3 if array.shape[-1] >= 3 else 1], levels)
        fitted = [np.asarray(fit(plane, height=height, width=width)) for plane in planes]
        return np.stack((fitted * 3)[:3], -1)
    with loaded(encoded, near=(2 * most, 2 * most)) as image:
        whole = image.size if orientation(image) >= 5 else image.size[::-1]
        return np.asarray(upright(image, shape=(*_inside(whole, shape, most), 3), levels=levels))


def _inside(whole: tuple[int, ...], shape: tuple[int, int], most: int) -> tuple[int, int]:
    """The largest height and width of this shape that fit into a whole image, neither above `most`."""
    scale = min(most / max(shape), whole[0] / shape[0], whole[1] / shape[1])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _planes(array: NDArray[Any], levels: Levels | None) -> list[Image.Image]:
    """The channels of an array `[H, W, C]` in 8 bits."""
    planes = (array[..., channel] for channel in range(array.shape[-1]))
    if array.dtype == np.uint8:
        return [Image.fromarray(plane) for plane in planes]
    levels = levels or levels_of([array]) or Levels(0, 1)
    return [to_eight_bits(plane, levels) for plane in planes]


def eight_bit(image: Image.Image, *, channels: int, levels: Levels | None = None) -> Image.Image:
    """Mode "L" for 1 channel, "RGB" for 3. In bands of a million pixels, since the steps between would take three times the
    memory of the image."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode == mode and not image.has_transparency_data:
        return image
    if is_deep(image):
        levels = levels or levels_of([np.asarray(image)])
        levels = levels or Levels(0, 1)  # Where no pixel is a number.
    whole, rows = Image.new(mode, image.size), max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        whole.paste(_converted(band, mode, levels), (0, top))
    return whole


def _converted(image: Image.Image, mode: str, levels: Levels | None) -> Image.Image:
    if is_deep(image):  # Pillow's own conversion would clip at 255.
        image = to_eight_bits(image, levels or Levels(0, 255))
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
