"""Data sets by name, as on the command line."""

import os
import re
from pathlib import Path

from ssl_jax.data.channels import Channels, check_channels, with_channels
from ssl_jax.data.clips import SILENT, SOUNDING, Clips
from ssl_jax.data.depth import Levels
from ssl_jax.data.emblems import EMBLEMS, Emblems
from ssl_jax.data.fashion_mnist import open_fashion_mnist
from ssl_jax.data.folder import open_file, open_folder, parts_in
from ssl_jax.data.formats import suffixes
from ssl_jax.data.scenes import OBJECTS, SCENES, Scenes
from ssl_jax.data.shapes import SHAPES, Shapes
from ssl_jax.data.source import Data, Source
from ssl_jax.data.synthetic import Synthetic
from ssl_jax.errors import UsageError

EMOJI = "emoji"
NAMES = ("digits", "fashion-mnist", EMOJI, SHAPES, EMBLEMS, OBJECTS, SCENES, SOUNDING, SILENT, "synthetic")
DIGITS = Path(__file__).parent / "embedded/digits/1.0.0"
LARGEST_SIDE = 8192  # Pixels: an image of this side takes 200 MB in colour.


def open_data(
    name: str | Data, *, image_size: int | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """Opens a data set.

    Args:
      name: "digits", 4,000 + 1,000 MNIST digits that come with the package; "fashion-mnist", from the files of Debian's
        package dataset-fashion-mnist; "emoji", about 1,850 drawings by each of four artists, one of them held out, that
        `ssl-jax data prepare emoji` prepares (`ssl_jax.data.emoji`); "shapes", 4,000 + 1,000 drawn in colour; "emblems",
        as many of nine signs at fixed positions; "objects" and "scenes", as many with one drawn thing each and with
        several, and their masks; "clips", as many drawn moving shapes with sound, and "silent-clips", the same without
        sound; "synthetic", for tests; a folder of images, see `ssl_jax.data.folder`; or a tfds data set of images, or of
        videos with or without sound (`ssl_jax.data.tfds_clips`): `name[/config][:version][:split][,image=KEY][,label=KEY]`,
        with the split to pre-train on, imagenet2012:train[:10%], and the keys of the features to use where there are
        several, smallnorb:train,image=image2,label=label_azimuth; digits takes a split, too. A `Data` is used unchanged
        except for the channels: its images keep their size.
      image_size: side in pixels of the squares that all images become, 1 to 8192, see `ssl_jax.data.images`; None keeps
        their size where all have the same.
      channels: 3 repeats grayscale images in three equal channels, 1 reduces coloured images to their luma; None keeps one
        channel where all images are grayscale, and three otherwise.
      strict: read every image once and refuse the first that is damaged, rather than skip it during training.

    Raises:
      UsageError: the data set of `name` is unknown, does not exist or is not usable; or `image_size` is missing or out of
        range; or `channels` is neither 1 nor 3.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_SIDE:
        raise UsageError(
            f"image_size: got {image_size}, expected 1 to {LARGEST_SIDE} pixels: choose the side of a square, such as 32."
        )
    check_channels(channels)
    if isinstance(name, Data):
        return in_channels(name, channels)
    if not name.strip():
        raise UsageError(f"data: got an empty name: give one of {', '.join(NAMES)}, a folder, or a tfds name.")
    if "\0" in name:
        raise UsageError(f"data: got {name!r}, which no file can be called: name a folder, or a tfds name.")
    made = fashion_or_drawn(name, side=image_size)
    if made:
        return in_channels(made, channels)
    folder = folder_of(name)
    if folder:
        return open_folder(folder, image_size=image_size, channels=channels, strict=strict)

    own = re.split("[:,]", name)[0]
    if own == EMOJI:
        from ssl_jax.data.emoji import open_emoji  # noqa: PLC0415  It imports tfds.

        return open_emoji(name, image_size=image_size, channels=channels, strict=strict)
    if own in NAMES and own != "digits":
        raise UsageError(f"data: {own} has no splits or keys to choose from, got {name!r}: name it {own}.")

    from ssl_jax.data.tfds import open_tfds  # noqa: PLC0415  tfds takes half a second to import.

    return open_tfds(
        name, image_size=image_size, channels=channels, strict=strict, own_names=NAMES,
        folder=DIGITS if own == "digits" else None,
    )  # fmt: skip


def open_parts(name: str, *, image_size: int, channels: Channels, levels: Levels | None = None) -> dict[str, Source]:
    """All parts of a data set by name, "train", "test" and "val", labelled or not; for features that no training needs.

    Args:
      name: as in `open_data`; or an image file. This file, and all of a folder without parts, are "train".
      image_size, channels: as in `open_data`.
      levels: black and white of deep pixels in files, such as those of a run's training images.

    Raises:
      UsageError: as `open_data`; or there is no such file.
    """
    file, folder = Path(name).expanduser(), folder_of(name)
    if name not in NAMES and not os.path.isdir(file) and (os.path.isfile(file) or name.lower().endswith(suffixes())):
        if not os.path.isfile(file):
            raise UsageError(f"data: there is no file {name}: name an image, a folder or a data set.")
        return {"train": open_file(file, image_shape=(image_size, image_size, channels), levels=levels)}
    if folder:
        return dict(parts_in(folder, image_size=image_size, channels=channels, levels=levels))
    data = open_data(name, image_size=image_size, channels=channels)
    return {"train": data.train} | ({"test": data.test} if data.test else {})


def in_channels(data: Data, channels: Channels | None) -> Data:
    """The data set with both parts `with_channels`."""
    return Data(data.name, with_channels(data.train, channels), data.test and with_channels(data.test, channels))


def resolve_name(name: str) -> str:
    """The name of a data set in a form valid in every working directory: a folder's absolute path; other names unchanged."""
    folder = folder_of(name)
    return os.path.abspath(folder) if folder else name


def folder_of(name: str) -> Path | None:
    """The folder of this name; None for names of data sets, even if a folder has the same name."""
    folder = Path(name).expanduser()
    named = name.strip() and name not in NAMES
    return folder if named and (os.path.isdir(folder) or name.startswith(("/", ".", "~"))) else None


def fashion_or_drawn(name: str, *, side: int | None) -> Data | None:
    """The data set of this name if it is Fashion-MNIST, or a generated one, with images of this side; else None."""
    if name == "fashion-mnist":
        return open_fashion_mnist(image_size=side)
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
    if name in (OBJECTS, SCENES):
        side, curated = side or 48, name == OBJECTS
        train, test = (
            Scenes(size=size, side=side, seed=seed, curated=curated) for seed, size in enumerate((4000, 1000))
        )
        return Data(name, train, test)
    return None
