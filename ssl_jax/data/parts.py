"""Sources of encoded images from their records, part by part, and the data set of these parts."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from ssl_jax.data import fingerprint
from ssl_jax.data.channels import Channels
from ssl_jax.data.pixels.depth import Levels
from ssl_jax.data.pixels.formats import Header, header
from ssl_jax.data.pixels.images import DecodedSource, Records, levels_in
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import Data
from ssl_jax.data.subsets import with_test_part
from ssl_jax.errors import UsageError
from ssl_jax.sizes import ImageSize, sides_of

SAMPLE = 256  # Images that are read to distinguish grayscale sets from coloured ones, where the size is given.


class NamedRecords(Records, Protocol):
    """Records of a part: name for messages, and names of the classes, none where there are no labels."""

    name: str
    classes: tuple[str, ...]


def sources_of(
    parts: Iterable[tuple[str, NamedRecords]],
    *,
    image_size: ImageSize | None = None,
    channels: Channels | None = None,
    levels: Levels | None = None,
    stated: Levels | None = None,
    strict: bool = False,
) -> Iterator[tuple[str, DecodedSource]]:
    """The parts as sources of images of one shape, that of the first part, each opened in its turn.

    Args:
      image_size, channels, strict: as in `ssl_jax.data.folders.folder.open_folder`.
      levels: black and white of deep pixels, such as those of a run's training images; those of the first part when None.
      stated: black and white that the user stated for these data.

    Raises:
      UsageError: as `common_shape`; or levels are stated and all pixels have 8 bits.
    """
    shape: tuple[int, int, int] | None = None
    for part, records in parts:
        if shape is None:
            shape = common_shape(records, image_size=image_size, channels=channels)
            if stated and not levels_in(records, name=records.name):
                raise UsageError(
                    f"data: {records.name} has pixels of 8 bits, so that range={stated.black:g}:{stated.white:g} has no "
                    "meaning: leave range out."
                )
        source = DecodedSource(
            records,
            name=records.name,
            classes=records.classes,
            image_shape=shape,
            levels=stated or levels,
            strict=strict,
        )
        levels = source.levels
        yield part, source


def data_of(name: str, parts: Iterable[tuple[str, DecodedSource]]) -> Data:
    """The data set of these parts, the first to train on; `test` as in `ssl_jax.data.folders.folder.open_folder`."""
    each = iter(parts)
    _, train = next(each)
    test = next((source for _, source in each if source.classes), None)
    data = with_test_part(Data(name, train, test))
    if data.test and not test:
        print(
            f"data: {name}: no labelled test images: {len(data.test)} of {len(train)} images, a fifth of each class, are held "
            "out for the evaluation",
            file=sys.stderr,
        )
    return data


def common_shape(
    records: NamedRecords, *, image_size: ImageSize | None, channels: Channels | None = None
) -> tuple[int, int, int]:
    """Height, width and channels for all images; without `channels`, 1 if all are grayscale, else 3.

    Another number of channels is kept, whatever `channels`. With `image_size`, they are detected on a sample, so that large
    data sets open quickly.
    """
    indices = list(range(len(records)))
    if image_size is not None:
        indices = fingerprint.spread(len(records), SAMPLE)
    headers = [found for number in indices if (found := header_of(records, number))]
    if not headers:
        raise UsageError(f"data: none of {len(indices)} images in {records.name} can be read: name another folder.")
    held = _channels(headers, records.name, channels)
    if image_size is not None:
        return *sides_of(image_size), held
    sizes = sorted({each.size[::-1] for each in headers})
    if len(sizes) > 1:
        smallest, largest = (f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))
        raise UsageError(
            f"image_size: none was given, but the images in {records.name} differ in size, from {smallest} to "
            f"{largest} pixels: give the size for all, such as 224."
        )
    return *sizes[0], held


def _channels(headers: list[Header], name: str, channels: Channels | None) -> int:
    counts = sorted({each.channels for each in headers})
    if counts in ([1], [3], [1, 3]):
        return channels or counts[-1]
    if len(counts) > 1:
        raise UsageError(
            f"data: the images of {name} have {' and '.join(map(str, counts))} channels: give those of one number of channels."
        )
    return counts[0]


def header_of(records: NamedRecords, number: int) -> Header | None:
    """What is known of an image before it is decoded; None where it cannot be read."""
    if hasattr(records, "header"):
        return records.header(number)
    try:
        return header(io.BytesIO(records[number][0]))
    except Unreadable:  # Reported when it is read as an example.
        return None
