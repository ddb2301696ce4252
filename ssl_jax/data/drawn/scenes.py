"""Drawn scenes, and the same things one at a time: curated and uncurated images, with a class for every pixel.

An image follows from the seed and its index alone. The things are those of `ssl_jax.data.drawn.things`, twelve classes. A class
has a hue, which it shares with two others; position, size, rotation, shades and the second colour differ from one thing to the
next.

- "objects", curated: one large thing near the centre, on a plain background. Classes take turns.
- "scenes": two to five things of a quarter to half of that size, anywhere, which may cover each other; a textured background;
  pebbles and twigs, which belong to no class, some of them in front of things. Class number k has a frequency in proportion
  to 1 / (k + 1): 32 % of the things are of the first class, 3 % of the last. The label of a scene is the class with the most
  pixels.

`mask(number)` is exact: uint8 `[side, side]`, 0 for the background and 1 + class where most of a pixel shows a thing.
"""

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.drawn.things import THINGS, Floats, Parts
from ssl_jax.data.source import Example

SCENES, OBJECTS = "scenes", "objects"
HUES = (0.0, 0.3, 0.6, 0.13)  # Of the classes in turns: red, green, blue, yellow.
TAIL = np.cumsum(1 / (1 + np.arange(len(THINGS))))  # Up to each class, the sum of the frequencies.
FINE = 3  # Points of a pixel along a side: odd, so that none is half covered.
Image = NDArray[np.floating]
Mask = NDArray[np.uint8]


class Scenes:
    """`size` images of 12 classes with their masks, `[side, side, 3]`. Attributes are those of a `Source`.

    Args:
      curated: one thing in the middle of each image, instead of scenes.
    """

    def __init__(self, *, size: int = 512, side: int = 48, seed: int = 0, curated: bool = False):
        self.name = f"{OBJECTS if curated else SCENES}:{seed}"
        self.classes, self.image_shape = tuple(THINGS), (side, side, 3)
        self._size, self._seed, self._curated = size, seed, curated

    def __len__(self) -> int:
        return self._size

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """Of curated images; those of scenes follow from the drawing."""
        return np.arange(self._size, dtype=np.int32) % len(self.classes) if self._curated else None

    def __getitem__(self, number: int) -> Example:
        return self.with_mask(number)[0]

    def with_mask(self, number: int) -> tuple[Example, Mask]:
        """An example and its `mask`, drawn once."""
        image, mask = self._drawn(number)
        counts = np.bincount(mask.ravel(), minlength=len(self.classes) + 1)[1:]
        return {"image": (255 * image.clip(0, 1)).round().astype(np.uint8), "label": np.int32(counts.argmax())}, mask

    def mask(self, number: int) -> Mask:
        """What each pixel shows: 0 for the background, 1 + class for a thing."""
        return self._drawn(number)[1]

    def _drawn(self, number: int) -> tuple[Image, Mask]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        # Noise has a generator of its own, so that the same drawing has any size.
        random, grain = (np.random.default_rng([self._seed, number, stream]) for stream in (0, 1))
        side = self.image_shape[0]
        image, mask = _background(side, random, waves=0 if self._curated else 3), np.zeros((side, side), np.uint8)
        if self._curated:
            middle, radius = random.uniform(0.45, 0.55, 2), random.uniform(0.34, 0.44)
            _paint(image, mask, number % len(THINGS), middle, radius, random)
        else:
            image *= 1 + 0.05 * grain.standard_normal((side, side, 1), np.float32)
            for _ in range(random.integers(3, 6)):
                _clutter(image, mask, random)
            for place, radius in _places(int(random.integers(2, 6)), random):
                label = int(np.searchsorted(TAIL, random.uniform(0, TAIL[-1])))
                _paint(image, mask, label, place, radius, random)
            for _ in range(2):
                _clutter(image, mask, random)
        return image + 0.02 * grain.standard_normal(image.shape, np.float32), mask


