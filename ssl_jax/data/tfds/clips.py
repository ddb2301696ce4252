"""Prepared tfds data sets of videos, converted to clips of one shape, with sound where there is any.

A video is tfds's `Video`, or a sequence of images; sound is an `Audio` feature, or a sequence of integers beside a
"sample_rate". Features of the kinds `Video` and `Audio` themselves need TensorFlow, even to be read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.channels import Channels
from ssl_jax.data.pixels.images import eight_bit, fit
from ssl_jax.data.skipping import Skipping, Unreadable
from ssl_jax.data.source import Example
from ssl_jax.data.tfds.records import Examples
from ssl_jax.errors import UsageError
from ssl_jax.sizes import ImageSize, sides_of

FRAMES = 8
SECONDS, RATE = 2, 24_000  # Of sound, as in AVID, https://arxiv.org/abs/2004.12943, section 3.4.


class TfdsClips(Skipping):
    """A split of a data set of videos. Attributes are those of a `Source`; an unreadable or empty video is skipped.

    A clip is 8 frames, evenly spaced over the middle two seconds where there is sound, else over the whole video, cropped to
    the centre and resized like images; and under "audio" these two seconds, int16 `[48000]`, zero after the end of the sound.

    Args:
      examples: examples of tfds, with decoded videos.
      features: features of the data set, by name.
      video: name of the video feature. Sound is "audio", where its rate is known.
      strict: every video is read once by the constructor; the first unreadable one raises a `UsageError`.
    """

    examples = "videos"

    def __init__(
        self,
        examples: Examples,
        features: Mapping[str, Any],
        *,
        video: str,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int, int],
        strict: bool = False,
    ):
        super().__init__(strict=strict)
        self.name, self.classes, self.image_shape = examples.name, classes, image_shape
        self._examples, self._video = examples, video
        self._rate = _sample_rate(features["audio"]) if "audio" in features else None
        self._sounding = self._rate is not None or {"audio", "sample_rate"} <= set(features)
        self._check_all()

    def __len__(self) -> int:
        return len(self._examples)

    def stored(self) -> Iterator[bytes]:
        """The name of the data set with its version, for its fingerprint: decoding videos takes long."""
        yield self.name.encode()

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """All labels, where reading them takes at most a second; else None."""
        return self._examples.labels

    def _example(self, number: int) -> Example:
        example, label = self._examples.example(number)
        frames, sound = example[self._video], {}
        if not len(frames):
            raise Unreadable("no frames")
        first, last = 0.0, 1.0
        if self._sounding:
            wave, rate = np.asarray(example["audio"]), self._rate or int(example["sample_rate"])
            if rate < 1:
                raise Unreadable(f"sound of {rate} samples a second")
            middle, reach = 0.5, min(0.5, SECONDS * rate / max(len(wave), 1) / 2)
            first, last = middle - reach, middle + reach
            part = wave[round(first * len(wave)) : round(last * len(wave))]
            sound = {"audio": resampled(part, rate=rate, size=SECONDS * RATE)}
        positions = first + (last - first) * (np.arange(FRAMES) + 0.5) / FRAMES
        chosen = (positions * len(frames)).astype(int).clip(0, len(frames) - 1)
        image = np.stack([_fitted(np.asarray(frames[position]), self.image_shape[1:]) for position in chosen])
        return {"image": image, "label": np.int32(label), **sound}

    def _where(self, number: int) -> str:
        return f"video {number} of {self.name}"


def clip_shape(
    info: tfds.core.DatasetInfo, video: str, *, image_size: ImageSize | None, channels: Channels | None
) -> tuple[int, int, int, int]:
    """Frames, height, width and channels for all clips; a `UsageError` without `image_size` where that is needed."""
    height, width, declared = info.features[video].feature.shape
    if image_size is None and not (height and width):
        raise UsageError(
            f"image_size: none was given, but the videos of {info.full_name} differ in size: give the size for "
            "all, such as 112."
        )
    height, width = sides_of(image_size or (height, width))
    return FRAMES, height, width, channels or (1 if declared == 1 else 3)


def resampled(sound: NDArray[Any], *, rate: int, size: int) -> NDArray[np.int16]:
    """Sound `[n]` or `[n, channels]` of this rate at 24 kHz, int16 `[size]`; zeros after its end.

    A new sample is the mean of the sound over its interval, which attenuates frequencies above the new Nyquist frequency.
    """
    sound = np.asarray(sound, np.float64)
    sound = sound.mean(axis=1) if sound.ndim > 1 else sound
    summed = np.concatenate([[0.0], np.cumsum(sound)])
    edges = (np.arange(size + 1) * (rate / RATE)).clip(0, len(sound))
    means = np.diff(np.interp(edges, np.arange(len(summed)), summed)) * (RATE / rate)
    return means.round().clip(-(2**15), 2**15 - 1).astype(np.int16)


def _fitted(frame: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    height, width, channels = shape
    image = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
    return np.asarray(fit(eight_bit(image, channels=channels), height=height, width=width)).reshape(shape)


def _sample_rate(feature: Any) -> int | None:
    return getattr(feature, "sample_rate", None) or getattr(feature, "_sample_rate", None)
