"""The image formats that are read, and the errors of their decoders.

Formats: those whose decoders are a part of Pillow and read only the given bytes; none that starts
another program (EPS starts Ghostscript) or follows references to other files. The first image of animations and of files
with several pages is read.

Size: an image of more than 89 million pixels is unreadable, Pillow's own threshold of a decompression bomb, since decoding
takes 3 to 4 bytes a pixel, several times over for transparent ones. A JPEG counts with the size that it is decoded in.
"""

import functools
import io
import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from ssl_jax.data.skipping import Unreadable

FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "MPO",
    "DIB", "DDS", "PCX", "PSD", "QOI", "SGI", "SUN", "XBM",
)  # fmt: skip
LARGEST_PIXELS = 89_478_485  # PIL.Image.MAX_IMAGE_PIXELS, which other code of a program may change.

# A large JPEG is decoded at a fraction of its size, so that Pillow's warning about its full size does not apply.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def suffixes() -> tuple[str, ...]:
    """Endings of file names, such as ".png", of the formats that the installed Pillow can read."""
    _openable()
    return tuple(sorted(ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS))


def header(file: Path | BinaryIO) -> Image.Image | None:
    """Size and mode of an image file, without decoding; None where even these cannot be read."""
    try:
        with Image.open(file, formats=_openable()) as image:
            return image
    except Exception:  # Reported when the image itself is read.
        return None


def load(encoded: bytes, *, near: tuple[int, int] | None = None) -> Image.Image:
    """An encoded image, decoded: its first frame or page.

    Args:
      near: width and height; a JPEG of at least twice this size is decoded at 1/2, 1/4 or 1/8 of its own, but not below
        this.

    Raises:
      Unreadable: truncated, damaged, too large, or of an unknown format.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_openable()) as image:
            if near:
                image.draft(image.mode, near)
            if image.width * image.height > LARGEST_PIXELS:
                raise Unreadable(f"{image.width}x{image.height} pixels, more than {LARGEST_PIXELS}")
            image.load()
            return image
    except (Unreadable, MemoryError):  # A lack of memory is not damage to an image.
        raise
    except UnidentifiedImageError as fault:
        raise Unreadable("not an image of a known format") from fault
    except Exception as fault:  # Pillow's decoders raise many types on damaged bytes.
        raise Unreadable(str(fault) or type(fault).__name__) from fault


@functools.cache
def _openable() -> tuple[str, ...]:
    """The formats that the installed Pillow has decoders for; MPO is opened as the JPEG that it begins with."""
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)
