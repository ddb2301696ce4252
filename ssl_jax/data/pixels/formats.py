"""What is read as an image: which files, which formats, how many pixels; and the errors of decoders.

Files: regular ones, or links to such, of at most 257 MiB. Formats: those whose decoders are a part of Pillow and read only
the given bytes; none that starts another program (EPS starts Ghostscript) or follows references to other files. The first
image of animations and of files with several pages is read.

Size: an image of more than 89 million pixels is unreadable, Pillow's own threshold of a decompression bomb, or one with a side
of more than 65,536. Decoding takes 3 to 4 bytes a pixel, and as many for the result; of formats whose decoders make further
copies, fewer pixels are allowed (`COPIES`). A JPEG counts with the size that it is decoded in; a progressive one, which is held
whole, with its own. Of images above 16 million pixels a process decodes one at a time, since each takes up to 0.7 GB.
"""

import contextlib
import errno
import functools
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from ssl_jax.data.pixels.arrays import MAGIC, shape_of
from ssl_jax.data.pixels.depth import is_deep, is_deep_colour, is_deep_png, stored_as
from ssl_jax.data.pixels.tiff import FORMS
from ssl_jax.data.skipping import Unreadable
from ssl_jax.files import open_regular, read_regular

FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "MPO",
    "DIB", "DDS", "PCX", "PSD", "QOI", "SGI", "SUN", "XBM",
)  # fmt: skip
LARGEST_PIXELS = 89_478_485  # PIL.Image.MAX_IMAGE_PIXELS, which other code of a program may change.
LONGEST_SIDE = 2**16  # Pixels, above any JPEG's; a row is converted at once.
LARGEST_FILE = 2**28 + 2**20  # Bytes: as many pixels in 3 channels, stored plainly, and a header.
LARGE_PIXELS = 2**24  # Above it, images are decoded one at a time.
# Formats whose decoders take more memory than the pixels: as multiples of it.
COPIES = {"JPEG2000": 4, "WEBP": 3, "AVIF": 2}
MOST_WORK = 2**31  # Pixels times scans of a progressive JPEG, each of which is a pass over all pixels: some seconds.
OWN = (MAGIC, *FORMS)  # Starts of files that `ssl_jax.data.pixels.arrays` may read.
ORIENTATION = 0x0112  # EXIF's tag.
# What makes an image upright, by its `orientation`.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
OF_THE_COMPUTER = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # Faults of the computer, not of a file.
_turn = threading.Lock()  # In the module, since sources are sent to worker processes, and locks cannot be.

# A large JPEG is decoded at a fraction of its size, so that Pillow's warning about its full size does not apply.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def suffixes() -> tuple[str, ...]:
    """Endings of file names, such as ".png", of the formats that the installed Pillow can read, and ".npy"."""
    _openable()
    found = (ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS)
    return (*sorted(found), ".npy")


