"""Prepared tfds data sets of videos, each one brought to one shape: a clip, with its sound where there is any.

A video is what tfds calls `Video`, or a sequence of images; sound is an `Audio` feature, or a sequence of integers beside a
"sample_rate". Features of the kinds `Video` and `Audio` themselves need TensorFlow, even to be read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.channels import Channels
from ssl_jax.data.images import eight_bit, fit
from ssl_jax.data.source import Example
from ssl_jax.errors import UsageError

FRAMES = 8
SECONDS, RATE = 2, 24_000  # Of sound: what AVID hears, https://arxiv.org/abs/2004.12943, section 3.4.


@dataclass(frozen=True, eq=False)
class TfdsClips:
    """A split of a data set of videos. Attributes are those of a `Source`.

    A clip is 8 frames, evenly spaced over the middle two seconds where there is sound, else over the whole video, cut to
    the middle and resized as images are; and under "audio" these two seconds, int16 `[48000]`, silent where the sound ends.

    examples: of tfds, decoded.
    video, audio, label: names of the features; None where there is none.
    rate: samples a second, where the feature of the sound has it.
    """

    examples: Any
    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int, int]
    video: str
    audio: str | None
    label: str | None
    rate: int | None

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(number)
        example = self.examples[number]
        label = np.int32(example[self.label] if self.label else -1)
        frames, sound = example[self.video], {}
        if not len(frames):
            raise UsageError(f"data: video {number} of {self.name} has no frames: remove it.")
        first, last = 0.0, 1.0
        if self.audio:
            heard, rate = np.asarray(example[self.audio]), self.rate or int(example["sample_rate"])
            middle, reach = 0.5, min(0.5, SECONDS * rate / max(len(heard), 1) / 2)
            first, last = middle - reach, middle + reach
            part = heard[round(first * len(heard)) : round(last * len(heard))]
            sound = {"audio": resampled(part, rate=rate, size=SECONDS * RATE)}
        places = first + (last - first) * (np.arange(FRAMES) + 0.5) / FRAMES
        chosen = (places * len(frames)).astype(int).clip(0, len(frames) - 1)
        image = np.stack([_fitted(np.asarray(frames[place]), self.image_shape[1:]) for place in chosen])
        return {"image": image, "label": label, **sound}


def clips_of(
    examples: Any, features: Any, *, name: str, image_size: int | None, channels: Channels | None = None
) -> TfdsClips:
    """The source of these examples of tfds, described by `features`; `UsageError` without `image_size` where it matters."""
    video, audio = video_in(features), "audio" if "audio" in features else None
    assert video is not None
    rate = _sample_rate(features["audio"]) if audio else None
    if audio and rate is None and "sample_rate" not in features:
        audio = None  # Nobody says how fast it goes.
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    label = "label" if "label" in labels else next(iter(labels), None)
    classes = tuple(features[label].names) if label else ()
    height, width, declared = features[video].feature.shape
    if image_size is None and not (height and width):
        raise UsageError(
            f"image_size: none was given, but the videos of {name} differ in size: say the size that all should have."
        )
    shape = (image_size or height, image_size or width, channels or (1 if declared == 1 else 3))
    return TfdsClips(examples, name, classes, (FRAMES, *shape), video=video, audio=audio, label=label, rate=rate)


def video_in(features: Any) -> str | None:
    """The name of the first feature that is a sequence of images, as tfds's `Video` is."""
    for key, feature in features.items():
        if isinstance(getattr(feature, "feature", None), tfds.features.Image):
            return key
    return None


def resampled(sound: NDArray[Any], *, rate: int, size: int) -> NDArray[np.int16]:
    """Sound `[n]` or `[n, channels]` of this rate at 24 kHz, int16 `[size]`; zeros behind its end.

    A new sample is the mean of the sound over its time, which keeps out what is faster than the new rate can say.
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
