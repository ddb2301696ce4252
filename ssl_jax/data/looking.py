"""A look at a data set before it is opened: are these photographs, and of what size? No scan, and no jax."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from ssl_jax.data.datasets import NAMES, open_data
from ssl_jax.data.folders.folder_parts import part_of
from ssl_jax.data.folders.scan import images_in, visible_folders
from ssl_jax.data.parts import header_of
from ssl_jax.data.pixels.formats import header
from ssl_jax.data.pixels.images import DecodedSource
from ssl_jax.data.places import NO_LABEL, Place, place_of
from ssl_jax.data.stored.stores import files_of, open_stored
from ssl_jax.errors import UsageError

LARGEST_DEMO = 48  # Pixels: the side of the largest images that come with the package.
SEEN = 8  # Images that are looked at, since one of an album may be grayscale.
FOLDERS = 1000  # Folders that are searched for them.


def photo_size(name: str) -> tuple[int, int] | None:
    """Width and height of an image of a data set in colour whose images are larger than those of the demos; else None.

    Headers of at most eight image files are read, of a tfds data set one example. None also for the data sets of the package,
    whose size is that of the recipe, and for what cannot be opened: `open_data` says why.
    """
    with contextlib.suppress(UsageError, OSError):
        place = None if name in NAMES else place_of(name)
        files = files_of(place) if place else []
        found = _in_files(place, files) if place and files else _in_folder(place.path) if place else _in_tfds(name)
        if found and min(found) > LARGEST_DEMO:
            return found
    return None


def _in_folder(root: Path) -> tuple[int, int] | None:
    """The size of the first image in colour among the first eight."""
    for _, path in zip(range(SEEN), _images_below(root), strict=False):
        image = header(path)
        if image and image.channels > 1:
            return image.size
    return None


def _in_files(place: Place, files: list[Path]) -> tuple[int, int] | None:
    """As `_in_folder`, of the first file; labels would have to be read."""
    _, records = next(open_stored(place._replace(label=NO_LABEL), files[:1]))
    for number in range(min(SEEN, len(records))):
        image = header_of(records, number)
        if image and image.channels > 1:
            return image.size
    return None


def _images_below(root: Path) -> Iterator[Path]:
    """Image files in alphabetical order, those of training first; of each folder its own before those of the folders in it."""
    waiting = [root]
    for _ in range(FOLDERS):
        if not waiting:
            return
        folder = waiting.pop()
        yield from (folder / name for name in images_in(folder))
        names = sorted(visible_folders(folder), key=lambda name: part_of(name) != "train")
        waiting += [folder / name for name in reversed(names)]


def _in_tfds(name: str) -> tuple[int, int] | None:
    if re.split("[:,]", name)[0] in NAMES:
        return None
    from ssl_jax.data.tfds.names import data_folder, parse  # noqa: PLC0415  tfds takes half a second to import.

    if not (data_folder() / parse(name).name).is_dir():
        return None
    without_labels = re.sub(",label=[^,]*", "", name) + ",label=none"  # Some have to be counted.
    source = open_data(without_labels, image_size=1).train
    image = source.header(0) if isinstance(source, DecodedSource) else None
    return image.size if image and image.channels > 1 else None
