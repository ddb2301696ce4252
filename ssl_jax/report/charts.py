"""Charts as inline SVG: the page's style sheet has their colours, for light and dark mode.

M: points of a map. A series is a list of (step, value) with finite values.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ssl_jax.report.html import Html, join, tag
from ssl_jax.report.labels import apart, beside_curves

Series = list[tuple[int, float]]
WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 16, 24
COLORS = 10  # The eleventh class has the first colour again, as squares; in the map up to twice as many have names.
MOST_NAMED = 2 * COLORS
SHORT = 3  # Characters of a name in large type, where all are short.
LEAST_SPAN = 1e-300  # Below it, thirds and powers of ten lose their digits.


def short(value: float, *, digits: int = 4) -> str:
    """A value with few digits: 12,345 or 95.12 or 0.003; with a typographic minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")


class Line(NamedTuple):
    """A curve of a chart. style: CSS classes. name: shown where the pointer is on it; "" for none."""

    series: Series
    style: str = "curve"
    name: str = ""


def line_chart(
    series: Series, *, title: str, references: Sequence[tuple[str, float]] = (), write: Callable[[float], str] = short
) -> Html:
    """One curve over steps. references: (name, value) of dashed lines for comparison; write: formats a value."""
    step, value = series[-1]
    label = f"{title}: {write(value)} at step {step:,.0f}"
    return lines_chart([Line(series)], label=label, references=references, write=write, dots=30)


def lines_chart(
    lines: Sequence[Line],
    *,
    label: str,
    references: Sequence[tuple[str, float]] = (),
    write: Callable[[float], str] = short,
    dots: int = 1,
    buckets: int = 400,
) -> Html:
    """Curves over steps on common axes.

    Args:
      label: the chart in words.
      references: (name, value) of dashed lines for comparison.
      write: formats a value.
      dots: curves of at most so many points show each of them, longer ones show none but the last; none where it is 1.
      buckets: as in `thin`, for each curve.
    """
    points = [np.array(thin(line.series, buckets=buckets), dtype=float) for line in lines]
    references = sorted(references, key=lambda reference: reference[1])
    levels = [value for _, value in references]
    steps, values = np.concatenate(points).T
    first, last = steps.min(), steps.max()
    marks = ticks(min([*values, *levels]), max([*values, *levels]))
    low, high = marks[0], marks[-1]

    def y(value):
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def spots_of(of: np.ndarray) -> np.ndarray:
        x = LEFT + (of[:, 0] - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)
        return np.stack([x, y(of[:, 1])], axis=1)

    def drawn(line: Line, of: np.ndarray) -> Html:
        spots = [f"{across:.1f},{down:.1f}" for across, down in of]
        dotted = spots if len(spots) <= dots else spots[-1:] if dots > 1 else []
        return tag(
            "g",
            tag("title", line.name) if line.name else None,
            tag("polyline", points=" ".join(spots), class_=line.style),
            tag("path", d="".join(map(_dot, dotted)), class_=f"dots {line.style}") if dotted else None,
        )

    curves = [spots_of(of) for of in points]
    named = [(name, y(value)) for name, value in references]
    ends = beside_curves(named, curves, left=LEFT, right=WIDTH - RIGHT, bottom=HEIGHT - BOTTOM)
    return tag(
        "svg",
        *(_level(y(mark), write(mark)) for mark in marks),
        *(_reference(level, name, end) for (name, level), end in zip(named, ends, strict=True)),
        tag("text", f"{first:,.0f}", x=LEFT, y=HEIGHT - 6) if first < last else None,
        tag("text", f"step {last:,.0f}", x=WIDTH - RIGHT, y=HEIGHT - 6, class_="end"),
        *map(drawn, lines, curves),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label,
    )  # fmt: skip