def _places(count: int, random: np.random.Generator) -> list[tuple[Floats, float]]:
    """Centres and radii in units of the side, so far apart that no thing hides another one: the best of ten tries each."""
    places, radii = np.empty((0, 2)), np.empty(0)
    for radius in random.uniform(0.11, 0.2, count):
        tries = random.uniform(0.8 * radius, 1 - 0.8 * radius, (10, 2))
        distances = np.sqrt(np.square(tries[:, None] - places).sum(axis=-1))
        gaps = (distances / (radius + radii)).min(axis=1, initial=1.0)
        if gaps.max() > 0.7:
            places, radii = np.vstack([places, tries[gaps.argmax()]]), np.append(radii, radius)
    return list(zip(places, radii, strict=True))


def _background(side: int, random: np.random.Generator, *, waves: int) -> Image:
    """One greyish colour with a gradient, and this many waves of lightness."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    lightness = random.uniform(0.25, 0.85)
    color = _color(random.uniform(), random.uniform(0.05, 0.25), lightness)
    slope = random.uniform(-0.15, 0.15, 2)
    shade = 1 + slope[0] * (y - 0.5) + slope[1] * (x - 0.5)
    for _ in range(waves):
        angle, count, phase = random.uniform(0, np.pi), random.uniform(3, 12), random.uniform(0, 2 * np.pi)
        shade += 0.06 * np.sin(2 * np.pi * count * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return shade[..., None] * color


def _paint(image: Image, mask: Mask, label: int, place: Floats, radius: float, random: np.random.Generator) -> None:
    """Draws a thing into both: tilted by up to 25 degrees, one in two mirrored."""
    hue = HUES[label % len(HUES)] + random.normal(scale=0.03)
    light = random.uniform(0.6, 1.0)
    first = _color(hue, random.uniform(0.65, 0.95), light)
    second = _color(random.uniform(), random.uniform(0.2, 0.7), 0.45 if light > 0.8 else 1.0)
    angle, mirror = random.uniform(-25, 25), random.choice([-1, 1])
    draw = list(THINGS.values())[label]
    _stamp(image, mask, lambda x, y: draw(mirror * x, y), label + 1, (first, second), place, radius, angle)


def _clutter(image: Image, mask: Mask, random: np.random.Generator) -> None:
    """Draws a pebble or a twig, which hides what is behind it and is background in the mask."""
    place, radius, angle = random.uniform(0, 1, 2), random.uniform(0.04, 0.08), random.uniform(0, 180)
    color = _color(random.uniform(), random.uniform(0.1, 0.9), random.uniform(0.3, 1.0))
    thick, long = (0.6, 1.0) if random.uniform() < 0.5 else (0.12, 2.0)
    _stamp(
        image, mask, lambda x, y: ((x / long) ** 2 + (y / thick) ** 2 < 1).astype(np.uint8), 0, (color, color),
        place, radius, angle, reach=2.0,
    )  # fmt: skip


def _stamp(
    image: Image,
    mask: Mask,
    draw: Callable[[Floats, Floats], Parts],
    value: int,
    colors: tuple[Floats, Floats],
    place: Floats,
    radius: float,
    angle: float,
    *,
    reach: float = 1.0,
) -> None:
    """Draws parts over the pixels round `place`, each sampled at a grid of points; more than half of them decide the mask."""
    side, (y, x) = len(mask), place
    top, left = (max(0, int((middle - reach * radius) * side)) for middle in (y, x))
    bottom, right = (min(side, int((middle + reach * radius) * side) + 1) for middle in (y, x))
    down = ((np.arange(FINE * top, FINE * bottom) + 0.5) / (FINE * side) - y)[:, None] / radius
    across = ((np.arange(FINE * left, FINE * right) + 0.5) / (FINE * side) - x)[None] / radius
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    parts = draw(cos * across + sin * down, cos * down - sin * across)
    shares = [_share(parts == part) for part in (1, 2)]
    covered, window = shares[0] + shares[1], np.s_[top:bottom, left:right]
    image[window] *= 1 - covered[..., None]
    image[window] += shares[0][..., None] * colors[0] + shares[1][..., None] * colors[1]
    mask[window][covered > 0.5] = value


def _share(points: NDArray[np.bool_]) -> Image:
    """The share of the points of each pixel: booleans `[FINE H, FINE W]` -> `[H, W]`."""
    cells = points.view(np.uint8)
    rows = np.add.reduce([cells[first::FINE] for first in range(FINE)])
    return np.add.reduce([rows[:, first::FINE] for first in range(FINE)]) / FINE**2


def _color(hue: float, saturation: float, value: float) -> Floats:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))
