"""The images nearest to a query: a self-contained page, or a picture.

H, W: height and width of an image in pixels, which may differ from image to image.
"""

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ssl_jax.report.html import Html, document, tag
from ssl_jax.report.pictures import SMALL, thumbnail
from ssl_jax.report.style import STYLE

SIDE = 256  # Pixels of a side of an image in the page, twice those on the screen.
SHEET_STYLE = """
.found { display: grid; grid-template-columns: 200px 1fr; gap: 36px; margin-top: 44px; align-items: start; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 22px 16px; }
.card p { margin: 0; font-size: 14px; line-height: 1.4; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.card img { margin-bottom: 6px; }
.card p:first-of-type { display: flex; justify-content: space-between; font-weight: 600; }
.card p span { font-weight: 400; color: var(--soft); }
.card .name { color: var(--soft); }
@media (max-width: 640px) { .found { grid-template-columns: 1fr; gap: 24px; } .found > .card { max-width: 160px; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(92px, 1fr)); gap: 16px 10px; } }
"""
CELL, GAP, LINE, MARGIN, COLUMNS = 144, 16, 18, 24, 5  # Pixels of the picture, and images in a row.
INK, SOFT, PAPER, WASH = "#1c1e21", "#63676d", "#ffffff", "#f5f6f7"


class Shown(NamedTuple):
    """An image `[H, W, 1 or 3]` uint8, its name, its class, "" if it has none, and its cosine, None for the query."""

    image: NDArray[np.uint8]
    name: str
    label: str = ""
    cosine: float | None = None


def neighbors_page(query: Shown, found: Sequence[Shown], *, about: Sequence[str]) -> Html:
    """A page with the query and the images that were found, the nearest first. about: facts, such as the data searched in."""
    title = f"{_counted(found)} nearest to {_short(query.name)}"
    cards = [_card(each, rank) for rank, each in enumerate(found, 1)]
    return document(
        title,
        STYLE + SHEET_STYLE,
        tag("h1", title),
        tag("p", *(tag("span", fact) for fact in about), class_="facts"),
        tag("div", _card(query, "Query"), tag("div", *cards, class_="cards"), class_="found"),
    )


def neighbors_picture(query: Shown, found: Sequence[Shown], *, about: Sequence[str]) -> Image.Image:
    """The same as one picture: the query on the left, rows of five images on its right."""
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    top = MARGIN + 58
    step = CELL + GAP, CELL + 3 * LINE + GAP + 4
    left = MARGIN + step[0] + GAP
    width = max(left + columns * step[0] - GAP + MARGIN, 640)
    sheet = Image.new("RGB", (width, top + rows * step[1] - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(
        draw, (MARGIN, MARGIN - 4), f"{_counted(found)} nearest to {_short(query.name)}", 20, INK, width - 2 * MARGIN
    )
    _write(draw, (MARGIN, MARGIN + 26), "   ".join(about), 13, SOFT, width - 2 * MARGIN)
    _paste(sheet, draw, (MARGIN, top), query, "Query")
    for number, each in enumerate(found):
        row, column = divmod(number, columns)
        _paste(sheet, draw, (left + column * step[0], top + row * step[1]), each, f"{each.cosine:.3f}")
    return sheet


def _card(shown: Shown, rank: object) -> Html:
    value = None if shown.cosine is None else f"{shown.cosine:.3f}"
    first = [value, tag("span", rank)] if value else [rank]
    return tag(
        "div",
        thumbnail(shown.image, shown.name, most=SIDE),
        tag("p", *first),
        tag("p", shown.label) if shown.label else None,
        tag("p", _short(shown.name), class_="name"),
        class_="card",
        title=shown.name,
    )


def _paste(sheet: Image.Image, draw: ImageDraw.ImageDraw, spot: tuple[int, int], shown: Shown, first: str) -> None:
    image = Image.fromarray(shown.image[..., 0] if shown.image.shape[-1] < 3 else shown.image[..., :3]).convert("RGB")
    kind = Image.Resampling.NEAREST if max(image.size) <= SMALL else Image.Resampling.LANCZOS
    width, height = (round(side * CELL / max(image.size)) for side in image.size)
    sheet.paste(image.resize((width, height), kind), (spot[0], spot[1] + CELL - height))
    lines = [(first, INK)] + [(shown.label, INK)] * bool(shown.label) + [(_short(shown.name), SOFT)]
    for number, (text, color) in enumerate(lines):
        _write(draw, (spot[0], spot[1] + CELL + 4 + number * LINE), text, 13, color, CELL)


def _write(draw: ImageDraw.ImageDraw, spot: tuple[int, int], text: str, size: int, color: str, width: int) -> None:
    """One line of text, cut off with an ellipsis at this width."""
    font = ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "...", font) > width:
            text = text[:-1]
        text += "..."
    draw.text(spot, text, color, font)


def _short(name: str) -> str:
    """The last part of a path; other names whole."""
    return PurePath(name).name or name


def _counted(found: Sequence[Shown]) -> str:
    return "The image" if len(found) == 1 else f"The {len(found)} images"
