"""The pictures of a run as single images, for TensorBoard and other trackers, which have no page.

n: rows; k: columns; m: embeddings; D: their dimension.
"""

import re

import numpy as np
from PIL import Image, ImageDraw

from ssl_jax.report.pictures import MOST_IMAGES, labels_of, usable
from ssl_jax.report.projection import embedding_map
from ssl_jax.report.reading import LAYOUT, Pictures
from ssl_jax.report.style import STYLE

COLORS = re.findall(r"\.c\d+ \{ color: (#\w{6})", STYLE)  # Of the classes, as in the page.
SIDE, DISC, MOST_POINTS = 480, 3, 500  # Pixels of a map and of a disc's radius; t-SNE's time grows with the square.


def sheets(pictures: Pictures) -> dict[str, np.ndarray]:
    """Images uint8 [H, W, 3] by name: views, neighbours, prototypes and the like as grids, and maps of the embeddings.

    A grid has a row for each example: the original before its views, the query before its neighbours.
    """
    grids = {name: pictures[name] for name, (_, axes) in LAYOUT.items() if name in pictures and len(axes) == 5}
    for first, names in (("views_original", ["views"]), ("query", ["neighbors_before", "neighbors_after"])):
        for name in names:
            if name in grids and first in pictures and pictures[first].shape[1:] == grids[name].shape[2:]:
                grids[name] = np.concatenate([pictures[first][:, None], grids[name]], axis=1)
    maps = {
        name.replace("embedding", "map"): embeddings_map(features, labels_of(pictures, "embedding", features.shape[:1]))
        for name, features in histograms(pictures).items()
    }
    return {name: grid(images) for name, images in grids.items()} | maps


def histograms(pictures: Pictures) -> dict[str, np.ndarray]:
    """The embeddings, before and after training, whose values show their spread."""
    return {name: pictures[name] for name in ("embedding_before", "embedding") if usable(pictures.get(name))}


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 `[n, k, H, W, C]` -> `[n (H + 1) + 1, k (W + 1) + 1, 3]`, white lines between; at most 10 rows and columns."""
    images = images[:MOST_IMAGES, :MOST_IMAGES]
    images = images[..., :3] if images.shape[-1] >= 3 else np.repeat(images[..., :1], 3, axis=-1)
    rows, columns, height, width, _ = images.shape
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 255, np.uint8)
    cells = np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 1), (0, 0)), constant_values=255)
    sheet[1:, 1:] = cells.transpose(0, 2, 1, 3, 4).reshape(len(sheet) - 1, -1, 3)
    return sheet


def embeddings_map(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[m, D]` and the classes `[m]`, -1 where unlabelled -> the map of at most 500 of them, uint8 [480, 480, 3]."""
    some = np.unique(np.linspace(0, len(features) - 1, MOST_POINTS).round().astype(int))
    places = embedding_map(features[some])
    low, high = places.min(axis=0), places.max(axis=0)
    places = 2 * DISC + (places - low) / np.maximum((high - low).max(), 1e-12) * (SIDE - 4 * DISC)
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(picture)
    for (x, y), label in zip(places, labels[some], strict=True):
        color = COLORS[label % len(COLORS)] if label >= 0 else "gray"
        draw.ellipse((x - DISC, y - DISC, x + DISC, y + DISC), fill=color)
    return np.asarray(picture)
