"""Where text of charts stands, so that it covers neither other text nor a curve. All in units of the chart.

A box is its left, top, right and bottom.
"""

from collections.abc import Sequence

import numpy as np

LETTER, BOLD, LINE = 6.4, 7.4, 13.0  # Widths of a character, plain and bold, and the height of a line, at most.
GAP = 5.0  # Between a line and the text at it.
Box = tuple[float, float, float, float]


def beside_curves(
    lines: Sequence[tuple[str, float]], curves: Sequence[np.ndarray], *, left: float, right: float, bottom: float
) -> list[tuple[float, float]]:
    """The end (right) and the base line of the name of each horizontal line, `(name, y)`.

    Above or below its line, at the right or at the left: the first that no curve passes, else the one with the fewest points.

    Args:
      curves: points `[P, 2]` of each.
      left, right, bottom: of the chart's area.
    """
    points = np.concatenate([dense(curve) for curve in curves])
    taken: list[Box] = []
    ends = []
    for name, y in lines:
        width = LETTER * len(name)
        spots = [(end, y + down) for end in (right, left + width) for down in (-GAP, LINE)]
        boxes = [(end - width, base - LINE, end, base + 2) for end, base in spots]
        costs = [
            int(_inside(points, box).sum())
            + 1000 * sum(overlap(box, other) for other in taken)
            + 1000 * (box[3] > bottom)
            for box in boxes
        ]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        ends.append(spots[best])
    return ends


def apart(spots: Sequence[np.ndarray], names: Sequence[str], *, size: float) -> list[np.ndarray]:
    """The middles of names, as near to their spots as they do not cover one another, in a square of this side."""
    taken: list[Box] = []
    middles = []
    for (x, y), name in zip(spots, names, strict=True):
        half = max(BOLD * len(name) / 2, 7)
        moves = sorted((step * LINE / 2 for step in range(-20, 21)), key=abs)
        heights = [height for move in moves if LINE <= (height := y + move) <= size - LINE] or [y]
        boxes = [(x - half, height - LINE / 2, x + half, height + LINE / 2) for height in heights]
        free = next((number for number, box in enumerate(boxes) if not any(overlap(box, other) for other in taken)), 0)
        taken.append(boxes[free])
        middles.append(np.array([x, heights[free]]))
    return middles


def dense(curve: np.ndarray) -> np.ndarray:
    """Points `[P, 2]` of a curve in order of x, with those between them every two units."""
    across = np.arange(curve[0, 0], curve[-1, 0] + 2, 2.0)
    return np.stack([across, np.interp(across, curve[:, 0], curve[:, 1])], axis=1)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share an area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(points: np.ndarray, box: Box) -> np.ndarray:
    left, top, right, bottom = box
    x, y = points.T
    return (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