def read_file(path: Path) -> bytes:
    """The bytes of an image file; `Unreadable` where it is missing, no regular file, or too large."""
    try:
        return read_regular(path, at_most=LARGEST_FILE)
    except OSError as fault:
        if fault.errno in OF_THE_COMPUTER:
            raise
        raise Unreadable(fault.strerror) from fault


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    size: width and height, upright.
    channels: 1, 3, or another number; without transparency.
    deep: whether its pixels have more than 8 bits, or are floating-point numbers.
    cut: whether it has channels of 16 bits, of which the upper 8 are read.
    transparent: whether some pixels may be.
    """

    size: tuple[int, int]
    channels: int
    deep: bool = False
    cut: bool = False
    transparent: bool = False


def header(file: Path | BinaryIO) -> Header | None:
    """Size, channels and depth of an image file, without decoding; None where even these cannot be read."""
    try:
        with contextlib.ExitStack() as opened:
            if isinstance(file, Path):
                file = opened.enter_context(open_regular(file, at_most=LARGEST_FILE))
                if not os.fstat(file.fileno()).st_size:  # Also files of the kernel, reading which may never end.
                    return None
            if file.read(6).startswith(OWN):
                file.seek(0)
                if found := shape_of(file.read()):
                    (height, width, channels), dtype = found
                    return Header((width, height), channels, deep=dtype.itemsize > 1)
            file.seek(0)
            image = opened.enter_context(Image.open(file, formats=_openable()))
            size = _swapped(image.size) if orientation(image) >= 5 else image.size
            deep_colour, whole = is_deep_colour(image), is_deep_png(image)
            channels = 1 if is_grayscale(image) else 3
            transparent = image.has_transparency_data
            return Header(size, channels, is_deep(image) or whole, deep_colour and not whole, transparent)
    except Exception:  # Reported when the image itself is read.
        return None


def _swapped(size: tuple[int, int]) -> tuple[int, int]:
    return size[1], size[0]


def is_grayscale(image: Image.Image) -> bool:
    """Whether an image has one channel, beside transparency."""
    return image.mode in ("1", "L", "LA", "La") or is_deep(image) or stored_as(image).startswith("LA")


def orientation(image: Image.Image) -> int:
    """EXIF's number of how the image is turned, 1 to 8: 1 is upright, and from 5 on height and width are exchanged.

    1 where it is missing or damaged, and of a TIFF, which Pillow turns.
    """
    if "exif" not in image.info or image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's parser raises many types on damaged bytes.
        return 1
    return found if found in range(1, 9) else 1


def load(encoded: bytes, *, near: tuple[int, int] | None = None) -> Image.Image:
    """An encoded image, decoded: its first frame or page. Arguments and errors are those of `loaded`."""
    with loaded(encoded, near=near) as image:
        return image


@contextlib.contextmanager
def loaded(encoded: bytes, *, near: tuple[int, int] | None = None, pixels: str | None = None) -> Iterator[Image.Image]:
    """`load` for as long as the pixels are used: of large images, one at a time.

    Args:
      near: width and height; a JPEG of at least twice this size is decoded at 1/2, 1/4 or 1/8 of its own, but not below
        this.
      pixels: Pillow's name of the pixels in the file, such as "RGB;16B", in place of the one that it would choose.

    Raises:
      Unreadable: truncated, damaged, too large, or of an unknown format.
    """
    with contextlib.ExitStack() as turn:
        with _unreadable(), Image.open(io.BytesIO(encoded), formats=_openable()) as image:
            _check_work(image, encoded)
            if near:
                image.draft(image.mode, _swapped(near) if orientation(image) >= 5 else near)
            _check_pixels(image)
            if pixels:
                image.tile = [(*tile[:3], pixels) for tile in image.tile]  # type: ignore[misc]
            if image.width * image.height > LARGE_PIXELS:
                turn.enter_context(_turn)
            image.load()
        yield image


@contextlib.contextmanager
def _unreadable() -> Iterator[None]:
    """Turns the errors of Pillow's decoders into `Unreadable`."""
    try:
        yield
    except (Unreadable, MemoryError):  # A lack of memory is not damage to an image.
        raise
    except UnidentifiedImageError as fault:
        raise Unreadable("not an image of a known format") from fault
    except Exception as fault:  # Pillow's decoders raise many types on damaged bytes.
        raise Unreadable(str(fault) or type(fault).__name__) from fault


def _check_work(image: Image.Image, encoded: bytes) -> None:
    """Refuses a progressive JPEG that takes too much memory, or too many passes over its pixels."""
    if "progressive" in image.info:
        _check_pixels(image)
        scans = encoded.count(b"\xff\xda")  # In the data of a scan FF is followed by 00 or by a mark of a restart.
        if scans * image.width * image.height > MOST_WORK:
            raise Unreadable(f"{image.width}x{image.height} pixels in {scans} scans")


def _check_pixels(image: Image.Image) -> None:
    most = LARGEST_PIXELS // COPIES.get(image.format or "", 1)
    if image.width * image.height > most:
        raise Unreadable(f"{image.width}x{image.height} pixels, more than {most}")
    if max(image.size) > LONGEST_SIDE:
        raise Unreadable(f"{image.width}x{image.height} pixels, a side of more than {LONGEST_SIDE}")


@functools.cache
def _openable() -> tuple[str, ...]:
    """The formats that the installed Pillow has decoders for; MPO is opened as the JPEG that it begins with."""
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)
