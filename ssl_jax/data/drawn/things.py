"""Drawn things for scenes: twelve silhouettes in two colours, as functions of the plane.

`(x, y)` in units of a thing's radius, x to the right and y down -> 0 outside, 1 in the first colour, 2 in the second.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Parts = NDArray[np.uint8]


def _parts(first: NDArray[np.bool_], second: NDArray[np.bool_] | None = None) -> Parts:
    """1 in the first part, 2 in the second, which lies on top."""
    parts = first.astype(np.uint8)
    if second is not None:
        parts[second] = 2
    return parts


def _triangle(x: Floats, y: Floats, *, top: float, bottom: float, half: float) -> NDArray[np.bool_]:
    """With its tip at the top and a base of twice `half`."""
    return (y > top) & (y < bottom) & (np.abs(x) * (bottom - top) < half * (y - top))


def ball(x: Floats, y: Floats) -> Parts:
    inside = np.hypot(x, y) < 0.88
    return _parts(inside, inside & (np.abs(y) < 0.28))


def ring(x: Floats, y: Floats) -> Parts:
    inside = np.abs(np.hypot(x, y) - 0.68) < 0.25
    return _parts(inside, inside & (x * y > 0))


def cross(x: Floats, y: Floats) -> Parts:
    small, large = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    return _parts((small < 0.32) & (large < 0.95), large < 0.32)


def star(x: Floats, y: Floats) -> Parts:
    """Five points: each lies between two lines from its tip to the inner corners."""
    inner, wedge = 0.45, np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + wedge) % (2 * wedge) - wedge)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    corner = inner * np.cos(wedge), inner * np.sin(wedge)
    return _parts((along - 1) * corner[1] + across * (1 - corner[0]) < 0, radius < 0.25)


def heart(x: Floats, y: Floats) -> Parts:
    across, up = 1.18 * x, 0.1 - 1.18 * y
    return _parts((across**2 + up**2 - 1) ** 3 < across**2 * up**3)


def moon(x: Floats, y: Floats) -> Parts:
    return _parts((np.hypot(x, y) < 0.92) & (np.hypot(x - 0.42, y + 0.1) > 0.68))


def house(x: Floats, y: Floats) -> Parts:
    walls = (np.abs(x) < 0.65) & (y > -0.1) & (y < 0.85)
    return _parts(walls, _triangle(x, y, top=-0.95, bottom=0.0, half=0.95))


def tree(x: Floats, y: Floats) -> Parts:
    crown = _triangle(x, y, top=-0.98, bottom=0.1, half=0.55) | _triangle(x, y, top=-0.5, bottom=0.55, half=0.78)
    return _parts(crown, (np.abs(x) < 0.16) & (y >= 0.55) & (y < 0.98))


def fish(x: Floats, y: Floats) -> Parts:
    body = ((x - 0.2) / 0.72) ** 2 + (y / 0.5) ** 2 < 1
    return _parts(body, ~body & (x > -0.95) & (x < -0.3) & (np.abs(y) < -0.85 * (x + 0.25)))


def flower(x: Floats, y: Floats) -> Parts:
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return _parts(radius < 0.68 + 0.27 * np.cos(5 * angle), radius < 0.3)


def mushroom(x: Floats, y: Floats) -> Parts:
    cap = (np.hypot(x, y - 0.1) < 0.95) & (y < 0.1)
    return _parts(cap, (np.abs(x) < 0.26) & (y >= 0.1) & (y < 0.9))


def arrow(x: Floats, y: Floats) -> Parts:
    head = (x > 0.0) & (x < 0.95) & (np.abs(y) < 0.8 * (0.95 - x))
    return _parts((np.abs(y) < 0.24) & (x > -0.95) & (x <= 0.0), head)


# The most frequent of a scene first. Neighbours in this order differ in hue, see `ssl_jax.data.drawn.scenes`.
THINGS: dict[str, Callable[[Floats, Floats], Parts]] = {
    draw.__name__: draw for draw in (ball, tree, house, star, fish, flower, ring, mushroom, cross, heart, moon, arrow)
}
