"""Grayscale emblems, drawn when they are read, from the seed and their index alone: data for tasks on the order of tiles.

An emblem is a 3 x 3 grid of signs. A class is a plan, drawn once: 9 of the 16 signs, and their positions. Two plans share
about five signs, most of them at different positions: to predict the position of a tile, a network has to recognise its
sign and, from the others, the plan. Nothing else reveals it: no outline, no background, no light from one side. Different
from image to image: rotation, offset and size of each sign, whether it is lighter or darker than the background and by
how much; one sign in ten is missing; the background has a gradient, and the noise is strong.
"""

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.drawn.clips import OUTLINES
from ssl_jax.data.drawn.drawn import Drawn
from ssl_jax.data.source import Example

EMBLEMS = "emblems"
GRID, CLASSES = 3, 10

# Outlines of `ssl_jax.data.drawn.clips` and their rotations in degrees that give different signs.
TURNS = {
    "disc": (0,),
    "ring": (0,),
    "cross": (0, 45),
    "triangle": (0, 90, 180, 270),
    "bar": (0, 45, 90, 135),
    "pair": (0, 45, 90, 135),
}
SIGNS = tuple((shape, turn) for shape, turns in TURNS.items() for turn in turns)
PLANS = tuple(np.random.default_rng(label).permutation(len(SIGNS))[: GRID**2] for label in range(CLASSES))


class Emblems(Drawn):
    """`size` images of 10 plans, `[side, side, 1]`. Classes take turns. Attributes are those of a `Source`."""

    def __init__(self, *, size: int = 512, side: int = 42, seed: int = 0):
        names = [f"plan {label}" for label in range(CLASSES)]
        super().__init__(EMBLEMS, names, (side, side, 1), size=size, seed=seed)

    def __getitem__(self, number: int) -> Example:
        label, random = self.begin(number)
        side = self.image_shape[0]
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        slope = random.uniform(-0.1, 0.1, 2)
        image = 0.5 + slope[0] * (y - 0.5) + slope[1] * (x - 0.5)
        for position, sign in enumerate(PLANS[label]):
            middle = (np.array(divmod(position, GRID)) + 0.5) / GRID + random.uniform(-0.015, 0.015, 2)
            contrast = random.choice([-1, 1]) * random.uniform(0.25, 0.4)
            shape, turn = SIGNS[sign]
            inside = _sign(shape, turn, y - middle[0], x - middle[1], random)
            if random.uniform() < 0.9:
                image = image + contrast * inside
        image = image + random.normal(scale=0.12, size=image.shape)
        return {"image": (255 * image.clip(0, 1)).round().astype(np.uint8)[..., None], "label": np.int32(label)}


def _sign(
    shape: str, turn: int, y: NDArray[np.floating], x: NDArray[np.floating], random: np.random.Generator
) -> NDArray[np.bool_]:
    """Mask of the pixels that a sign covers whose centre is at 0, in units of the image's side."""
    radius, angle = random.uniform(0.12, 0.15), np.radians(turn + random.uniform(-12, 12))
    right, down = x / radius, y / radius
    return OUTLINES[shape](np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right)
