"""Images of every kind become uint8 of one shape; what cannot be read is skipped and counted, or refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from ssl_jax.data import in_order
from ssl_jax.data.pixels.images import DecodedSource, decode, eight_bit, fit
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import unreadable_in
from ssl_jax.data.subsets import Subset
from ssl_jax.errors import UsageError


def encode(image, kind="PNG", **options):
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


def deep_colour_png(side):
    rows = b"".join(b"\0" + bytes([1, 2] * 3 * side) for _ in range(side))
    parts = (
        b"IHDR" + struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows), b"IEND",
    )  # fmt: skip
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def picture(height=4, width=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class Listed:
    """Records from a list: image number i has label i."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.images[number], number

    def where(self, number):
        return f"image {number}"


def source(images, **options):
    return DecodedSource(Listed(images), name="list", classes=(), image_shape=(4, 4, 3), **options)


def test_pixels_of_the_right_size_are_kept():
    np.testing.assert_array_equal(decode(encode(Image.fromarray(picture())), shape=(4, 4, 3)), picture())
    grey = picture()[..., :1]
    encoded = encode(Image.fromarray(grey[..., 0]))
    np.testing.assert_array_equal(decode(encoded, shape=(4, 4, 1)), grey)
    np.testing.assert_array_equal(decode(encoded, shape=(4, 4, 3)), np.repeat(grey, 3, -1))


def test_sixteen_bits_are_scaled_not_clipped():
    deep = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369  # 0 ... 65535
    expected = np.arange(16).reshape(4, 4, 1) * 17  # 0 ... 255
    np.testing.assert_array_equal(decode(encode(Image.fromarray(deep)), shape=(4, 4, 1)), expected)


def test_transparent_pixels_lie_on_white():
    layer = np.dstack([picture(), np.full((4, 4), 255, np.uint8)])
    layer[:2, :, 3] = 0
    decoded = decode(encode(Image.fromarray(layer)), shape=(4, 4, 3))
    np.testing.assert_array_equal(decoded[2:], picture()[2:])
    assert (decoded[:2] == 255).all()


def test_palette_and_cmyk_become_rgb():
    few = Image.fromarray(picture() // 128 * 255)  # At most 8 colours: a palette holds them exactly.
    np.testing.assert_array_equal(decode(encode(few.quantize(8)), shape=(4, 4, 3)), np.asarray(few))
    plain = Image.new("RGB", (16, 16), (200, 100, 50))
    decoded = decode(encode(plain.convert("CMYK"), "JPEG", quality=95), shape=(16, 16, 3))
    np.testing.assert_allclose(decoded, np.asarray(plain), atol=4)


def test_modes_of_colour_become_red_green_and_blue_or_grey():
    """Whatever mode a decoder returns: once a grey network refused LAB with a traceback."""
    for mode in "1 L P RGB RGBA RGBa RGBX CMYK YCbCr LAB HSV I I;16B LA La PA".split():
        for channels, expected in ((1, "L"), (3, "RGB")):
            assert eight_bit(Image.new(mode, (2, 2)), channels=channels).mode == expected
    half = Image.new("LA", (1, 1), (0, 51)).convert("La")  # Black, a fifth of it, on white.
    assert eight_bit(half, channels=1).getpixel((0, 0)) == 204
    middle = Image.frombytes("LAB", (1, 1), bytes([128, 0, 0]))  # A lightness of 50 % is 119 of 255 in sRGB.
    assert eight_bit(middle, channels=1).getpixel((0, 0)) in (119, 120)


def test_other_sizes_are_resized_antialiased_and_cut_to_the_centre():
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16:2] = 255  # The middle square is half white in every second column, the sides are black.
    decoded = decode(encode(Image.fromarray(stripes)), shape=(2, 2, 1))
    np.testing.assert_allclose(decoded, 127, atol=24)  # Without antialiasing 0 or 255; with the sides a third less.
    assert (decode(encode(Image.new("L", (2, 3), 9)), shape=(4, 4, 1)) == 9).all()  # Enlarged.


