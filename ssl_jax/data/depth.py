"""Conversion of pixels of more than 8 bits to 8 bits.

Pillow reads such pixels as integers of 16 or 32 bits, without the bit depth of the camera. So black and
white are measured: white is the largest pixel, rounded up to 2**n - 1 with n = 8, 10, 12, 14, 16 or more; black is 0, or the
smallest pixel rounded down in the same way where there are negative ones. They are measured over a sample of a whole data
set, so that a dark image stays darker than a bright one; values outside are clipped.

Coloured pixels of 16 bits a channel are read by Pillow as their upper 8 bits: correct where all 16 are used, nearly black where
12 are. So a line on standard error reports them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Levels(NamedTuple):
    """The pixels that become 0 and 255."""

    black: int
    white: int


def is_deep(image: Image.Image) -> bool:
    """Whether its pixels are integers of more than 8 bits."""
    return image.mode.startswith("I")


def is_deep_colour(image: Image.Image) -> bool:
    """Whether Pillow reads the upper 8 of 16 bits a channel; for an image that is not decoded yet."""
    formats = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in getattr(image, "tile", ()) if tile[3]]
    return not is_deep(image) and any(";16" in str(form) for form in formats)


def levels_of(images: Iterable[Image.Image]) -> Levels | None:
    """Black and white of deep images together; None where there are none.

    For one image with pixels in 5 ... 3,000: `Levels(0, 4095)`.
    """
    extremes = [(int(pixels.min()), int(pixels.max())) for pixels in map(np.asarray, images)]
    if not extremes:
        return None
    smallest, largest = min(low for low, _ in extremes), max(high for _, high in extremes)
    return Levels(-_rounded_up(-smallest) if smallest < 0 else 0, _rounded_up(largest))


def to_eight_bits(image: Image.Image, levels: Levels) -> Image.Image:
    """Deep pixels -> mode "L", linear from black to white."""
    black, white = levels
    pixels: NDArray[np.int64] = np.asarray(image).clip(black, white).astype(np.int64) - black
    return Image.fromarray(((pixels * 255 + (white - black) // 2) // (white - black)).astype(np.uint8))


def _rounded_up(value: int) -> int:
    bits = max(8, value.bit_length())
    return 2 ** (bits + bits % 2 if bits < 16 else bits) - 1
