"""Data sets by name, as on the command line."""

import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ssl_jax.data.channels import Channels, check_channels, with_channels
from ssl_jax.data.drawn.clips import SILENT, SOUNDING, Clips
from ssl_jax.data.drawn.emblems import EMBLEMS, Emblems
from ssl_jax.data.drawn.scenes import OBJECTS, SCENES, Scenes
from ssl_jax.data.drawn.shapes import SHAPES, Shapes
from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.data.folders.folder import open_file, parts_in
from ssl_jax.data.named.fashion_mnist import open_fashion_mnist
from ssl_jax.data.parts import data_of, sources_of
from ssl_jax.data.pixels.depth import Levels
from ssl_jax.data.pixels.formats import suffixes
from ssl_jax.data.pixels.images import DecodedSource
from ssl_jax.data.places import Place, place_of
from ssl_jax.data.source import Data, Source
from ssl_jax.data.stored.stores import files_of, open_stored
from ssl_jax.errors import UsageError
from ssl_jax.sizes import ImageSize, in_words, side_of_square, sides_of

EMOJI = "emoji"
DRAWN = (SHAPES, EMBLEMS, OBJECTS, SCENES, SOUNDING, SILENT, "synthetic")
NAMES = ("digits", "fashion-mnist", EMOJI, *DRAWN)
DIGITS = Path(__file__).parent / "embedded/digits/1.0.0"
LARGEST_SIDE = 8192  # Pixels: an image of this side takes 200 MB in colour.


