"""Folders of images.

    root/dog/1.jpg  root/cat/2.png ...             each folder a class, in alphabetical order
    root/train/dog/1.jpg  root/test/dog/2.jpg ...  the same with a part to evaluate on
    root/1.jpg  root/2.jpg ...                     no labels; a single folder of images is not a label

Parts are called train or training; test or testing; val, valid or validation; in any case, and also followed by set, data,
images or a year. Within a class, images may lie at any depth. Formats: see `ssl_jax.data.formats`; links: see
`ssl_jax.data.scan`. Skipped files, and folders without images, are counted in one line on standard error. In the name of a
class, control characters and bytes that are not UTF-8 are shown as escapes: `caf\\xe9`.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_jax.data import fingerprint
from ssl_jax.data.channels import Channels
from ssl_jax.data.depth import Levels
from ssl_jax.data.folder_parts import check_depth, find_parts, without_training_images
from ssl_jax.data.formats import header, read_file
from ssl_jax.data.images import DecodedSource, is_grayscale
from ssl_jax.data.scan import Found, described, say_passed_over, scan, shortened, visible_folders
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import Data
from ssl_jax.data.subsets import with_test_part
from ssl_jax.errors import UsageError
from ssl_jax.files import printable

SAMPLE = 256  # Images that are read to distinguish grayscale sets from coloured ones, where the size is given.
MEASURED = 10_000  # Files whose sizes are a part of the data set's fingerprint.


class Files:
    """Image files below a folder, as records for `DecodedSource`; all labels are -1 when `classes` is empty."""

    def __init__(self, folder: Path, paths: list[str], labels: list[int], *, classes: tuple[str, ...]):
        self.folder, self.classes = folder, classes
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

    def path(self, number: int) -> Path:
        return self.folder / self._paths[number]

    def where(self, number: int) -> str:
        return printable(str(self.path(number)))


def open_folder(
    root: Path, *, image_size: int | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """The images below `root` as a data set; `test` is the test part if it has labels, else the validation part.

    Where neither has, and the training images have labels, a fifth of each class is held out as `test`
    (`ssl_jax.data.subsets.with_test_part`), the same fifth on every machine.

    Args:
      image_size: side of the square to which all are resized; None where all have one size already.
      channels: 1 or 3 for all; None is 1 where all are grayscale.
      strict: refuse unreadable images instead of skipping them.

    Raises:
      UsageError: no folder, no images in it, unreadable, images of several sizes without `image_size`, parts that cannot be
        distinguished from classes, or a class in the test folder that the training folder does not have.
    """
    parts = parts_in(root, image_size=image_size, channels=channels, strict=strict)
    _, train = next(parts)
    test = next((source for _, source in parts if source.classes), None)
    data = with_test_part(Data(str(root), train, test))
    if data.test and not test:
        print(
            f"data: {root}: no labelled test images: {len(data.test)} of {len(train)} images, a fifth of each class, are held "
            "out for the evaluation",
            file=sys.stderr,
        )
    return data


def parts_in(
    root: Path,
    *,
    image_size: int | None = None,
    channels: Channels | None = None,
    levels: Levels | None = None,
    strict: bool = False,
) -> Iterator[tuple[str, DecodedSource]]:
    """The parts of a folder, labelled or not: "train", then "test" and "val" where there are such, each opened in its turn.

    Args:
      levels: black and white of deep pixels; those of the training images when None.

    Otherwise as `open_folder`.
    """
    if not root.is_dir():
        raise UsageError(f"data: {root} is {'a file' if root.exists() else 'missing'}: name a folder of images.")
    parts = find_parts(root)
    scanned = scan(parts.get("train", root))
    train = label(parts.get("train", root), scanned)
    shape = common_shape(train, image_size=image_size, channels=channels)

    def decoded(files: Files, levels: Levels | None) -> DecodedSource:
        name, classes = str(files.folder), files.classes
        return DecodedSource(files, name=name, classes=classes, image_shape=shape, levels=levels, strict=strict)

    trained = decoded(train, levels)
    yield "train", trained
    for part in ("test", "val"):
        if part in parts:
            found = scan(parts[part])
            others = without_training_images(parts[part], found, scanned)
            if others.images or not found.images:
                yield part, decoded(label(parts[part], others, classes=train.classes), trained.levels)


def open_file(path: Path, *, image_shape: tuple[int, int, int], levels: Levels | None = None) -> DecodedSource:
    """A single image file, without a label. Arguments are those of `DecodedSource`."""
    files = Files(path.parent, [path.name], [-1], classes=())
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


def common_shape(files: Files, *, image_size: int | None, channels: Channels | None = None) -> tuple[int, int, int]:
    """Height, width and channels for all images; without `channels`, 1 if all are grayscale, else 3.

    With `image_size`, grayscale is detected on a sample, so that large folders open quickly.
    """
    indices = list(range(len(files)))
    if image_size is not None:
        indices = fingerprint.spread(len(files), SAMPLE)
    headers = [image for image in map(header, map(files.path, indices)) if image]
    if not headers:
        raise UsageError(f"data: none of {len(indices)} images in {files.folder} can be read: name another folder.")
    grey = all(map(is_grayscale, headers))
    channels = channels or (1 if grey else 3)
    if image_size is not None:
        return image_size, image_size, channels
    sizes = sorted({(image.height, image.width) for image in headers})
    if len(sizes) > 1:
        smallest, largest = (f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))
        raise UsageError(
            f"image_size: none was given, but the images in {files.folder} differ in size, from {smallest} to "
            f"{largest} pixels: give the size for all, such as 224."
        )
    return *sizes[0], channels