def scatter(
    positions: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    title: str,
    images: Sequence[tuple[int, str]] = (),
    size: int = 480,
) -> Html:
    """Positions `[M, 2]` as dots coloured by class, each class's name at its medoid; label -1 is grey.

    images: rows of positions that are shown as an image instead, each with the address of the image.
    """
    centered = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    spots = size / 2 + centered / (np.abs(centered).max() or 1) * (size / 2 - 14)
    classes = [int(label) for label in np.unique(labels)]
    named = [label for label in classes if label >= 0] if len(classes) <= MOST_NAMED else []
    middles = [_middle(spots[labels == label]) for label in named]
    written = [class_name(label, names) for label in named]
    long, places = any(len(name) > SHORT for name in written), apart(middles, written, size=size)
    return tag(
        "svg",
        *(_cloud(spots[labels == label], label, names) for label in classes),
        *(_image(spots[row], address) for row, address in images),
        *(_name(spot, name, size, long=long) for spot, name in zip(places, written, strict=True)),
        viewBox=f"0 0 {size} {size}", role="img", aria_label=title, class_="map",
    )  # fmt: skip


def ticks(low: float, high: float, *, about: int = 3) -> list[float]:
    """Round numbers, with a spacing of 1, 2 or 5 times a power of ten, that span `low` to `high`."""
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, LEAST_SPAN):
        around = (size if size > LEAST_SPAN else 1) / 2
        low, high = low - around, high + around
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    spacing = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    return [number * spacing for number in range(math.floor(low / spacing), math.ceil(high / spacing) + 1)]


def thin(series: Series, *, buckets: int = 400) -> Series:
    """At most two points a bucket, the lowest and the highest, so that spikes stay visible in runs of any length."""
    if len(series) <= 2 * buckets:
        return series
    positions = np.array_split(np.arange(len(series)), buckets)
    values = np.array([value for _, value in series])
    kept = {int(part[pick(values[part])]) for part in positions for pick in (np.argmin, np.argmax)} | {
        0,
        len(series) - 1,
    }
    return [series[index] for index in sorted(kept)]


def _level(y: float, text: str) -> Html:
    return join(
        tag("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="grid"),
        tag("text", text, x=LEFT - 6, y=f"{y + 4:.1f}", class_="end"),
    )


def _reference(y: float, name: str, end: tuple[float, float]) -> Html:
    line = tag("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="reference")
    return join(line, tag("text", name, x=f"{end[0]:.1f}", y=f"{end[1]:.1f}", class_="end halo"))


def _dot(point: str) -> str:
    """A line of zero length: with a round cap it is a disc, in a quarter of the bytes of a circle element."""
    return f"M{point}h0"


def _cloud(spots: np.ndarray, label: int, names: Sequence[str]) -> Html:
    dots = tag("path", d="".join(_dot(f"{x:.1f},{y:.1f}") for x, y in spots), class_=f"dots {color(label)}")
    return tag("g", tag("title", class_name(label, names)), dots)


def _image(spot: np.ndarray, address: str, *, side: int = 30) -> Html:
    x, y = (f"{middle - side / 2:.1f}" for middle in spot)
    return tag("image", href=address, x=x, y=y, width=side, height=side)


def _middle(spots: np.ndarray) -> np.ndarray:
    """The medoid, since the mean of the spots may lie among those of another class."""
    return spots[np.linalg.norm(spots[:, None] - spots, axis=-1).sum(axis=1).argmin()]


def _name(spot: np.ndarray, name: str, size: int, *, long: bool) -> Html:
    """A name centred on its spot; where some are long, smaller, and aligned to stay inside near the sides."""
    x, y = spot
    side = " start" if x < size / 4 else " end" if x > size * 3 / 4 else ""
    style = f"name halo long{side}" if long else "name halo"
    return tag("text", name, x=f"{x:.1f}", y=f"{y + 5:.1f}", class_=style)


def color(label: int) -> str:
    """The CSS classes with the colour of a label; with more labels than colours, every second ten are squares."""
    return f"c{label % COLORS}{' square' * (label // COLORS % 2)}" if label >= 0 else "unlabelled"


def class_name(label: int, names: Sequence[str]) -> str:
    """The name of a label's class, the label itself where it has none."""
    return names[label] if 0 <= label < len(names) else ("no label" if label < 0 else str(label))
