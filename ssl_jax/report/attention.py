"""Attention maps of a vision transformer over its images, and alignments of two sequences as a matrix.

L: blocks; B: images; H: heads; g, h: rows and columns of patches, `grid`; T: tokens: the class token if there is one,
registers, and the patches, row by row. Attention weights of each query sum to 1. All in numpy.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ssl_jax.report.figures import STYLE
from ssl_jax.report.html import Html, join, tag
from ssl_jax.report.pictures import thumbnail
from ssl_jax.report.reading import Pictures

MOST_IMAGES, MOST_HEADS = 8, 6  # With more heads only the mean is drawn.
AMBER, COVER, DIM = (
    np.array([255.0, 176, 32]),
    0.85,
    0.6,
)  # Opacity of the largest attention over the dimmed grayscale image.
CELL, TOP, LEFT = 26, 66, 58


def rollout(attentions: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """Attention rollout, the share of each token in the features through all blocks: `[L, B, H, T, T]` -> `[B, T]`.

    A block passes one half of its input through its residual connection, and mixes the other half by the mean of its
    heads. Rows sum to 1; if each token attends to itself alone, the class token has all of it, or each patch 1/T.

    Source: Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928.
    """
    size, tokens = attentions.shape[1], attentions.shape[-1]
    arriving = np.tile(_reading(tokens, grid), (size, 1, 1))
    for mixing in attentions.mean(axis=2, dtype=np.float64)[::-1]:
        passed = mixing + np.eye(tokens)
        arriving = arriving @ (passed / passed.sum(axis=-1, keepdims=True))
    return arriving[:, 0]


def attention_maps(attentions: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """Attention of the last block to each patch, at the output of the features: `[L, B, H, T, T]` -> `[B, H, g, h]`.

    Attention to the class token and registers is left out, so that the sum of a map is at most 1.
    """
    return on_grid(_reading(attentions.shape[-1], grid) @ attentions[-1], grid=grid)[:, :, 0]


def on_grid(rows: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """The values of the patches among those of all tokens: `[..., T]` -> `[..., g, h]`."""
    return rows[..., rows.shape[-1] - math.prod(grid) :].reshape(*rows.shape[:-1], *grid)


def _reading(tokens: int, grid: tuple[int, int]) -> np.ndarray:
    """The weights `[1, T]` of the tokens in the features: the class token alone, or without one, the mean of all.

    Raises:
      ValueError: fewer tokens than patches.
    """
    if tokens < (patches := math.prod(grid)):
        raise ValueError(
            f"attention: a grid of {grid[0]} x {grid[1]} patches has {patches} tokens or more, got {tokens}"
        )
    return np.eye(1, tokens) if tokens > patches else np.full((1, tokens), 1 / tokens)


def heat(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The grayscale image, uint8 `[H, W, 3]`, with each patch coloured by its weight in `[g, h]`."""
    least, range_ = weights.min(), np.ptp(weights)
    level = (weights - least) / range_ if range_ > 1e-5 * abs(least) else np.zeros_like(weights)
    level = np.kron(level, np.ones(np.array(image.shape[:2]) // level.shape))[..., None]
    grey = DIM * image.mean(axis=-1, keepdims=True)
    return np.round(grey + COVER * level * (AMBER.reshape(1, 1, 3) - grey)).astype(np.uint8)


def section(pictures: Pictures) -> Html | None:
    """Images in columns; below each, in colour, the attention of the heads of the last block, and the rollout."""
    names = ("attention_image", "attention", "rollout")
    if any(name not in pictures or not np.isfinite(pictures[name]).all() for name in names):
        return None
    images, heads, rolled = (pictures[name][:MOST_IMAGES] for name in names)
    if (
        images.shape[1] % rolled.shape[1] or images.shape[2] % rolled.shape[2]
    ):  # Patches are not a whole number of pixels.
        return None
    maps = {f"Head {number + 1}": heads[:, number] for number in range(heads.shape[1])}
    if not 1 < len(maps) <= MOST_HEADS:
        maps = {"Mean of heads": heads.mean(axis=1)}
    strips: dict[str, Iterable[Html]] = {"Image": map(thumbnail, images)}
    for name, weights in (maps | {"Roll-out": rolled}).items():
        strips[name] = (thumbnail(heat(image, each), name) for image, each in zip(images, weights, strict=True))
    return tag(
        "section",
        tag("h2", "Attention maps"),
        tag("p", "Colour is attention: below each image, the attention of the last block's heads for its features, "
            "and in the rollout, the share of each patch through all blocks. Good heads separate the "
            "object from its background, or attend to its parts.", class_="see"),
        tag("p", "least", tag("i"), "most of each map", class_="heat"),
        tag("div", *(join(tag("h3", name), tag("div", *strip, class_="strip")) for name, strip in strips.items()),
            class_="looks", style=f"--n: {len(images)}"),
    )  # fmt: skip


def alignment_matrix(weights: np.ndarray, *, rows: Sequence[str], columns: Sequence[str], title: str) -> Html:
    """The attention of each of T symbols to S symbols as a separate SVG file, for `write_svg`; colour shows the weight.

    Args:
      weights: `[T, S]` in [0, 1], such as the "alignment" that a sequence network records, without padding.
      rows: the T symbols of the queries, from the top, such as sounds.
      columns: the S symbols of the keys, from the left, such as letters.

    Raises:
      ValueError: the numbers of symbols and of weights differ.
    """
    if weights.shape != (len(rows), len(columns)):
        raise ValueError(f"alignment_matrix: {len(rows)} rows and {len(columns)} columns, got weights {weights.shape}")
    right, below = LEFT + CELL * len(columns), TOP + CELL * len(rows)
    middles = [LEFT + CELL * (column + 0.5) for column in range(len(columns))]
    lines = [TOP + CELL * (row + 0.5) + 4.5 for row in range(len(rows))]
    cells = [
        tag("rect", tag("title", f"{rows[row]} attends to {columns[column]}: {weights[row, column]:.2f}"),
            x=LEFT + CELL * column + 1, y=TOP + CELL * row + 1, width=CELL - 2, height=CELL - 2, rx=3,
            fill="#1f6fb2", fill_opacity=f"{weights[row, column]:.3f}", class_="mark")
        for row, column in np.argwhere(weights >= 0.005)
    ]  # fmt: skip
    ground = tag("rect", x=LEFT, y=TOP, width=right - LEFT, height=below - TOP, rx=4, fill="#808890", fill_opacity=0.1)
    width = max(right + 12, 20 + 9 * len(title))
    return tag(
        "svg", tag("style", Html(STYLE)), tag("text", title, x=8, y=22, class_="title"), ground, *cells,
        *(tag("text", name, x=x, y=TOP - 9, class_="middle") for name, x in zip(columns, middles, strict=True)),
        *(tag("text", name, x=LEFT - 9, y=y, class_="end") for name, y in zip(rows, lines, strict=True)),
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {below + 12}", width=width, role="img", aria_label=title,
    )  # fmt: skip
