"""What is opened, what is not, and that size is bounded before memory is taken."""

import io
import struct
import zlib

import pytest
from PIL import Image

from ssl_jax.data.pixels import formats
from ssl_jax.data.pixels.formats import FORMATS, header, load, suffixes
from ssl_jax.data.skipping import Unreadable


def encode(image, kind):
    encoded = io.BytesIO()
    image.save(encoded, kind)
    return encoded.getvalue()


def png_of(width, height):
    """The beginning of a PNG of this size: enough to open it, not to decode it."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_suffixes_are_those_of_the_formats_that_pillow_can_read():
    assert {".jpg", ".jfif", ".jpe", ".png", ".apng", ".webp", ".tga", ".jp2", ".tiff", ".gif", ".bmp"} <= set(
        suffixes()
    )
    assert not {".eps", ".ps", ".pdf", ".wmf", ".svg", ".mpg", ".h5"} & set(suffixes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "TGA", "PCX", "SGI", "QOI"])
def test_each_format_is_decoded(kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip("this Pillow does not write it")  # Older ones read QOI only.
    image = load(encode(Image.new("RGB", (6, 5), (200, 200, 200)), kind))
    assert image.size == (6, 5) and image.convert("L").getpixel((3, 2)) == 200


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICNS"])
def test_no_other_format_is_opened_even_where_pillow_could(kind):
    encoded = encode(Image.new("RGB", (32, 32)), kind)
    assert kind not in FORMATS and header(io.BytesIO(encoded)) is None
    with pytest.raises(Unreadable, match="not an image of a known format"):
        load(encoded)


@pytest.mark.parametrize("side", [9_460, 13_000, 50_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_unreadable_before_they_are_decoded(side):
    with pytest.raises(Unreadable, match=f"^({side}x{side} pixels, more than 89478485$|Image size .* exceeds limit)"):
        load(png_of(side, side))
    with pytest.raises(Unreadable, match=r"broken data stream|truncated|Truncated"):
        load(png_of(100, 100))


def test_a_jpeg_counts_with_the_size_that_it_is_decoded_in(monkeypatch):
    encoded = encode(Image.new("L", (640, 480), 9), "JPEG")
    monkeypatch.setattr(formats, "LARGEST_PIXELS", 160 * 120)
    assert load(encoded, near=(100, 100)).size == (160, 120)
    with pytest.raises(Unreadable, match=r"^320x240 pixels, more than 19200$"):
        load(encoded, near=(200, 200))
