"""PNGs in colour, or with transparency, of 16 bits a channel, with all of their bits: Pillow keeps the upper 8.

Pillow decodes the file twice, once with the bytes of a channel in their order, of which it keeps the upper one, and once with
the two exchanged, so that the other one is kept. Filters, interlacing and damage are left to its decoder.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.pixels.formats import TURNS, loaded, orientation
from ssl_jax.data.skipping import Unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KIND = slice(24, 26)  # Bit depth and type of colour in the header of a PNG.
# Pillow's names for the pixels whose upper bytes, and whose lower bytes, are kept; of gray with transparency, whose four bytes
# are those of a pixel of 8 bits in four channels, once for all.
MODES = {b"\x10\x02": ("RGB;16B", "RGB;16L"), b"\x10\x06": ("RGBA;16B", "RGBA;16L"), b"\x10\x04": ("RGBA",)}
LARGEST_ARRAY = 2**28  # Bytes of all pixels.
WHITE = 2**16 - 1


def read_deep_png(encoded: bytes) -> NDArray[np.uint16] | None:
    """The pixels `[H, W, 1 or 3]`, turned as EXIF says; None for other files, and where one colour is marked as transparent.

    What is transparent is composited on white, 65535.

    Raises:
      Unreadable: damaged or too large.
    """
    modes = MODES.get(encoded[KIND])
    if modes is None or not encoded.startswith(SIGNATURE) or b"tRNS" in encoded[: encoded.find(b"IDAT")]:
        return None
    parts = []
    for mode in modes:
        with loaded(encoded, pixels=mode) as image:
            _check_size(image)
            turned = orientation(image)
            parts.append(np.asarray(image.transpose(TURNS[turned]) if turned in TURNS else image))
    if len(modes) == 1:
        (each,) = parts
        parts = [each[..., 0::2], each[..., 1::2]]
    upper, lower = parts
    return _on_white((upper.astype(np.uint16) << 8) | lower)


def _check_size(image: Image.Image) -> None:
    if 2 * 3 * image.width * image.height > LARGEST_ARRAY:
        raise Unreadable(f"{image.width}x{image.height} pixels of 16 bits, more than {LARGEST_ARRAY} bytes")


def _on_white(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """`[H, W, 2 or 4]`, of which the last channel is the opacity -> `[H, W, 1 or 3]`; without one, as they are."""
    if pixels.shape[-1] == 3:
        return pixels
    color, opacity = pixels[..., :-1].astype(np.uint32), pixels[..., -1:].astype(np.uint32)
    return ((color * opacity + WHITE * (WHITE - opacity) + WHITE // 2) // WHITE).astype(np.uint16)
