"""Fashion-MNIST from the files of Debian's package dataset-fashion-mnist: 60,000 + 10,000 grayscale images, 28x28."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.pixels.images import fit
from ssl_jax.data.source import ArraySource, Data
from ssl_jax.errors import UsageError
from ssl_jax.sizes import ImageSize, sides_of

FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def open_fashion_mnist(folder: Path | None = None, *, image_size: ImageSize | None = None) -> Data:
    """Both parts, held in memory; resized to `image_size` where it is not 28.

    Raises:
      UsageError: the files are missing or damaged.
    """
    train, test = (_part(folder or FOLDER, name, image_size=image_size) for name in ("train", "t10k"))
    return Data("fashion-mnist", train, test)


def _part(folder: Path, name: str, *, image_size: ImageSize | None) -> ArraySource:
    images = read_idx(folder / f"{name}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int32)
    if image_size is not None:
        height, width = sides_of(image_size)
        resized = (fit(Image.fromarray(image), height=height, width=width) for image in images)
        images = np.stack([np.asarray(image) for image in resized])
    return ArraySource(f"fashion-mnist:{name}", CLASSES, images[..., None], labels)


def read_idx(file: Path) -> NDArray[np.uint8]:
    """A gzipped IDX file of bytes: two zeros, type 8, number of axes; their lengths, big-endian; the bytes."""
    try:
        content = gzip.decompress(file.read_bytes())
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except FileNotFoundError as fault:
        raise UsageError(
            f"data: {file} does not exist: run `apt-get install dataset-fashion-mnist`, or use fashion_mnist from tfds."
        ) from fault
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as fault:
        raise UsageError(
            f"data: {file} is damaged ({fault}): run `apt-get install --reinstall dataset-fashion-mnist`."
        ) from fault
