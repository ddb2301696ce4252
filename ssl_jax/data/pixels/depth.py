"""Conversion of pixels of more than 8 bits, and of floating-point ones, to 8 bits.

Such pixels have no known bit depth or unit. So black and white are stated (`,range=0:4095` behind the name of the data) or
measured. Of integers white is the largest pixel, rounded up to 2**n - 1 with n = 8, 10, 12, 14, 16 or more; black is 0, or the
smallest pixel rounded down in the same way where there are negative ones. Of floating-point pixels they are 0 and 1 where
all lie between, else the smallest and the largest. They are measured over a sample of a whole data set, so that a dark image
stays darker than a bright one; values outside are clipped, and what is not a number is black.

Coloured pixels of 16 bits a channel are read by Pillow as their upper 8 bits: correct where all 16 are used, nearly black where
12 are. Of PNGs and TIFFs all are read (`ssl_jax.data.pixels.deep_png`, `tiff`); of the rest, such as PNGs with a transparent
colour and TIFFs with transparency, a line on standard error reports it.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ssl_jax.errors import UsageError

BAND = 2**20  # Pixels that are converted at once.
EXACT = 2**53  # Up to it floating-point numbers have all integers, and 255 times a pixel fits into 64 bits.


class Levels(NamedTuple):
    """The pixels that become 0 and 255."""

    black: float
    white: float


def is_deep(image: Image.Image) -> bool:
    """Whether its pixels are integers of more than 8 bits, or floating-point numbers."""
    return image.mode.startswith("I") or image.mode == "F"


def is_deep_colour(image: Image.Image) -> bool:
    """Whether Pillow reads the upper 8 of 16 bits a channel; for an image that is not decoded yet."""
    return not is_deep(image) and ";16" in stored_as(image)


def is_deep_png(image: Image.Image) -> bool:
    """Whether `ssl_jax.data.pixels.deep_png` reads all bits of it; for an image that is not decoded yet."""
    return image.format == "PNG" and is_deep_colour(image) and "transparency" not in image.info


def stored_as(image: Image.Image) -> str:
    """Pillow's name of the pixels in the file, such as "RGB;16B", of an image that is not decoded yet; empty where unknown."""
    for tile in getattr(image, "tile", ()):
        if tile[3]:
            return str(tile[3] if isinstance(tile[3], str) else tile[3][0])
    return ""


def stated_levels(text: str) -> Levels:
    """The levels that `LOW:HIGH` states; a `UsageError` for other texts."""
    low, _, high = text.partition(":")
    try:
        black, white = (int(value) if value.strip("+-").isdigit() else float(value) for value in (low, high))
        finite = math.isfinite(black) and math.isfinite(white)
    except (ValueError, OverflowError):  # The latter of integers beyond all floating-point numbers.
        finite = False
    if not (finite and black < white):
        raise UsageError(f"data: got range={text}, expected the pixels of black and white, such as range=0:4095.")
    return Levels(black, white)


def levels_of(images: Iterable[ArrayLike | Image.Image]) -> Levels | None:
    """Black and white of deep images together; None where there are none.

    For one image with pixels in 5 ... 3,000: `Levels(0, 4095)`. For one in 0.2 ... 0.9: `Levels(0, 1)`.
    """
    extremes = [found for pixels in map(np.asarray, images) if (found := _extremes(pixels))]
    if not extremes:
        return None
    smallest, largest = min(low for low, _ in extremes), max(high for _, high in extremes)
    if isinstance(smallest, int) and isinstance(largest, int):
        return Levels(-_rounded_up(-smallest) if smallest < 0 else 0, _rounded_up(largest))
    if smallest >= 0 and largest <= 1:
        return Levels(0, 1)
    return Levels(smallest, largest if largest > smallest else smallest + 1)


def to_eight_bits(image: ArrayLike | Image.Image, levels: Levels) -> Image.Image:
    """Deep pixels `[H, W]` -> mode "L", linear from black to white."""
    pixels: NDArray = np.asarray(image)
    made, rows = np.empty(pixels.shape, np.uint8), max(1, BAND // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        made[top : top + rows] = _scaled(pixels[top : top + rows], *levels)
    return Image.fromarray(made)


def _scaled(pixels: NDArray, black: float, white: float) -> NDArray[np.uint8]:
    whole = pixels.dtype.kind in "iu" and pixels.dtype != np.uint64
    if whole and isinstance(black, int) and isinstance(white, int) and -EXACT <= black and white <= EXACT:
        lifted: NDArray[np.int64] = pixels.astype(np.int64).clip(black, white) - black
        return ((lifted * 255 + (white - black) // 2) // (white - black)).astype(np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):  # A range of nearly all numbers.
        share = (pixels.astype(np.float64).clip(float(black), float(white)) - float(black)) * (255 / (white - black))
    return np.nan_to_num(share + 0.5).astype(np.uint8)


def _extremes(pixels: NDArray) -> tuple[float, float] | None:
    """The smallest and the largest finite pixel."""
    if pixels.dtype.kind in "iu":
        return (int(pixels.min()), int(pixels.max())) if pixels.size else None
    finite = pixels[np.isfinite(pixels)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _rounded_up(value: int) -> int:
    bits = max(8, value.bit_length())
    return 2 ** (bits + bits % 2 if bits < 16 else bits) - 1
