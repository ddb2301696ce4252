"""The channels of images: one (grayscale) or three (red, green, blue); other numbers are left as they are."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.fingerprint import stored
from ssl_jax.data.source import Example, MaskReader, Source, labels_of, masks_of
from ssl_jax.errors import UsageError

Channels = Literal[1, 3]
LUMA = np.array([19595, 38470, 7471])  # ITU-R 601 weights of red, green and blue, times 2**16: those of Pillow's "L".


class WithChannels:
    """A source with its images in one or three channels. Attributes are those of a `Source`."""

    def __init__(self, source: Source, channels: Channels):
        self.name, self.classes, self._source = source.name, source.classes, source
        self.image_shape = (*source.image_shape[:-1], channels)

    def __len__(self) -> int:
        return len(self._source)

    @property
    def labels(self) -> NDArray[np.int32] | None:
        return labels_of(self._source)

    @property
    def mask(self) -> MaskReader | None:
        return masks_of(self._source)

    def stored(self) -> Iterator[bytes]:
        return stored(self._source)

    def __getitem__(self, number: int) -> Example:
        example = self._source[number]
        return example | {"image": recolored(example["image"], self.image_shape[-1])}


def with_channels(source: Source, channels: Channels | None) -> Source:
    """The source with images of this many channels; unchanged where they already have them, have neither 1 nor 3, or for
    None."""
    held = source.image_shape[-1]
    return source if channels in (None, held) or held not in (1, 3) else WithChannels(source, channels)


def recolored(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """uint8 `[..., 1 or 3]` -> uint8 `[..., channels]`: grayscale repeated in three channels, or the luma of colour.

    Red, `[255, 0, 0]`, is grey 76.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    return ((image @ LUMA + 2**15) >> 16).astype(np.uint8)[..., None]


def check_channels(channels: int | None) -> None:
    """A `UsageError` unless `channels` is None, 1 or 3."""
    if channels not in (None, 1, 3):
        raise UsageError(
            f"channels: got {channels}, expected 1 (grayscale) or 3 (colour), or None for those of the images."
        )
