"""From encoded images of any kind to uint8 arrays of one shape.

Depth: 16 bits become 8; palettes, CMYK and the like become RGB, or grey where one channel is wanted; what is
transparent lies on white. Size: the largest central part of the wanted proportions is resized with antialiasing
(Pillow, bicubic); for a square that is resizing the shorter side and cutting the centre out. Smaller images are
enlarged. EXIF orientation is not applied.
"""

import io
import sys
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ssl_jax.data.source import Example, in_order
from ssl_jax.errors import UsageError

PATIENCE = 100  # Unreadable images in a row before a source is given up.


class Unreadable(Exception):
    """An image that cannot be decoded; the message says why."""


class Records(Protocol):
    """Encoded images with their labels, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> tuple[bytes, int]:
        """Encoded image and label; -1 where there is none."""

    def where(self, number: int) -> str:
        """What a message calls this image."""


class DecodedSource:
    """A source that decodes and resizes when it is read.

    An unreadable image is skipped: the next readable one, with its label, stands in for it, so that numbers and order
    stay as they are. Each is reported once on standard error and kept in `unreadable`. With `strict`, every image is
    read once here, and the first unreadable one is refused.
    """

    def __init__(
        self,
        records: Records,
        *,
        name: str,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        strict: bool = False,
    ):
        self.name, self.classes, self.image_shape = name, classes, image_shape
        self.unreadable: set[int] = set()
        self._records, self._strict = records, strict
        if strict:
            for _ in in_order(self, batch_size=256):
                pass  # Refuses now rather than hours into a run.

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(number)
        patience = min(PATIENCE, len(self))
        for neighbour in range(number, number + patience):
            try:
                return self._decode(neighbour % len(self))
            except Unreadable as fault:
                self._report(neighbour % len(self), fault)
        raise UsageError(
            f"data: {self._records.where(number)} cannot be read, nor any of the {patience} images from there on: "
            "repair or remove them."
        )

    def _decode(self, number: int) -> Example:
        try:
            encoded, label = self._records[number]
        except OSError as fault:
            raise Unreadable(fault.strerror) from fault
        return {"image": decode(encoded, shape=self.image_shape), "label": np.int32(label)}

    def _report(self, number: int, fault: Unreadable) -> None:
        where = self._records.where(number)
        if self._strict:
            raise UsageError(
                f"strict: {where} cannot be read ({fault}): repair or remove it, or leave strict out to skip it."
            ) from fault
        if number not in self.unreadable:
            self.unreadable.add(number)
            count = f"{len(self.unreadable)} of {len(self)} images so far"
            print(f"data: {where} cannot be read ({fault}): skipped, {count}", file=sys.stderr)


def decode(encoded: bytes, *, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An encoded image as uint8 of this `[H, W, C]`.

    Raises:
      Unreadable: truncated, damaged, or of no known kind.
    """
    height, width, channels = shape
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            image.draft(image.mode, (2 * width, 2 * height))  # Large JPEGs: decode 1/2, 1/4 or 1/8.
            fitted = fit(eight_bit(image, channels=channels), height=height, width=width)
    except UnidentifiedImageError as fault:
        raise Unreadable("not an image of a known kind") from fault
    except Exception as fault:  # Pillow's decoders raise many types on damaged bytes.
        raise Unreadable(str(fault) or type(fault).__name__) from fault
    return np.asarray(fitted).reshape(shape)


def eight_bit(image: Image.Image, *, channels: int) -> Image.Image:
    """Mode "L" for 1 channel, "RGB" for 3."""
    if image.mode.startswith("I"):  # Pillow's own conversion would clip 16 bits at 255.
        sixteen = np.asarray(image).clip(0, 65535).astype(np.uint32)
        image = Image.fromarray(((sixteen + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise Unreadable("floating-point pixels have no known range")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("L" if channels == 1 else "RGB")


def fit(image: Image.Image, *, height: int, width: int) -> Image.Image:
    """The largest central part of these proportions, resized."""
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    part = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=part)
