"""PNGs of 16 bits a channel keep all of them: every filter, gray and colour, transparency, EXIF, interlacing, damage."""

import struct
import zlib

import numpy as np
import pytest
from data.stored_files import chunk, deep_png
from PIL import Image

from ssl_jax.data import open_data
from ssl_jax.data.pixels.deep_png import SIGNATURE, read_deep_png
from ssl_jax.data.pixels.depth import Levels
from ssl_jax.data.pixels.images import TURNS, central_part, decode
from ssl_jax.data.skipping import Unreadable

RANDOM = np.random.default_rng(0)


def colour(height=7, width=5, channels=3, most=2**16):
    return RANDOM.integers(0, most, (height, width, channels)).astype(np.uint16)


def test_every_filter_is_undone():
    pixels = colour(height=10)
    np.testing.assert_array_equal(read_deep_png(deep_png(pixels)), pixels)


def test_interlaced_images_are_read():
    """By Adam7, whose seven passes are images of their own."""
    pixels = colour(height=11, width=9)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row for top, left, down, across in passes for row in pixels[top::down, left::across]]
    content = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 11, 16, 2, 0, 0, 1))
    encoded = SIGNATURE + head + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(read_deep_png(encoded), pixels)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_composited_on_white(channels):
    pixels = colour(channels=channels)
    pixels[0, 0, -1], pixels[0, 1, -1] = 0, 2**16 - 1
    found, share = read_deep_png(deep_png(pixels)), pixels[..., -1:] / (2**16 - 1)
    expected = pixels[..., :-1] * share + (2**16 - 1) * (1 - share)
    assert found.shape == (7, 5, channels - 1) and (found[0, 0] == 2**16 - 1).all()
    np.testing.assert_array_equal(found[0, 1], pixels[0, 1, :-1])
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_other_files_and_a_transparent_colour_are_left_to_pillow():
    marked = deep_png(colour(), more=chunk(b"tRNS", bytes(6)))
    for encoded in (marked, deep_png(colour(channels=1)), b"", SIGNATURE, b"\xff\xd8" + bytes(40)):
        assert read_deep_png(encoded) is None
    assert decode(marked, shape=(7, 5, 3)).shape == (7, 5, 3)


@pytest.mark.parametrize("turn", range(1, 9))
def test_images_are_turned_as_exif_says(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = colour()
    found = read_deep_png(deep_png(pixels, more=chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    upper = Image.fromarray((pixels >> 8).astype(np.uint8))
    expected = upper.transpose(TURNS[turn]) if turn in TURNS else upper
    np.testing.assert_array_equal(found >> 8, np.asarray(expected))


def test_damage_is_unreadable():
    with pytest.raises(Unreadable):
        read_deep_png(deep_png(colour(height=40, width=40))[:2000])


def test_twelve_bits_are_not_black():
    """Pillow alone would read 0 to 15."""
    pixels = colour(most=2**12)
    pixels[0, 0] = 2**12 - 1
    found = decode(deep_png(pixels), shape=(7, 5, 3), levels=Levels(0, 2**12 - 1))
    np.testing.assert_allclose(found, pixels * (255 / 4095), atol=0.51)
    np.testing.assert_array_equal(central_part(deep_png(pixels), most=8, shape=(7, 5)), found)


def test_a_folder_has_a_measured_range_and_no_complaint(tmp_path, capsys):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(deep_png(colour(most=2**12)))
    train = open_data(str(tmp_path), image_size=4).train
    assert train.levels == Levels(0, 2**12 - 1) and train.image_shape == (4, 4, 3)
    assert train[0]["image"].max() > 100 and capsys.readouterr().err == ""
    (tmp_path / "gray").mkdir()
    (tmp_path / "gray/1.png").write_bytes(deep_png(colour(channels=2)))
    assert open_data(str(tmp_path / "gray"), image_size=4).train.image_shape == (4, 4, 1)
