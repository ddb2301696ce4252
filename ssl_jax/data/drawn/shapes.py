"""Coloured shapes, drawn when they are read, from the seed and their index alone: data for colourisation.

A class is an outline of `ssl_jax.data.drawn.clips`. As bananas are yellow and skies are blue, an outline has a hue, which it
shares with one other, and the background has different hues at the top and the bottom. Lightness is uninformative: random, as
are position, size, rotation and noise.
"""

import colorsys

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.drawn.clips import OUTLINES
from ssl_jax.data.drawn.drawn import Drawn
from ssl_jax.data.source import Example

SHAPES = "shapes"
HUES = (0.0, 0.15, 0.85)  # Of outlines: red, yellow, pink.
TOP, BOTTOM = 0.6, 0.35  # Of the background: blue, green.


class Shapes(Drawn):
    """`size` images of 6 outlines, `[side, side, 3]`. Classes take turns. Attributes are those of a `Source`."""

    def __init__(self, *, size: int = 512, side: int = 24, seed: int = 0):
        super().__init__(SHAPES, tuple(OUTLINES), (side, side, 3), size=size, seed=seed)

    def __getitem__(self, number: int) -> Example:
        label, random = self.begin(number)
        side = self.image_shape[0]
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        position, radius, angle = random.uniform(0.4, 0.6, 2), random.uniform(0.25, 0.38), random.uniform(0, 2 * np.pi)
        down, right = (y - position[0]) / radius, (x - position[1]) / radius
        turned = np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right
        inside = list(OUTLINES.values())[label](*turned)[..., None]
        light, dark = random.permutation([random.uniform(0.6, 0.9), random.uniform(0.2, 0.45)])
        ground = np.where(y[..., None] < 0.5, _color(TOP, dark, random), _color(BOTTOM, dark, random))
        image = np.where(inside, _color(HUES[label % len(HUES)], light, random), ground)
        image = image + random.normal(scale=0.04, size=(side, side, 1))  # Noise in lightness only.
        return {"image": (255 * image.clip(0, 1)).round().astype(np.uint8), "label": np.int32(label)}


def _color(hue: float, lightness: float, random: np.random.Generator) -> NDArray[np.floating]:
    """Red, green and blue of nearly that hue, with the luma `lightness`."""
    color = np.array(colorsys.hsv_to_rgb((hue + random.normal(scale=0.02)) % 1, random.uniform(0.5, 0.8), 1.0))
    return color * lightness / (color @ (0.299, 0.587, 0.114))
