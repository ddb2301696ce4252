"""Clips of moving shapes with sound, drawn when they are read, from the seed and their index alone.

T: frames. A clip lasts a second: video uint8 `[T, side, side, 1]` under "image", and under "audio" int16 `[RATE]`, the
waveform. A class is a pair of an outline and a timbre; every outline has two timbres and every timbre two outlines, so that a
classifier of video alone, or of audio alone, is correct on half of the clips at best.

Video and audio also share the size: the shape swells when it is loud. Independent, and different from clip to
clip: path, spin, size, brightness, background; pitch, volume; noise in both.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.drawn.drawn import Drawn
from ssl_jax.data.source import Example

Floats = NDArray[np.floating]
Inside = NDArray[np.bool_]

RATE = 2048  # Samples per second.
SOUNDING, SILENT = "clips", "silent-clips"

# Whether a point belongs to the shape, in units of its radius.
OUTLINES: dict[str, Callable[[Floats, Floats], Inside]] = {
    "disc": lambda x, y: np.hypot(x, y) < 0.9,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.75) < 0.25,
    "cross": lambda x, y: (np.minimum(np.abs(x), np.abs(y)) < 0.3) & (np.maximum(np.abs(x), np.abs(y)) < 1),
    "triangle": lambda x, y: (y > -0.6) & (np.abs(x) * 1.73 < 1.2 - y),
    "bar": lambda x, y: (np.abs(x) < 1.1) & (np.abs(y) < 0.4),
    "pair": lambda x, y: np.hypot(np.abs(x) - 0.65, y) < 0.45,
}

# Partials of a tone: multiples of its pitch, the loudest first.
TIMBRES: dict[str, tuple[float, ...]] = {
    "flute": (1.0,),
    "reed": (1.0, 3.0, 5.0),
    "string": (1.0, 2.0, 3.0, 4.0, 5.0),
    "bell": (1.0, 2.4, 4.1),
    "siren": (1.0,),
    "hiss": (),
}


class Clips(Drawn):
    """`size` clips of 12 kinds; or, without `sound`, of the 6 outlines, without audio.

    Classes take turns. Attributes are those of a `Source`, `image_shape` being `[T, side, side, 1]`.
    """

    def __init__(self, *, size: int = 512, side: int = 24, frames: int = 4, seed: int = 0, sound: bool = True):
        outlines, timbres = list(OUTLINES), list(TIMBRES)
        pairs = [(first, (first + other) % len(timbres)) for first in range(len(outlines)) for other in (0, 1)]
        names = [f"{outlines[first]} {timbres[second]}" for first, second in pairs] if sound else outlines
        name = SOUNDING if sound else SILENT
        super().__init__(name, names, (frames, side, side, 1), size=size, seed=seed)
        self._pairs = pairs if sound else [(number, number) for number in range(len(outlines))]
        self._sound = sound

    def __getitem__(self, number: int) -> Example:
        label, random, swell = self._begin(number)
        outline, timbre = self._pairs[label]
        example = {"image": self._video(list(OUTLINES.values())[outline], swell, random), "label": np.int32(label)}
        return example | ({"audio": _audio(list(TIMBRES)[timbre], swell, random)} if self._sound else {})

    def paths(self, number: int) -> tuple[Floats, Floats]:
        """Where the shape of a clip is: centres `[T, 2]` in pixels from the top left corner, rows first, and its radii `[T]`.

        No part of an example: for the evaluation of what finds the shape.
        """
        _, random, swell = self._begin(number)
        centres, radii = self._path(swell, random)
        side = self.image_shape[1]
        return side * centres[:, :, 0, 0].T, side * radii[:, 0, 0]

    def _begin(self, number: int) -> tuple[int, np.random.Generator, Callable[[Floats], Floats]]:
        """The class and the generator of a clip; its loudness and size over time, from 0 to 1 a few times per second."""
        label, random = self.begin(number)
        beats, start = random.uniform(0.5, 1.5), random.uniform(0, 2 * np.pi)
        return label, random, lambda time: (1 + np.cos(2 * np.pi * beats * time + start)) / 2

    def _times(self) -> Floats:
        frames = self.image_shape[0]
        return ((np.arange(frames) + 0.5) / frames)[:, None, None]

    def _path(self, swell: Callable[[Floats], Floats], random: np.random.Generator) -> tuple[Floats, Floats]:
        """Centres `[2, T, 1, 1]` and radii `[T, 1, 1]`, in units of the side."""
        time = self._times()
        way, heading = random.uniform(0.2, 0.4), random.uniform(0, 2 * np.pi)
        step = way * np.array([np.sin(heading), np.cos(heading)]).reshape(2, 1, 1, 1)
        centres = random.uniform(0.4, 0.6, size=(2, 1, 1, 1)) + step * (time - 0.5)
        return centres, random.uniform(0.28, 0.38) * (0.75 + 0.25 * swell(time))

    def _video(
        self, outline: Callable[..., Inside], swell: Callable[[Floats], Floats], random: np.random.Generator
    ) -> NDArray[np.uint8]:
        side, time = self.image_shape[1], self._times()
        position, radius = self._path(swell, random)
        angle = random.uniform(0, 2 * np.pi) + random.uniform(-2, 2) * time
        y, x = ((np.mgrid[:side, :side] + 0.5) / side)[:, None] - position
        inside = outline(
            (np.cos(angle) * x + np.sin(angle) * y) / radius, (np.cos(angle) * y - np.sin(angle) * x) / radius
        )
        ground, bright = random.uniform(0.1, 0.4), random.uniform(0.6, 1)
        image = np.where(inside, bright, ground) + random.normal(scale=0.06, size=inside.shape)
        return (255 * image.clip(0, 1)).round().astype(np.uint8)[..., None]


def _audio(timbre: str, swell: Callable[[Floats], Floats], random: np.random.Generator) -> NDArray[np.int16]:
    time = np.arange(RATE) / RATE
    waver = 0.15 * np.sin(2 * np.pi * 6 * time) / 6 if timbre == "siren" else 0.0
    phase = 2 * np.pi * random.uniform(90, 180) * (time + waver)
    partials = TIMBRES[timbre] or random.uniform(0.5, 5, size=24)  # A hiss is many random tones.
    loudness = 1 / np.arange(1, len(partials) + 1) if TIMBRES[timbre] else np.full(24, 0.3)
    starts = random.uniform(0, 2 * np.pi, size=len(partials))
    tones = [
        a * np.sin(multiple * phase + start) for a, multiple, start in zip(loudness, partials, starts, strict=True)
    ]
    wave = (0.1 + 0.9 * swell(time)) * sum(tones) * random.uniform(0.1, 0.3)
    wave = wave + random.normal(scale=0.02, size=RATE)
    return (32767 * wave.clip(-1, 1)).round().astype(np.int16)
