"""Folders of images.

    root/dog/1.jpg  root/cat/2.png ...             each folder a class, in alphabetical order
    root/train/dog/1.jpg  root/test/dog/2.jpg ...  the same with a part to judge on, called test, val or validation
    root/1.jpg  root/2.jpg ...                     no labels; a single folder of images is no label either

Hidden files and folders are passed over; within a class, images may lie at any depth.
"""

import errno
import os
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_jax.data.channels import Channels
from ssl_jax.data.images import DecodedSource
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import Data
from ssl_jax.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
TEST_FOLDERS = ("test", "val", "validation")
SAMPLE = 256  # Images looked at to tell grey sets from coloured ones, where the size is given.


class Files:
    """Image files below a folder, as records for `DecodedSource`; all labels are -1 when `classes` is empty."""

    def __init__(self, folder: Path, paths: list[str], labels: list[int], *, classes: tuple[str, ...]):
        self.folder, self.classes = folder, classes
        self.labels = np.array(labels, np.int32)
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        try:
            return self.path(number).read_bytes(), int(self.labels[number])
        except OSError as fault:
            if fault.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # The computer's, not the file's.
                raise
            raise Unreadable(fault.strerror) from fault

    def path(self, number: int) -> Path:
        return self.folder / self._paths[number]

    def where(self, number: int) -> str:
        return str(self.path(number))


def open_folder(
    root: Path, *, image_size: int | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """The images below `root` as a data set; `test` is the first of the test folders that has labels.

    Args:
      image_size: side of the square that all become; None where all have one size already.
      channels: 1 or 3 that all become; None takes 1 where all are grey.
      strict: refuse unreadable images instead of skipping them.

    Raises:
      UsageError: no folder, no images in it, unreadable, images of several sizes without `image_size`, or a class in
        the test folder that the training folder does not have.
    """
    if not root.is_dir():
        raise UsageError(f"data: {root} is {'a file' if root.exists() else 'not there'}: name a folder of images.")
    split = (root / "train").is_dir()
    train = find_images(root / "train" if split else root)
    shape = common_shape(train, image_size=image_size, channels=channels)

    def source(files: Files) -> DecodedSource:
        return DecodedSource(files, name=str(files.folder), classes=files.classes, image_shape=shape, strict=strict)

    for folder in [root / name for name in TEST_FOLDERS if split and (root / name).is_dir()]:
        test = find_images(folder, classes=train.classes)
        if test.classes:
            return Data(str(root), source(train), source(test))
    return Data(str(root), source(train), None)


def find_images(folder: Path, *, classes: tuple[str, ...] = ()) -> Files:
    """The images below a folder; labels count in `classes` where these are known, else in the folder's own."""
    loose, below = _scan(folder)
    if loose and below:
        raise UsageError(
            f"data: {folder} holds both images ({loose[0]}) and folders of images ({min(below)}): "
            "move the images into the folders of their classes."
        )
    if not loose and not below:
        raise UsageError(f"data: {folder} holds no images ({', '.join(SUFFIXES)}): name another folder.")
    paths = loose or [path for inside in below.values() for path in inside]
    if loose or (len(below) == 1 and not below.keys() & set(classes)):
        return Files(folder, paths, [-1] * len(paths), classes=())
    classes = classes or tuple(below)
    strangers = [name for name in below if name not in classes]
    if strangers:
        raise UsageError(
            f"data: {folder} has a class {strangers[0]!r} that the training images do not have: rename it or remove it."
        )
    number = {name: label for label, name in enumerate(classes)}
    labels = [number[name] for name, inside in below.items() for _ in inside]
    return Files(folder, paths, labels, classes=classes)


def common_shape(files: Files, *, image_size: int | None, channels: Channels | None = None) -> tuple[int, int, int]:
    """Height, width and channels that all images become; without `channels`, 1 if all are grey, else 3.

    With `image_size`, grey is judged from a sample, to keep the opening of large folders quick.
    """
    numbers = list(range(len(files)))
    if image_size is not None:
        numbers = np.linspace(0, len(files) - 1, min(SAMPLE, len(files))).astype(int).tolist()
    headers = {header for header in map(_header, map(files.path, numbers)) if header}
    if not headers:
        raise UsageError(f"data: none of {len(numbers)} images in {files.folder} can be read: name another folder.")
    channels = channels or (1 if all(grey for _, _, grey in headers) else 3)
    if image_size is not None:
        return image_size, image_size, channels
    sizes = sorted({(height, width) for height, width, _ in headers})
    if len(sizes) > 1:
        smallest, largest = (f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))
        raise UsageError(
            f"image_size: none was given, but the images in {files.folder} differ in size, from {smallest} to "
            f"{largest} pixels: say the size that all should have, such as 224."
        )
    return *sizes[0], channels


def _scan(folder: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Images directly in a folder, and those below each of its folders that has any: relative paths, sorted."""
    loose: list[str] = []
    below: dict[str, list[str]] = {}
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images = sorted(name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith("."))
        inside = os.path.relpath(place, folder)
        if inside == ".":
            loose = images
        elif images:
            below.setdefault(inside.split(os.sep)[0], []).extend(os.path.join(inside, name) for name in images)
    return loose, below


def _refuse(fault: OSError) -> None:
    raise UsageError(
        f"data: {fault.filename} cannot be read ({fault.strerror}): make it readable or name another folder."
    ) from fault


def _header(path: Path) -> tuple[int, int, bool] | None:
    """Height, width, and whether the image is grey, without decoding it; None where even that cannot be read."""
    try:
        with Image.open(path) as image:
            grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
            return image.height, image.width, grey
    except Exception:  # Reported when the image itself is read.
        return None
