"""Striped polygons on noise: images for tests, drawn when they are read, from the seed and their index alone."""

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.drawn.drawn import Drawn
from ssl_jax.data.source import Example


class Synthetic(Drawn):
    """`size` coloured images of `classes` kinds, `[side, side, 3]`.

    A class is a number of corners (3, 4, ...) and a direction of stripes; position, size, rotation, colours, phase and noise
    differ from image to image. Classes take turns, so every run of `classes` images holds each once.
    """

    def __init__(self, *, size: int = 512, classes: int = 4, side: int = 16, seed: int = 0):
        names = [f"{3 + label} corners" for label in range(classes)]
        super().__init__("synthetic", names, (side, side, 3), size=size, seed=seed)

    def __getitem__(self, number: int) -> Example:
        label, random = self.begin(number)
        return {"image": self._draw(label, random), "label": np.int32(label)}

    def _draw(self, label: int, random: np.random.Generator) -> NDArray[np.uint8]:
        side = self.image_shape[0]
        centre = random.uniform(0.4, 0.6, size=(2, 1, 1))
        y, x = (np.mgrid[:side, :side] + 0.5) / side - centre
        angle = np.arctan2(y, x) - random.normal(scale=0.1)
        wedge = 2 * np.pi / (3 + label)
        edge = np.cos(wedge / 2) / np.cos(angle % wedge - wedge / 2)  # Polar equation of a regular polygon.
        inside = np.hypot(y, x) < random.uniform(0.35, 0.5) * edge
        direction = np.pi * label / len(self.classes) + random.normal(scale=0.05)
        stripes = np.sin(2 * np.pi * 4 * (x * np.cos(direction) + y * np.sin(direction)) + random.uniform(0, 2 * np.pi))
        bright, dark, ground = random.uniform([[0.6], [0.0], [0.2]], [[1.0], [0.4], [0.8]], size=(3, 3))
        stripe = np.where(stripes[..., None] > 0, bright, dark)
        image = np.where(inside[..., None], stripe, ground) + random.normal(scale=0.05, size=(side, side, 3))
        return (255 * image.clip(0, 1)).round().astype(np.uint8)
