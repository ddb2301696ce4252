"""The sections of the features: neighbours before and after training, the map of the embeddings.

q: test images; k: neighbours; m: embeddings; D: their dimension. Images are uint8 [H, W, C].
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ssl_jax.report.captions import Caption
from ssl_jax.report.charts import MOST_NAMED, class_name, color, scatter
from ssl_jax.report.html import Html, tag
from ssl_jax.report.projection import embedding_map
from ssl_jax.report.reading import Pictures

MOST_IMAGES, MOST_NEIGHBORS, MOST_POINTS, MOST_SIDE = 10, 6, 1500, 128
MAP_IMAGES, MAP_SIDE = 150, 60  # In a map without classes: images, and pixels of a side, twice those on the screen.
SMALL = 64  # Images up to this side are shown with sharp pixels and stored without loss.

TESTED = (
    "The training images with the features most similar to those of a test image: training {} should make images of one "
    "class neighbours."
)
UNLABELLED = "The images with the features most similar to those of the image on the left: they should show the same."
MAP = (
    "Each dot is a test image, near those with similar features (t-SNE); colours are classes, which training {}. "
    "Good features give clusters of one colour. Axes and large distances have no meaning."
)
PLAIN_MAP = (
    "Each image lies near those with similar features (t-SNE); dots are further images. After training, neighbours should show "
    "the same things. Axes and large distances have no meaning."
)


def neighbors(pictures: Pictures, caption: Caption) -> Html | None:
    """Each test image with its nearest neighbours among the training images, before and after pre-training."""
    times = [time for time in ("before", "after") if f"neighbors_{time}" in pictures]
    if "query" not in pictures or not times:
        return None
    query, names = pictures["query"][:MOST_IMAGES], class_names(pictures)
    labels = labels_of(pictures, "query", query.shape[:1])[:MOST_IMAGES]
    seen = TESTED.format("with labels" if caption.labels else "without labels")
    cells = [
        tag("h3", "Test" if (labels >= 0).any() else "Image"),
        *(_heading(time, pictures, labels) for time in times),
    ]
    for row, (image, label) in enumerate(zip(query, labels, strict=True)):
        name = class_name(label, names) if label >= 0 else None
        cells.append(tag("div", thumbnail(image, name or ""), name, class_="query"))
        cells += [_strip(time, pictures, row, label, names, last=time == times[-1]) for time in times]
    frames = {"right": "correct class", "wrong": "wrong class, with its name"}
    key = [tag("span", text, class_=f"key frame {style}") for style, text in frames.items() if (labels >= 0).any()]
    return tag(
        "section",
        tag("h2", "Nearest neighbours, before and after"),
        tag("p", caption.words(seen if (labels >= 0).any() else UNLABELLED), class_="see"),
        tag("p", *key) if key else None,
        tag("div", *cells, class_="neighbors", style=f"--times: {len(times)}"),
    )  # fmt: skip


def embeddings(pictures: Pictures, caption: Caption) -> Html | None:
    """The map of the test features, after pre-training and, if available, before."""
    times = {"Before training": "embedding_before", "After training": "embedding"}
    found = {title: pictures[name] for title, name in times.items() if usable(pictures.get(name))}
    if not found:
        return None
    names, labelled = class_names(pictures), bool((pictures.get("embedding_label", np.empty(0)) >= 0).any())
    used = "uses" if caption.labels else "does not use"
    maps = [tag("div", tag("h3", title), _map(title, features, pictures, names)) for title, features in found.items()]
    return tag(
        "section",
        tag("h2", caption.words("A map of the test images" if labelled else "A map of the images")),
        tag("p", caption.words(MAP.format(used) if labelled else PLAIN_MAP), class_="see"),
        legend(pictures, names) if labelled else None,
        tag("div", *maps, class_="maps"),
    )  # fmt: skip


def legend(pictures: Pictures, names: Sequence[str]) -> Html | None:
    """The colours of the classes in a map; None where there are more than names in it."""
    classes = [int(label) for label in np.unique(pictures["embedding_label"]) if label >= 0]
    spans = [tag("span", tag("i", class_=f"disc {color(label)}"), class_name(label, names)) for label in classes]
    return tag("p", *spans, class_="legend") if len(classes) <= MOST_NAMED else None


def class_names(pictures: Pictures) -> list[str]:
    """The names of the classes in order of their labels; none where the run has none."""
    return [str(name) for name in pictures.get("class_names", ())]


def usable(features: np.ndarray | None) -> bool:
    """Whether a map can be made of these features: at least two, all of them finite."""
    return features is not None and len(features) > 1 and bool(np.isfinite(features).all())


def thumbnail(image: np.ndarray, description: str = "", *, most: int = MOST_SIDE) -> Html:
    """An inline image: lossless PNG when small, else a JPEG of at most this many pixels a side."""
    small = max(image.shape[:2]) <= SMALL
    return tag("img", src=address(image, most=most), alt=description, class_="small" if small else None)


def address(image: np.ndarray, *, most: int) -> str:
    """The image itself as an address, as `thumbnail` stores it."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] < 3 else image[..., :3])
    small = max(picture.size) <= min(SMALL, most)
    if not small:
        picture.thumbnail((most, most))
    file = io.BytesIO()
    kind = "png" if small else "jpeg"
    picture.save(file, format=kind, optimize=True, quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def labels_of(pictures: Pictures, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The labels of these images or embeddings; -1 (unlabelled) where the run has none."""
    return pictures.get(f"{name}_label", np.full(shape, -1))


def _heading(time: str, pictures: Pictures, labels: np.ndarray) -> Html:
    name = f"neighbors_{time}"
    found = labels_of(pictures, name, pictures[name].shape[:2])[: len(labels), :MOST_NEIGHBORS]
    right = f"{int((found == labels[:, None]).sum())} of {found.size} correct"
    labelled = (labels >= 0).all() and (found >= 0).all()
    return tag("h3", f"{time.capitalize()} training", tag("span", right) if labelled else None)


def _strip(time: str, pictures: Pictures, row: int, label: int, names: Sequence[str], *, last: bool) -> Html:
    images = pictures[f"neighbors_{time}"]
    found = labels_of(pictures, f"neighbors_{time}", images.shape[:2])
    pairs = zip(images[row, :MOST_NEIGHBORS], found[row, :MOST_NEIGHBORS], strict=True)
    frames = [_frame(image, theirs, label, names) for image, theirs in pairs]
    return tag("div", tag("div", *frames, class_="strip"), class_="time last" if last else "time", data_time=time)


def _frame(image: np.ndarray, theirs: int, label: int, names: Sequence[str]) -> Html:
    """A neighbour: with a frame when both labels exist, and with the name of its class when that differs."""
    if min(theirs, label) < 0:
        return tag("div", thumbnail(image), class_="frame")
    name = class_name(theirs, names)
    note = None if theirs == label else tag("span", name)
    return tag("div", thumbnail(image, name), note, class_=f"frame {'wrong' if note else 'right'}", title=name)


def _map(title: str, features: np.ndarray, pictures: Pictures, names: Sequence[str]) -> Html:
    labels = labels_of(pictures, "embedding", features.shape[:1])
    some = np.unique(np.linspace(0, len(features) - 1, MOST_POINTS).round().astype(int))
    images = [
        (int(np.searchsorted(some, row)), address(image, most=MAP_SIDE))
        for row, image in zip(spread(len(features)), pictures.get("embedding_image", ()), strict=False)
        if row in some
    ]
    title = f"Map of the features, {title.lower()}"
    return scatter(embedding_map(features[some]), labels[some], names, title=title, images=images)


def spread(count: int) -> np.ndarray:
    """The rows of `count` embeddings whose images are in a map without classes, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, MAP_IMAGES).round().astype(int))
