"""Data sets by name, as the command line has them."""

from pathlib import Path

from ssl_jax.data.clips import SILENT, SOUNDING, Clips
from ssl_jax.data.emblems import EMBLEMS, Emblems
from ssl_jax.data.fashion_mnist import open_fashion_mnist
from ssl_jax.data.folder import open_folder
from ssl_jax.data.shapes import SHAPES, Shapes
from ssl_jax.data.source import Data
from ssl_jax.data.synthetic import Synthetic
from ssl_jax.errors import UsageError

NAMES = ("digits", "fashion-mnist", SHAPES, EMBLEMS, SOUNDING, SILENT, "synthetic")
DIGITS = Path(__file__).parent / "embedded/digits/1.0.0"


def open_data(name: str, *, image_size: int | None = None, strict: bool = False) -> Data:
    """Opens a data set.

    Args:
      name: "digits", 4,000 + 1,000 MNIST digits that come with the package; "fashion-mnist", from the files of Debian's
        package dataset-fashion-mnist; "shapes", 4,000 + 1,000 drawn in colour; "emblems", as many of nine signs in their
        places; "clips", as many drawn shapes that move and sound, and "silent-clips", the same without sound; "synthetic",
        for tests; a folder of images, see `ssl_jax.data.folder`; or a tfds data set of images, or of videos with or without
        sound (`ssl_jax.data.tfds_clips`): `name[/config][:version][:split]`, the split being what to pre-train on:
        imagenet2012:train[:10%].
      image_size: side in pixels of the squares that all images become, see `ssl_jax.data.images`; None keeps their size
        where all have the same.
      strict: read every image once and refuse the first that is damaged, rather than skip it when it comes.

    Raises:
      UsageError: what `name` asks for is unknown, not there or not usable; or `image_size` is missing or below 1.
    """
    if image_size is not None and image_size < 1:
        raise UsageError(
            f"image_size: got {image_size}, but images have at least 1 pixel: choose the side of a square, such as 32."
        )
    if name == "synthetic":
        side = image_size or 16
        return Data(name, Synthetic(size=512, side=side, seed=0), Synthetic(size=256, side=side, seed=1))
    if name in (SOUNDING, SILENT):
        side, sound = image_size or 24, name == SOUNDING
        parts = (Clips(size=size, side=side, seed=seed, sound=sound) for seed, size in enumerate((4000, 1000)))
        return Data(name, *parts)
    if name == SHAPES:
        side = image_size or 24
        return Data(name, Shapes(size=4000, side=side, seed=0), Shapes(size=1000, side=side, seed=1))
    if name == EMBLEMS:
        side = image_size or 42
        return Data(name, Emblems(size=4000, side=side, seed=0), Emblems(size=1000, side=side, seed=1))
    if name == "fashion-mnist":
        return open_fashion_mnist(image_size=image_size)
    folder = Path(name).expanduser()
    if name not in NAMES and (folder.is_dir() or name.startswith(("/", ".", "~"))):
        return open_folder(folder, image_size=image_size, strict=strict)

    from ssl_jax.data.tfds import open_prepared, open_tfds  # noqa: PLC0415  tfds takes half a second to import.

    if name == "digits":
        return open_prepared(DIGITS, name=name, image_size=image_size, strict=strict)
    return open_tfds(name, image_size=image_size, strict=strict, own_names=NAMES)
