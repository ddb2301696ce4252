"""Figures of experiments: several curves in one chart, a matrix of weights, rows of images; each an SVG file of its own.

They contain their colours, for light and dark mode.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_jax.files import write_atomically
from ssl_jax.report.charts import short, ticks
from ssl_jax.report.html import Html, tag

Curve = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 520, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 120, 34, 40
COLORS = ("#1f6fb2", "#c8501e", "#2f8f5b", "#8a56ac", "#b08a00", "#5b6b7a")
STYLE = """
svg { background: #fff; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
text { fill: #63676d; } .title { fill: #1c1e21; font-weight: 600; font-size: 15px; }
.grid { stroke: #e3e5e8; } .curve { fill: none; stroke-width: 2; } .end { text-anchor: end; } .middle { text-anchor: middle; }
image { image-rendering: pixelated; }
@media (prefers-color-scheme: dark) {
  svg { background: #15171a; } text { fill: #9a9fa6; } .title { fill: #e8e8e6; } .grid { stroke: #2c3036; }
  .curve, .mark { filter: brightness(1.35); }
}
"""


def lines(
    curves: Mapping[str, Curve],
    *,
    title: str,
    across: str,
    up: str,
    log: bool = False,
    low: float | None = None,
    names: Mapping[float, str] | None = None,
    dashes: Mapping[str, str] | None = None,
) -> Html:
    """Curves by name, `(x, y)` in order of x, each with its name at its end.

    Args:
      across: label of the x axis.
      up: label of the y axis, after the title.
      log: the x axis is logarithmic.
      low: start of the y axis; the lowest value when None.
      names: names to show on the x axis, instead of values.
      dashes: SVG's `stroke-dasharray` of curves by name, which distinguishes them without colour; others are solid.
    """
    coordinate = math.log10 if log else float
    points = [point for curve in curves.values() for point in curve]
    xs, ys = [coordinate(x) for x, _ in points], [y for _, y in points]
    marks = ticks(min(ys) if low is None else low, max(ys), about=4)
    left, right = min(xs), max(xs)

    def spot(x: float, y: float) -> tuple[float, float]:
        along = (coordinate(x) - left) / (right - left or 1)
        return (
            LEFT + along * (WIDTH - LEFT - RIGHT),
            TOP + (marks[-1] - y) / (marks[-1] - marks[0]) * (HEIGHT - TOP - BOTTOM),
        )

    ends = _separated([spot(*curve[-1])[1] for curve in curves.values()])
    drawn = []
    for (name, curve), end, color in zip(curves.items(), ends, COLORS, strict=False):
        spots = " ".join(f"{x:.1f},{y:.1f}" for x, y in (spot(*point) for point in curve))
        drawn.append(
            tag("polyline", points=spots, class_="curve", stroke=color, stroke_dasharray=(dashes or {}).get(name))
        )
        drawn.append(tag("text", name, x=WIDTH - RIGHT + 8, y=f"{end + 4:.1f}", class_="mark", style=f"fill: {color}"))
    first = next(iter(curves.values()))
    shown = sorted(names or {x for x, _ in (first if len(first) <= 8 else first[:: math.ceil(len(first) / 5)])})
    return framed(
        WIDTH, HEIGHT, f"{title}, {up}" if up else title,
        *(tag("path", d=f"M{LEFT} {spot(first[0][0], y)[1]:.1f}H{WIDTH - RIGHT}", class_="grid") for y in marks),
        *(tag("text", short(y), x=LEFT - 6, y=f"{spot(first[0][0], y)[1] + 4:.1f}", class_="end") for y in marks),
        *(tag("text", names[x] if names else short(x), x=f"{spot(x, 0)[0]:.1f}", y=HEIGHT - BOTTOM + 18, class_="middle")
          for x in shown),
        tag("text", across, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, class_="middle"),
        *drawn,
    )  # fmt: skip


def gallery(
    rows: Mapping[str, np.ndarray], *, title: str, notes: Mapping[str, Sequence[str]] | None = None, side: int = 44
) -> Html:
    """Rows of uint8 images `[N, H, W, C]`, each with its name in front and, if given, a note below each image.

    side: pixels of a side of a drawn image.
    """
    left, line = 170, side + 20
    parts: list[Html] = []
    for number, (name, images) in enumerate(rows.items()):
        y = TOP + 10 + number * line
        parts.append(tag("text", name, x=left - 10, y=y + side / 2 + 4, class_="end"))
        for column, image in enumerate(images):
            x = left + column * (side + 8)
            parts.append(tag("image", href=_png(image), x=x, y=y, width=side, height=side))
            if notes and name in notes:
                parts.append(tag("text", notes[name][column], x=x + side / 2, y=y + side + 13, class_="middle"))
    most = max(len(images) for images in rows.values())
    return framed(left + most * (side + 8) + 10, TOP + 10 + len(rows) * line, title, *parts)


def write_svg(path: Path, figure: Html) -> None:
    """Writes the figure atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, figure + "\n")


def framed(width: float, height: float, title: str, *parts: Html) -> Html:
    """A figure of this size with a title, in the colours of all figures."""
    return tag(
        "svg", tag("style", Html(STYLE)), tag("text", title, x=8, y=20, class_="title"), *parts,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:.0f} {height:.0f}", width=f"{width:.0f}",
        role="img", aria_label=title,
    )  # fmt: skip


def _separated(heights: list[float], least: float = 15.0, lowest: float = HEIGHT - BOTTOM) -> list[float]:
    """The same heights, moved down where names would overlap, but not below the axis: there, those above move up."""
    moved = dict.fromkeys(range(len(heights)), 0.0)
    in_order = sorted(moved, key=lambda number: heights[number])
    above = -math.inf
    for number in in_order:
        moved[number] = above = max(heights[number], above + least)
    below = lowest + least
    for number in reversed(in_order):
        moved[number] = below = min(moved[number], below - least)
    return list(moved.values())


def _png(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] < 3 else image[..., :3]).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
