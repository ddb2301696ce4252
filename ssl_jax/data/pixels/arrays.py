"""Image files that Pillow does not read, or not in full, as arrays `[H, W, C]`: .npy, and TIFF of several channels.

- .npy: booleans, integers or floating-point numbers `[H, W]`, `[H, W, C]`, or `[C, H, W]` where C is the smallest axis.
- TIFF (`ssl_jax.data.pixels.tiff`): other than 1 or 3 channels, transparency and print apart, or colour of more than 8 bits.
"""

import io
import math
import warnings

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.pixels.tiff import Tiff, tiff_of
from ssl_jax.data.skipping import Unreadable

MAGIC = b"\x93NUMPY"
LARGEST_ARRAY = 2**28  # Bytes of all pixels.
MOST_CHANNELS = 512
LONGEST_SIDE = 2**16
LARGEST_NUMBER = 2**52  # Of integers of 64 bits, so that 255 times as much can be computed.


class NotAnImage(Unreadable):
    """An array that is none of an image."""


def shape_of(encoded: bytes) -> tuple[tuple[int, int, int], np.dtype] | None:
    """Height, width and channels, and type, of an array; None for a file that Pillow reads. Raises as `read_array`."""
    if encoded.startswith(MAGIC):
        shape, _, dtype = _npy(io.BytesIO(encoded), len(encoded))
        return _order(shape)[0], dtype
    tiff = tiff_of(encoded)
    return tiff and (_checked(tiff.shape, tiff.dtype), tiff.dtype)


def read_array(encoded: bytes) -> NDArray | None:
    """The pixels `[H, W, C]`; None for a file that Pillow reads.

    Raises:
      Unreadable: damaged, too large, or no image.
    """
    if not encoded.startswith(MAGIC):
        tiff = tiff_of(encoded)
        return tiff and _numbers(_read_tiff(tiff))
    file = io.BytesIO(encoded)
    shape, fortran, dtype = _npy(file, len(encoded))
    pixels = np.frombuffer(encoded, dtype, math.prod(shape), file.tell())
    pixels = pixels.reshape(shape[::-1]).T if fortran else pixels.reshape(shape)
    (height, width, channels), first = _order(shape)
    pixels = np.moveaxis(pixels, 0, -1) if first else pixels
    return _numbers(pixels.reshape(height, width, channels))


def _read_tiff(tiff: Tiff) -> NDArray:
    _checked(tiff.shape, tiff.dtype)
    return tiff.read()


def _npy(file: io.BytesIO, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type in the header of a .npy file, which has as many bytes as they need."""
    try:
        with warnings.catch_warnings(action="ignore"):  # Of headers that Python 2 wrote.
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version](file)
    except KeyError as fault:
        raise Unreadable("a .npy file of an unknown version") from fault
    except Exception as fault:  # NumPy and Python's parser raise many types on damaged headers.
        raise Unreadable("the header of its array is damaged") from fault
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise NotAnImage(f"an array of {dtype}, expected integers or floating-point numbers")
    if not 2 <= len(shape) <= 3 or min(shape) < 1:
        raise NotAnImage(f"an array of shape {shape}, expected height, width and channels")
    if math.prod(shape) * dtype.itemsize > size - file.tell():
        raise Unreadable(f"an array of shape {shape}, but {size - file.tell()} bytes")
    _checked(_order(shape)[0], dtype)
    return shape, fortran, dtype


def _order(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], bool]:
    """Height, width and channels, and whether the channels are the first axis."""
    if len(shape) == 2:
        return (*shape, 1), False
    first = shape[0] < min(shape[1:])
    return (shape[1:] + shape[:1], True) if first else (shape, False)  # type: ignore[return-value]


def _checked(shape: tuple[int, int, int], dtype: np.dtype) -> tuple[int, int, int]:
    height, width, channels = shape
    if max(height, width) > LONGEST_SIDE or channels > MOST_CHANNELS:
        raise Unreadable(f"{width}x{height} pixels of {channels} channels, more than {LONGEST_SIDE} or {MOST_CHANNELS}")
    if height * width * channels * dtype.itemsize > LARGEST_ARRAY:
        raise Unreadable(f"{width}x{height} pixels of {channels} channels, more than {LARGEST_ARRAY} bytes")
    return shape


def _numbers(pixels: NDArray) -> NDArray:
    """Booleans as 0 and 255; other types in the byte order of the machine, and within their limits."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8:
        low = 0 if pixels.dtype.kind == "u" else -LARGEST_NUMBER
        return pixels.clip(low, LARGEST_NUMBER).astype(np.int64)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