def open_data(
    name: str | Data, *, image_size: ImageSize | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """Opens a data set.

    Args:
      name: "digits", 4,000 + 1,000 MNIST digits that come with the package; "fashion-mnist", from the files of Debian's
        package dataset-fashion-mnist; "emoji", about 1,850 drawings by each of four artists, one of them held out, that
        `ssl-jax data prepare emoji` prepares (`ssl_jax.data.named.emoji`); "shapes", 4,000 + 1,000 drawn in colour; "emblems",
        as many of nine signs at fixed positions; "objects" and "scenes", as many with one drawn thing each and with
        several, and their masks; "clips", as many drawn moving shapes with sound, and "silent-clips", the same without
        sound; "synthetic", for tests; a folder of images, see `ssl_jax.data.folders.folder`; files of Parquet, Arrow,
        WebDataset, TFRecord or ArrayRecord, or a folder of them, see `ssl_jax.data.stored.stores`, both with keys behind the
        path, see `ssl_jax.data.places`; or a tfds data set of images, or of videos with or without
        sound (`ssl_jax.data.tfds.clips`): `name[/config][:version][:split][,image=KEY][,label=KEY]`,
        with the split to pre-train on, imagenet2012:train[:10%], and the keys of the features to use where there are
        several, smallnorb:train,image=image2,label=label_azimuth; digits takes a split, too. A `Data` is used unchanged
        except for the channels: its images keep their size.
      image_size: side in pixels of the squares that all images become, or their height and width, each 1 to 8192: of each image
        its largest central part of this shape, resized, see `ssl_jax.data.pixels.images`. None keeps their size where all
        have the same. Drawn data and clips are squares.
      channels: 3 repeats grayscale images in three equal channels, 1 reduces coloured images to their luma; None keeps one
        channel where all images are grayscale, and three otherwise.
      strict: read every image once and refuse the first that is damaged, rather than skip it during training.

    Raises:
      UsageError: the data set of `name` is unknown, does not exist or is not usable; or `image_size` is missing or out of
        range; or `channels` is neither 1 nor 3.

    Example:
      >>> digits = open_data("digits")
      >>> print(len(digits.train), len(digits.test), digits.train.image_shape)
      4000 1000 (28, 28, 1)
    """
    if image_size is not None and not all(1 <= side <= LARGEST_SIDE for side in sides_of(image_size)):
        raise UsageError(
            f"image_size: got {in_words(image_size)}, expected 1 to {LARGEST_SIDE} pixels: choose the side of a square, such "
            "as 32."
        )
    check_channels(channels)
    if isinstance(name, Data):
        return in_channels(name, channels)
    if not name.strip():
        raise UsageError(f"data: got an empty name: give one of {', '.join(NAMES)}, a folder, or a tfds name.")
    if "\0" in name:
        raise UsageError(f"data: got {name!r}, which no file can be called: name a folder, or a tfds name.")
    made = fashion_or_drawn(name, size=image_size)
    if made:
        return in_channels(made, channels)
    place = None if name in NAMES else place_of(name)
    if place:
        if prepared := _prepared_at(place):
            return prepared(image_size=image_size, channels=channels, strict=strict)
        return data_of(place.text, _sources(place, image_size=image_size, channels=channels, strict=strict))

    own = re.split("[:,]", name)[0]
    if own == EMOJI:
        from ssl_jax.data.named.emoji import open_emoji  # noqa: PLC0415  It imports tfds.

        return open_emoji(name, image_size=image_size, channels=channels, strict=strict)
    if own in NAMES and own != "digits":
        raise UsageError(f"data: {own} has no splits or keys to choose from, got {name!r}: name it {own}.")

    from ssl_jax.data.tfds.prepared import open_tfds  # noqa: PLC0415  tfds takes half a second to import.

    return open_tfds(
        name, image_size=image_size, channels=channels, strict=strict, own_names=NAMES,
        folder=DIGITS if own == "digits" else None,
    )  # fmt: skip


def open_parts(
    name: str, *, image_size: ImageSize, channels: Channels | None, levels: Levels | None = None
) -> dict[str, Source]:
    """All parts of a data set by name, "train", "test" and "val", labelled or not; for features that no training needs.

    Args:
      name: as in `open_data`; or an image file. This file, and all of a folder without parts, are "train".
      image_size, channels: as in `open_data`.
      levels: black and white of deep pixels in files, such as those of a run's training images.

    Raises:
      UsageError: as `open_data`; or there is no such file.

    Example:
      >>> print({name: len(part) for name, part in open_parts("digits", image_size=28, channels=None).items()})
      {'train': 4000, 'test': 1000}
    """
    file = Path(name).expanduser()
    if name not in NAMES and name.lower().endswith(suffixes()) and not os.path.exists(file):
        raise UsageError(f"data: there is no file {name}: name an image, a folder or a data set.")
    place = None if name in NAMES else place_of(name)
    if place and place.path.is_file() and not files_of(place):
        return {"train": open_file(place.path, image_size=image_size, channels=channels, levels=place.levels or levels)}
    if place and not _prepared_at(place):
        return dict(_sources(place, image_size=image_size, channels=channels, levels=levels))
    data = open_data(name, image_size=image_size, channels=channels)
    return {"train": data.train} | ({"test": data.test} if data.test else {})


def in_channels(data: Data, channels: Channels | None) -> Data:
    """The data set with both parts `with_channels`."""
    return Data(data.name, with_channels(data.train, channels), data.test and with_channels(data.test, channels))


def resolve_name(name: str) -> str:
    """The name of a data set in a form valid in every working directory: an absolute path; other names unchanged.

    Example:
      >>> resolve_name("cifar10:train")
      'cifar10:train'
    """
    place = None if name in NAMES else place_of(name)
    return place.absolute if place else name


def folder_of(name: str) -> Path | None:
    """The folder of images of this name; None for names of data sets, even if a folder has the same name, and for files."""
    place = None if name in NAMES else place_of(name)
    return place.path if place and not place.path.is_file() and not place.is_pattern else None


def _sources(place: Place, *, levels: Levels | None = None, **options: Any) -> Iterator[tuple[str, DecodedSource]]:
    """The parts of a folder of images, or of tables, archives or records. Options are those of `sources_of`."""
    files = files_of(place)
    if files:
        return sources_of(open_stored(place, files), levels=levels, stated=place.levels, **options)
    if (place.image or place.label) and place.path.is_dir():
        raise UsageError(
            f"data: {place.text} is a folder of images, whose labels are the names of its folders: leave out image= and label=."
        )
    return parts_in(place.path, levels=levels, stated=place.levels, **options)


def _prepared_at(place: Place) -> Callable[..., Data] | None:
    """Opens the folder if tfds prepared it; else None."""
    if not (place.path / "features.json").is_file() or not (place.path / "dataset_info.json").is_file():
        return None
    from ssl_jax.data.tfds.prepared import open_prepared  # noqa: PLC0415  tfds takes half a second to import.

    return functools.partial(open_prepared, place.path, name=place.text, image=place.image, label=place.label)


def fashion_or_drawn(name: str, *, size: ImageSize | None) -> Data | None:
    """The data set of this name if it is Fashion-MNIST, or a generated one, with images of this size; else None.

    Raises:
      UsageError: a generated one and a size that is no square.
    """
    if name == "fashion-mnist":
        return open_fashion_mnist(image_size=size)
    if name not in DRAWN:
        return None
    return _drawn(name, side=None if size is None else side_of_square(f"the images of {name}", size))


def _drawn(name: str, *, side: int | None) -> Data:
    if name == "synthetic":
        side = side or 16
        return Data(name, Synthetic(size=512, side=side, seed=0), Synthetic(size=256, side=side, seed=1))
    if name in (SOUNDING, SILENT):
        side, sound = side or 24, name == SOUNDING
        parts = (Clips(size=size, side=side, seed=seed, sound=sound) for seed, size in enumerate((4000, 1000)))
        return Data(name, *parts)
    if name == SHAPES:
        side = side or 24
        return Data(name, Shapes(size=4000, side=side, seed=0), Shapes(size=1000, side=side, seed=1))
    if name == EMBLEMS:
        side = side or 42
        return Data(name, Emblems(size=4000, side=side, seed=0), Emblems(size=1000, side=side, seed=1))
    side, curated = side or 48, name == OBJECTS
    train, test = (Scenes(size=size, side=side, seed=seed, curated=curated) for seed, size in enumerate((4000, 1000)))
    return Data(name, train, test)