def test_large_jpegs_keep_their_look():
    smooth = Image.fromarray(picture(24, 32)).resize((640, 480), Image.Resampling.BICUBIC)
    expected = np.asarray(smooth.crop((80, 0, 560, 480)).resize((32, 32), Image.Resampling.BICUBIC), np.int32)
    difference = decode(encode(smooth, "JPEG", quality=95), shape=(32, 32, 3)) - expected
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize(
    "damaged, reason",
    [
        (encode(Image.fromarray(picture(64, 64)), "JPEG")[:900], "truncated"),
        (encode(Image.fromarray(picture(64, 64)))[:900], "truncated"),
        (b"not an image", "not an image of a known format"),
        (b"", "not an image of a known format"),
    ],
)
def test_what_is_damaged_is_unreadable(damaged, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(damaged, shape=(4, 4, 3))


def test_an_unreadable_image_is_skipped_and_counted_once(capsys):
    images = source([encode(Image.fromarray(picture(seed=seed))) for seed in range(3)] + [b"broken"])
    for _ in range(2):
        assert [int(images[number]["label"]) for number in range(4)] == [0, 1, 2, 0]
    np.testing.assert_array_equal(images[3]["image"], images[0]["image"])
    assert images.unreadable == {3}
    expected = "data: image 3 cannot be read (not an image of a known format): skipped, 1 of 4 images so far\n"
    assert capsys.readouterr().err == expected


def test_strict_refuses_it_before_anything_begins():
    with pytest.raises(UsageError) as refused:
        source([encode(Image.fromarray(picture())), b"broken"], strict=True)
    assert str(refused.value) == (
        "strict: image 1 cannot be read (not an image of a known format): "
        "repair or remove it, or leave strict out to skip it."
    )


def test_a_source_without_readable_images_is_given_up(capsys):
    with pytest.raises(UsageError) as refused:
        source([b"broken"] * 3)[1]
    assert (
        str(refused.value) == "data: image 1 cannot be read, nor any of the 2 images after it: repair or remove them."
    )
    with pytest.raises(UsageError) as refused:
        source([b"broken"])[0]
    assert str(refused.value) == "data: image 0 cannot be read: repair it, or give others."


def test_numbers_outside_are_refused():
    for number in (-1, 1):
        with pytest.raises(IndexError):
            source([encode(Image.fromarray(picture()))])[number]


@pytest.mark.parametrize("side", [28, 56, 64, 112, 196, 224])
def test_no_size_of_photo_is_refused(side):
    sizes = np.random.default_rng(side).integers(20, 700, (150, 2))
    for width, height in sizes.tolist():
        image = Image.new("L", (width, height), 77)
        assert (np.asarray(fit(image, height=side, width=side)) == 77).all()


@pytest.mark.parametrize("width, height", [(1, 500), (500, 1), (3, 1000), (33, 34), (29, 31)])
@pytest.mark.parametrize("shape", [(7, 224), (224, 7), (196, 196), (28, 28)])
def test_the_part_that_is_resized_lies_within_the_image_and_in_its_middle(width, height, shape, monkeypatch):
    boxes = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *size, box: boxes.append(box) or resize(self, *size, box=box)
    )
    fit(Image.new("L", (width, height)), height=shape[0], width=shape[1])
    left, top, right, bottom = boxes[0]
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    np.testing.assert_allclose([left, top], [width - right, height - bottom], atol=1e-9)
    np.testing.assert_allclose((right - left) * shape[0], (bottom - top) * shape[1])


def test_a_fault_of_ours_is_not_taken_for_a_damaged_image(monkeypatch):
    def faulty(*_, **__):
        raise ValueError("a fault of ours")

    images = source([encode(Image.fromarray(picture()))])
    monkeypatch.setattr("ssl_jax.data.pixels.images.fit", faulty)
    with pytest.raises(ValueError, match="a fault of ours"):
        images[0]
    assert not images.unreadable


def test_too_little_memory_is_not_taken_for_a_damaged_image(monkeypatch):
    images = source([encode(Image.fromarray(picture()))])
    monkeypatch.setattr(PngImageFile, "load", lambda self: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        images[0]


def test_what_is_unreadable_is_left_out_of_evaluation(capsys):
    images = source([encode(Image.fromarray(picture(seed=seed))) if seed % 3 else b"broken" for seed in range(10)])
    for _ in range(2):
        parts = list(in_order(images, batch_size=4))
        assert [part["index"].tolist() for part in parts] == [[1, 2, 4, 5], [7, 8]]
        assert [part["label"].tolist() for part in parts] == [[1, 2, 4, 5], [7, 8]]
        for part in parts:
            for row, number in zip(part["image"], part["index"], strict=True):
                np.testing.assert_array_equal(row, picture(seed=number))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5 and said[-1] == "data: 4 of 10 examples of list cannot be read: left out"
    assert int(images[3]["label"]) == 4  # In training the next one stands in.


def test_a_part_of_a_source_has_its_unreadable_examples():
    images = source([b"broken" if number in (2, 5) else encode(Image.fromarray(picture())) for number in range(8)])
    part = Subset(images, [0, 2, 4, 5])
    assert [part["index"].tolist() for part in in_order(part, batch_size=4)] == [[0, 2]]
    assert unreadable_in(part) == {1, 3}


def test_depth_is_measured_over_the_data_set_so_that_dark_stays_darker_than_bright():
    def deep(value):
        return encode(Image.fromarray(np.full((4, 4), value, np.uint16)))

    images = DecodedSource(
        Listed([deep(value) for value in (0, 1000, 4000, 4095)]), name="deep", classes=(), image_shape=(4, 4, 1)
    )
    assert [int(images[number]["image"].max()) for number in range(4)] == [0, 62, 249, 255]
    test = DecodedSource(Listed([deep(1000)]), name="t", classes=(), image_shape=(4, 4, 1), levels=images.levels)
    assert test[0]["image"].max() == 62
    assert source([encode(Image.fromarray(picture()))]).levels is None


def test_colour_of_16_bits_that_is_cut_is_mentioned_once(capsys):
    """Pillow compares a colour that is marked as transparent with pixels of 8 bits."""
    whole, head = deep_colour_png(4), 33  # Bytes of signature and header.
    mark = b"tRNS" + bytes(6)
    marked = whole[:head] + struct.pack(">I", 6) + mark + struct.pack(">I", zlib.crc32(mark)) + whole[head:]
    images = source([marked] * 3)
    assert (images[0]["image"] == 1).all()  # Of 0x0102.
    cut, transparent = capsys.readouterr().err.splitlines()
    assert (
        cut
        == "data: list has channels of 16 bits, of which the upper 8 are read: convert images that use fewer than 16."
    )
    assert transparent == "data: list has images with transparency: what is transparent becomes white."
    assert (source([whole])[0]["image"] == 64).all()  # Of 0x0102 in 10 bits.
