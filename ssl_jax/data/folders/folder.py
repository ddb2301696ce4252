"""Folders of images.

    root/dog/1.jpg  root/cat/2.png ...             each folder a class, in alphabetical order
    root/train/dog/1.jpg  root/test/dog/2.jpg ...  the same with a part to evaluate on
    root/1.jpg  root/2.jpg ...                     no labels; a single folder of images is not a label

Parts are called train or training; test or testing; val, valid or validation; in any case, and also followed by set, data,
images or a year. Within a class, images may lie at any depth. Formats: see `ssl_jax.data.pixels.formats`; links: see
`ssl_jax.data.folders.scan`. Skipped files, and folders without images, are counted in one line on standard error. In the name
of a class, control characters and bytes that are not UTF-8 are shown as escapes: `caf\\xe9`.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_jax.data import fingerprint
from ssl_jax.data.channels import Channels
from ssl_jax.data.folders.folder_parts import check_depth, find_parts, without_training_images
from ssl_jax.data.folders.scan import Found, described, say_passed_over, scan, shortened, visible_folders
from ssl_jax.data.parts import common_shape, data_of, sources_of
from ssl_jax.data.pixels.depth import Levels
from ssl_jax.data.pixels.formats import Header, header, read_file
from ssl_jax.data.pixels.images import DecodedSource
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import Data
from ssl_jax.errors import UsageError
from ssl_jax.files import printable
from ssl_jax.sizes import ImageSize, sides_of

MEASURED = 10_000  # Files whose sizes are a part of the data set's fingerprint.


class Files:
    """Image files below a folder, as records for `DecodedSource`; all labels are -1 when `classes` is empty."""

    def __init__(self, folder: Path, paths: list[str], labels: list[int], *, classes: tuple[str, ...]):
        self.folder, self.name, self.classes = folder, str(folder), classes
        self.labels = np.array(labels, np.int32)
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        return read_file(self.path(number)), int(self.labels[number])

    def stored(self) -> Iterator[bytes]:
        """For the data set's fingerprint: the names of all files, the sizes of at most 10,000, the bytes of at most 64."""
        yield from (path.encode("utf-8", "surrogateescape") for path in self._paths)
        for number in fingerprint.spread(len(self), MEASURED):
            with contextlib.suppress(OSError):  # Reported when it is read as an example.
                yield str(self.path(number).stat().st_size).encode()
        for number in fingerprint.spread(len(self), fingerprint.SAMPLE):
            with contextlib.suppress(Unreadable):
                yield self[number][0]

    def header(self, number: int) -> Header | None:
        """As `DecodedSource.header`, of which the file is not read whole."""
        return header(self.path(number))

    def path(self, number: int) -> Path:
        return self.folder / self._paths[number]

    def where(self, number: int) -> str:
        return printable(str(self.path(number)))


def open_folder(
    root: Path, *, image_size: ImageSize | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """The images below `root` as a data set; `test` is the test part if it has labels, else the validation part.

    Where neither has, and the training images have labels, a fifth of each class is held out as `test`
    (`ssl_jax.data.subsets.with_test_part`), the same fifth on every machine.

    Args:
      image_size: side of the square, or height and width, to which all are resized; None where all have one size already.
      channels: 1 or 3 for all; None is 1 where all are grayscale. Other numbers of channels are kept.
      strict: refuse unreadable images instead of skipping them.

    Raises:
      UsageError: no folder, no images in it, unreadable, images of several sizes without `image_size`, parts that cannot be
        distinguished from classes, or a class in the test folder that the training folder does not have.
    """
    return data_of(str(root), parts_in(root, image_size=image_size, channels=channels, strict=strict))


def parts_in(
    root: Path,
    *,
    image_size: ImageSize | None = None,
    channels: Channels | None = None,
    levels: Levels | None = None,
    stated: Levels | None = None,
    strict: bool = False,
) -> Iterator[tuple[str, DecodedSource]]:
    """The parts of a folder, labelled or not: "train", then "test" and "val" where there are such, each opened in its turn.

    Args:
      levels, stated: as in `sources_of`.

    Otherwise as `open_folder`.
    """
    if not root.is_dir():
        raise UsageError(f"data: {root} is {'a file' if root.exists() else 'missing'}: name a folder of images.")
    yield from sources_of(
        _files_in(root), image_size=image_size, channels=channels, levels=levels, stated=stated, strict=strict
    )


def _files_in(root: Path) -> Iterator[tuple[str, Files]]:
    parts = find_parts(root)
    scanned = scan(parts.get("train", root))
    train = label(parts.get("train", root), scanned)
    yield "train", train
    for part in ("test", "val"):
        if part in parts:
            found = scan(parts[part])
            others = without_training_images(parts[part], found, scanned)
            if others.images or not found.images:
                yield part, label(parts[part], others, classes=train.classes)


def open_file(
    path: Path, *, image_size: ImageSize, channels: Channels | None, levels: Levels | None = None
) -> DecodedSource:
    """A single image file, without a label. Arguments are those of `sources_of`."""
    files = Files(path.parent, [path.name], [-1], classes=())
    image_shape = (*sides_of(image_size), channels) if channels else common_shape(files, image_size=image_size)
    return DecodedSource(files, name=str(path), classes=(), image_shape=image_shape, levels=levels)


def label(folder: Path, scanned: Found, *, classes: tuple[str, ...] = ()) -> Files:
    """The images of a folder with their labels, indices into `classes`, or where empty into the folder's own classes."""
    loose = [path for path in scanned.images if "/" not in path]
    below = [printable(path.split("/")[0]) for path in scanned.images if "/" in path]
    names = tuple(dict.fromkeys(below))
    if loose and below:
        raise UsageError(
            f"data: {folder} holds both images ({loose[0]}) and folders of images ({names[0]}): "
            "move the images into the folders of their classes."
        )
    if not scanned.images:
        passed = f", but {described(scanned.passed_over)}" if scanned.passed_over else ""
        raise UsageError(
            f"data: {folder} holds no images (.jpg, .png, .webp, .tif and others){passed}: name another folder."
        )
    say_passed_over(folder, scanned.passed_over)
    check_depth(folder, scanned.images)
    single = loose or (len(names) == 1 and names[0] not in classes)
    empty = [name for name in map(printable, visible_folders(folder)) if name not in names] if names else []
    if empty:
        without = ", so that its images have no labels" if single else ""
        print(f"data: {folder}: no images in {shortened(empty)}: not counted as classes{without}", file=sys.stderr)
    if single:
        return Files(folder, scanned.images, [-1] * len(scanned.images), classes=())
    classes = classes or names
    strangers = [name for name in names if name not in classes]
    if strangers:
        raise UsageError(
            f"data: {folder} has a class {strangers[0]!r} that the training images do not have: rename it or remove it."
        )
    number = {name: label for label, name in enumerate(classes)}
    return Files(folder, scanned.images, [number[name] for name in below], classes=classes)
