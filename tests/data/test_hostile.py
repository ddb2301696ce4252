"""Folders and images made to harm: every case ends, in little memory, with what is usable and a sentence about the rest."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data.folders.folder import open_folder
from ssl_jax.data.folders.scan import scan
from ssl_jax.data.pixels import formats, images
from ssl_jax.data.pixels.formats import header, load, loaded, read_file
from ssl_jax.data.pixels.images import decode, eight_bit
from ssl_jax.data.skipping import Unreadable
from ssl_jax.errors import UsageError


def encoded(kind="PNG", size=(6, 5), mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, size, 120).save(file, kind, **options)
    return file.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, *chunks, depth=8, colour=2):
    """A PNG of any size; without chunks there are no pixels in it."""
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(height * (3 * width + 1)))) if width * height < 1000 else b""
    return b"\x89PNG\r\n\x1a\n" + start + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def jpeg_of(width, height, **options):
    """A JPEG whose header claims this size."""
    content = bytearray(encoded("JPEG", (64, 64), **options))
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def gif_of(width, height):
    content = encoded("GIF", mode="L")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def bmp_of(width, height):
    content = encoded("BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


BOMB = zlib.compress(bytes(2**26), 9)  # 64 MiB in 64 KiB.

# Content of 2.png -> part of the sentence that says why it is skipped; None where it is read. Others in the folder are fine.
FILES = {
    "nothing": (b"", "not an image of a known format"),
    "text": (b"not an image", "not an image of a known format"),
    "half a PNG": (encoded()[:40], "truncated|not an image|Truncated"),
    "a PNG without pixels": (png(40, 40), "cannot load this image|truncated"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image of a known format"),
    "PDF": (
        b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF",
        "not an image of a known format",
    ),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="x.png"/></svg>', "not an image of a known format"),
    "icons": (encoded("ICNS", (32, 32)), "not an image of a known format"),
    "pickle": (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x05false\x94\x85\x94R\x94.", "not an image"),
    "npy": (b"\x93NUMPY\x01\x00", "not an image of a known format"),
    "PNG of 13,000 squared": (png(13_000, 13_000), "13000x13000 pixels, more than 89478485"),
    "PNG of 65,500 squared": (png(65_500, 65_500), "Image size .* exceeds limit"),
    "PNG of 4 billion by 1": (png(2**31 - 1, 1), "Image size .* exceeds limit"),
    "PNG of 89 million by 1": (png(89_000_000, 1), "89000000x1 pixels, a side of more than 65536"),
    "PNG of no width": (png(0, 5), "."),
    "JPEG of 65,500 squared": (jpeg_of(65_500, 65_500), "Image size .* exceeds limit"),
    "progressive JPEG of 13,000 squared": (jpeg_of(13_000, 13_000, progressive=True), "13000x13000 pixels, more than"),
    "GIF of 65,500 squared": (gif_of(65_500, 65_500), "Image size .* exceeds limit"),
    "BMP of 65,500 squared": (bmp_of(65_500, 65_500), "Image size .* exceeds limit"),
    "BMP of 9,000 squared without pixels": (bmp_of(9_000, 9_000), "truncated|Truncated"),
    "bomb of text in a PNG": (png(4, 4, chunk(b"zTXt", b"a\0\0" + BOMB)), "too large"),
    "bomb of a colour profile in a PNG": (png(4, 4, chunk(b"iCCP", b"a\0\0" + BOMB)), "too large"),
    "bomb of pixels in a PNG": (png(4, 4, chunk(b"IDAT", BOMB)), None),
    "strip of 65,500 by 1": (encoded("JPEG", (65_500, 1)), None),
    "strip of 1 by 65,500": (encoded(size=(1, 65_500)), None),
    "a JPEG": (encoded("JPEG"), None),
    "an image and more behind it": (encoded() + bytes(100_000), None),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", FILES)
def test_a_file_called_png_is_read_or_skipped_with_a_reason(tmp_path, capsys, name):
    content, reason = FILES[name]
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(encoded())
    (tmp_path / "2.png").write_bytes(content)
    source = open_folder(tmp_path, image_size=4).train
    assert len(source) == 3 and all(source[number]["image"].shape == (4, 4, 3) for number in range(3))
    said = capsys.readouterr().err
    if reason is None:
        assert not said and not source.unreadable
    else:
        assert source.unreadable == {2} and said.count("\n") == 1 and said.endswith("skipped, 1 of 3 images so far\n")
        with pytest.raises(Unreadable, match=reason):
            load(content)


# What may lie where an image is expected, beside pipes.
def device(path):
    path.symlink_to("/dev/zero")


def endless_file_of_the_kernel(path):
    path.symlink_to("/proc/kmsg")


def loop(path):
    path.symlink_to(path.parent)


def link_to_itself(path):
    path.symlink_to(path.name)


def folder_called_png(path):
    path.mkdir()


@pytest.mark.parametrize("make", [os.mkfifo, device, loop, link_to_itself, folder_called_png])
def test_what_is_no_file_is_no_image(tmp_path, make):
    for name in ("cat/0.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encoded())
    make(tmp_path / "cat/2.png")
    data = open_folder(tmp_path)
    assert data.classes == ("cat", "dog") and len(data.train) == 2
    assert [int(data.train[number]["label"]) for number in range(2)] == [0, 1]


@pytest.mark.parametrize("make", [os.mkfifo, device, endless_file_of_the_kernel, folder_called_png])
def test_what_takes_the_place_of_an_image_later_is_skipped(tmp_path, capsys, make):
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(encoded())
    source = open_folder(tmp_path).train
    (tmp_path / "0.png").unlink()
    make(tmp_path / "0.png")
    assert source[0]["image"].shape == (5, 6, 3) and source.unreadable == {0}
    assert header(tmp_path / "0.png") is None
    assert "0.png cannot be read (" in capsys.readouterr().err


def test_a_hundred_links_to_the_folder_itself_add_no_image(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.png").write_bytes(encoded())
        for number in range(30):
            (tmp_path / name / f"loop{number}").symlink_to(tmp_path)
    data = open_folder(tmp_path)
    assert data.test and len(data.train) + len(data.test) == 12


def test_folders_may_be_nested_deeper_than_python_calls(tmp_path, request):
    deep = str(tmp_path / "a")
    for _ in range(1200):  # `Path.mkdir(parents=True)` would call itself as often.
        os.mkdir(deep)
        deep += "/b"
    deep = Path(deep).parent
    request.addfinalizer(
        lambda: subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True)
    )  # Python's calls itself.
    for path in (deep / "1.png", tmp_path / "c.png"):
        path.write_bytes(encoded())
    (tmp_path / "a/loop").symlink_to(deep)
    found = scan(tmp_path)
    assert len(found.images) == 2 and found.images[0] == "c.png" and found.images[1].endswith("b/b/1.png")


def test_a_sparse_file_takes_no_memory(tmp_path):
    with open(tmp_path / "2.png", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(Unreadable, match="1099511627776 bytes, more than 269484032"):
        read_file(tmp_path / "2.png")


# Class folders, in bytes -> the names of the classes.
NAMES = {
    b"caf\xe9": "caf\\xe9",
    b"\xff\xfe": "\\xff\\xfe",
    "Käse 犬 👩‍🔬".encode(): "Käse 犬 👩‍🔬",
    b"red\x1b[31m": "red\\x1b[31m",
    b"two\nlines": "two\\x0alines",
    b"<script>alert(1)</script>".replace(b"/", b":"): "<script>alert(1)<:script>",
    b"%s{0}$(false)`false`;": "%s{0}$(false)`false`;",
    b"-rf": "-rf",
    b"~": "~",
    b"x" * 255: "x" * 255,
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[2:20])
def test_class_folders_of_any_name_are_shown_from_the_start(tmp_path, name, capsys):
    for folder in (b"other", name):
        (tmp_path / os.fsdecode(folder)).mkdir()
        (tmp_path / os.fsdecode(folder) / os.fsdecode(name[:9] + b".png")).write_bytes(encoded())
    source = open_folder(tmp_path).train
    assert sorted(source.classes) == sorted(["other", NAMES[name]])
    assert {source.classes[source[number]["label"]] for number in range(2)} == set(source.classes)
    assert "no images in" not in capsys.readouterr().err  # All of its folders are classes.
    for text in source.classes:
        assert text.encode() and (text.isprintable() or "👩" in text)
    assert source._where(1).encode() and "\x1b" not in source._where(1)


def test_images_of_a_class_whose_name_is_not_utf_8_are_evaluated_in_its_class(tmp_path):
    for part, names in {"train": (b"a", b"\xe9"), "test": (b"\xe9",)}.items():
        for name in names:
            folder = tmp_path / part / os.fsdecode(name)
            folder.mkdir(parents=True)
            (folder / "1.png").write_bytes(encoded())
    data = open_folder(tmp_path)
    assert data.classes == ("a", "\\xe9") and int(data.test[0]["label"]) == 1


def test_a_folder_of_damaged_images_alone_is_refused(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    os.mkfifo(tmp_path / "2.png")
    with pytest.raises(UsageError, match="none of 1 images in"):
        open_folder(tmp_path)


def test_scans_of_a_progressive_jpeg_are_bounded(monkeypatch):
    """Each is a pass over all pixels: a megabyte of empty ones took a minute."""
    content = encoded("JPEG", (64, 64), progressive=True)
    at = content.rfind(b"\xff\xda")
    many = content[:at] + 100 * content[at:-2] + content[-2:]
    assert load(many).size == (64, 64)
    monkeypatch.setattr(formats, "MOST_WORK", 64 * 64 * 50)
    assert load(content).size == (64, 64)
    with pytest.raises(Unreadable, match=r"^64x64 pixels in 1\d\d scans$"):
        load(many)


@pytest.mark.parametrize("kind", [kind for kind in formats.COPIES if kind in formats._openable()])
def test_formats_whose_decoders_take_more_memory_may_have_fewer_pixels(monkeypatch, kind):
    content = encoded(kind, (40, 40))
    assert load(content).size == (40, 40)
    monkeypatch.setattr(formats, "LARGEST_PIXELS", 40 * 40)
    with pytest.raises(Unreadable, match=r"^40x40 pixels, more than"):
        load(content)
    assert load(encoded("PNG", (40, 40))).size == (40, 40)


def test_large_images_are_decoded_one_at_a_time(monkeypatch):
    monkeypatch.setattr(formats, "LARGE_PIXELS", 10)
    second = threading.Thread(target=load, args=(encoded(),))
    with loaded(encoded()) as image:
        second.start()
        second.join(0.2)
        assert image.size == (6, 5) and second.is_alive()
    second.join(5)
    assert not second.is_alive()
    with pytest.raises(Unreadable), loaded(png(40, 40)):
        pass
    assert load(encoded()).size == (6, 5)  # The turn of a damaged one ends, too.


@pytest.mark.parametrize("mode", "1 L P RGB RGBA RGBa CMYK YCbCr LAB HSV I I;16 LA La PA".split())
def test_bands_are_the_whole(monkeypatch, mode):
    """The steps between are made for a few rows at a time, bit for bit as for all rows at once."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 16) if mode == "I;16" else None
    if image is None:
        steps = {"La": ("LA", "La"), "RGBa": ("RGBa",), "LAB": ("RGB",), "P": ("RGB", "P")}.get(mode, (mode,))
        image = Image.fromarray(pixels, "RGBA")
        for step in steps:
            image = image.convert(step)
    if mode == "P":
        image.info["transparency"] = 3
    for channels in (1, 3):
        monkeypatch.setattr(images, "BAND", 2**20)
        expected = np.asarray(eight_bit(image, channels=channels))
        monkeypatch.setattr(images, "BAND", 20)
        np.testing.assert_array_equal(np.asarray(eight_bit(image, channels=channels)), expected)
        assert expected.std() > 5


MEMORY = """if True:
    import sys
    from ssl_jax.data.pixels.images import decode
    def peak():
        return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024
    content, before = sys.stdin.buffer.read(), peak()
    decode(content, shape=(16, 16, 3))
    print(peak() - before)
"""


@pytest.mark.slow
def test_transparent_pixels_take_memory_once():
    """The steps of the conversion took four times the pixels: of 4 million here 16 MB each, and 1.4 GB of the largest."""
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY], input=encoded(size=(2100, 2100), mode="RGBA"), capture_output=True, check=True
    )
    assert int(ended.stdout) < 56


def test_pixels_are_those_of_the_image():
    """Of one that is neither damaged nor large nor transparent nothing changes."""
    picture = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    np.testing.assert_array_equal(decode(file.getvalue(), shape=(5, 6, 3)), picture)
