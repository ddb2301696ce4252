"""Folders that people have: each is opened as it is, its images are read and its classes are found."""

import io

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data.folders.folder import open_folder
from ssl_jax.data.subsets import Subset


def encoded(kind="PNG", size=(6, 5), mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0]), 100, np.uint8)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def frames(kind):
    return encoded(kind, save_all=True, append_images=[Image.new("RGB", (6, 5), value) for value in ("red", "blue")])


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif)


PNG, JPEG = encoded(), encoded("JPEG")
TWO = {"cat/1.png": PNG, "dog/2.png": PNG}


class Link(str):
    """The target of a link."""


# Path -> bytes of a file, `Link`, or None for an empty folder; the names of the classes; the number of images.
FOLDERS = {
    "two classes": (TWO, "cat dog", 2),
    "of numbers": ({"0/1.png": PNG, "10/1.png": PNG, "2/1.png": PNG}, "0 10 2", 3),
    "with spaces": ({"a b/1 2.png": PNG, "c/ .png": PNG}, "a_b c", 2),
    "with dots": ({"a.b/1.tar.png": PNG, "c.png/1.png": PNG}, "a.b c.png", 2),
    "of other alphabets": ({"犬/写真.png": PNG, "γάτα/1.png": PNG}, "γάτα 犬", 2),
    "composed and decomposed": ({"é/1.png": PNG, "e\u0301/1.png": PNG}, "e\u0301 é", 2),
    "of emoji": ({"👩‍🔬/1.png": PNG, "🐶/1.png": PNG}, "🐶 👩‍🔬", 2),
    "that differ in case": ({"Cat/1.png": PNG, "cat/1.png": PNG}, "Cat cat", 2),
    "one class": ({"cat/1.png": PNG, "cat/2.png": PNG}, "", 2),
    "no class": ({"1.png": PNG, "2.png": PNG}, "", 2),
    "a class without images": (TWO | {"empty": None}, "cat dog", 2),
    "deeper": ({"cat/a/b/1.png": PNG, "dog/1.png": PNG}, "cat dog", 2),
    "in upper case": ({"cat/1.PNG": PNG, "dog/1.JpEg": JPEG}, "cat dog", 2),
    "of many endings": ({"cat/1.jpe": JPEG, "cat/2.jfif": JPEG, "dog/3.apng": PNG}, "cat dog", 3),
    "with another format's ending": ({"cat/1.png": JPEG, "dog/2.jpg": PNG}, "cat dog", 2),
    "without endings": (TWO | {"cat/IMG_1": PNG}, "cat dog", 2),
    "beside lists": (TWO | {"labels.csv": b"1,2", "README": b"", "cat/1.json": b"{}", "cat/1.txt": b""}, "cat dog", 2),
    "of a Macintosh": (TWO | {".DS_Store": b"", "cat/._1.png": b"\0\5", "__MACOSX/cat/._1.png": b"\0\5"}, "cat dog", 2),
    "of Windows": (TWO | {"cat/Thumbs.db": b"", "desktop.ini": b"", "$RECYCLE.BIN/1.png": PNG}, "cat dog", 2),
    "of a NAS": (TWO | {"@eaDir/x/1.png": PNG, "#recycle/1.png": PNG, "cat/@eaDir/1.png": PNG}, "cat dog", 2),
    "of git": (TWO | {".git/objects/1.png": PNG, ".gitattributes": b""}, "cat dog", 2),
    "of notebooks": (TWO | {".ipynb_checkpoints/1.png": PNG, "cat/.ipynb_checkpoints/1.png": PNG}, "cat dog", 2),
    "beside archives": (TWO | {"cat.zip": b"PK", "dog.tar.gz": b""}, "cat dog", 2),
    "with half downloads": (TWO | {"cat/2.png.part": PNG[:9], "cat/3.crdownload": b""}, "cat dog", 2),
    "a class that is a link": ({"cat/1.png": PNG, "dog": Link("../store")}, "cat dog", 2),  # With one image of an ending.
    "images that are links": ({"cat/1.png": PNG, "dog/1.png": Link("../../store/1.png")}, "cat dog", 2),
    "images under content addresses": ({"cat/1.png": PNG, "dog/1.png": Link("../../store/ab12")}, "cat dog", 2),
    "a link to nothing": (TWO | {"cat/2.png": Link("nothing.png")}, "cat dog", 2),
    "a link to a text": (TWO | {"cat/2.txt": Link("1.png")}, "cat dog", 2),
    "a link into itself": (TWO | {"cat/again": Link("..")}, "cat dog", 2),
    "parts": ({"train/cat/1.png": PNG, "train/dog/2.png": PNG, "test/cat/3.png": PNG}, "cat dog", 2),
    "parts of years": ({"train2017/cat/1.png": PNG, "train2017/dog/2.png": PNG, "val2017/cat/3.png": PNG}, "cat dog", 2),
    "animations": ({"cat/1.gif": frames("GIF"), "dog/1.webp": frames("WEBP"), "dog/2.png": frames("PNG")}, "cat dog", 3),
    "several pages": ({"cat/1.tif": frames("TIFF"), "dog/1.png": PNG}, "cat dog", 2),
    "progressive and interlaced": ({"cat/1.jpg": encoded("JPEG", progressive=True), "dog/1.png": PNG}, "cat dog", 2),
    "of a turned camera": ({"cat/1.jpg": turned(), "dog/1.png": PNG}, "cat dog", 2),
    "with profiles": ({"cat/1.png": encoded(icc_profile=bytes(500)), "dog/1.png": PNG}, "cat dog", 2),
    "for print": ({"cat/1.jpg": encoded("JPEG", mode="CMYK"), "dog/1.tif": encoded("TIFF", mode="CMYK")}, "cat dog", 2),
    "black and white": ({"cat/1.png": encoded(mode="1"), "dog/1.tif": encoded("TIFF", mode="1")}, "cat dog", 2),
    "transparent": ({"cat/1.png": encoded(mode="RGBA"), "dog/1.png": encoded(mode="LA")}, "cat dog", 2),
    "palettes": ({"cat/1.png": encoded(mode="P"), "dog/1.gif": encoded("GIF", mode="P")}, "cat dog", 2),
    "of 16 bits": ({"cat/1.png": encoded(mode="I;16"), "dog/1.tif": encoded("TIFF", mode="I;16")}, "cat dog", 2),
    "of 32 bits": ({"cat/1.tif": encoded("TIFF", mode="I"), "dog/1.png": PNG}, "cat dog", 2),
    "of all modes": ({"cat/1.png": encoded(mode="L"), "cat/2.png": encoded(mode="RGBA"), "dog/1.png": PNG}, "cat dog", 3),
    "of one pixel": ({"cat/1.png": encoded(size=(1, 1)), "dog/1.gif": encoded("GIF", size=(1, 1))}, "cat dog", 2),
    "of several sizes": ({"cat/1.png": encoded(size=(300, 2)), "dog/1.png": encoded(size=(2, 300))}, "cat dog", 2),
    "some damaged": (TWO | {"cat/3.png": PNG[:50], "dog/4.jpg": b""}, "cat dog", 4),
    "many": ({f"{number % 7}/{number}.png": PNG for number in range(300)}, "0 1 2 3 4 5 6", 300),
}  # fmt: skip
UNREADABLE = {"some damaged": 2}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_opened_as_it_is(tmp_path, name):
    content, classes, count = FOLDERS[name]
    (tmp_path / "store").mkdir()
    for stored in ("1.png", "ab12"):
        (tmp_path / "store" / stored).write_bytes(encoded(size=(4, 4)))
    root = tmp_path / "root"
    for path, kept in content.items():
        folder = (root / path) if kept is None else (root / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(kept, Link):
            (root / path).symlink_to(kept)
        elif kept is not None:
            (root / path).write_bytes(kept)
    data = open_folder(root, image_size=4)
    source, held_out = data.train, data.test if isinstance(data.test, Subset) else ()
    assert source.classes == tuple(each.replace("_", " ") for each in classes.split())
    images = [part[number] for part in (source, held_out) for number in range(len(part))]
    assert len(images) == count and len(source.unreadable) == UNREADABLE.get(name, 0)
    assert all(image["image"].shape == source.image_shape for image in images)
    assert {int(image["label"]) for image in images} == set(range(len(source.classes)) or {-1})
