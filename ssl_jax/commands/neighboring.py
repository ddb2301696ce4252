"""`ssl-jax neighbors`: the images nearest to an image by the cosine of their features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_jax.commands.embedding import table_of
from ssl_jax.commands.feature_files import FeatureTable
from ssl_jax.commands.loading import load
from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.commands.saved_run import open_parts_for
from ssl_jax.data import Source
from ssl_jax.data.pixels.formats import read_file
from ssl_jax.data.pixels.images import central_part
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import path_of, readable_indices
from ssl_jax.errors import UsageError, writing
from ssl_jax.files import printable, replacing, write_atomically, write_json
from ssl_jax.ranges import check_ranges
from ssl_jax.report.nearest import SIDE, Shown, neighbors_page, neighbors_picture
from ssl_jax.train.log import log_line

WRITTEN = (".html", ".png", ".json")


def neighbors(
    run: Path,
    query: Path,
    data: str | None = None,
    *,
    count: int = 10,
    output: Path | None = None,
    layer: str = "features",
    step: int | None = None,
) -> dict[str, Any]:
    """The images nearest to `query`, at most `count`, the nearest first: "path", "split", "label" and "cosine" of each.

    Args:
      data: a folder, an image file or a data set; the run's training images when None. The query itself is left out.
      output: a page (.html), a picture (.png), or the result (.json); nothing is written when None.

    Example:
      >>> found = neighbors(run, photo, "synthetic", count=2)
      >>> print(len(found["neighbors"]))
      2
    """
    check_ranges(count=count)
    seen = _checked(query, output)
    trained = load(str(run), step=step)
    parts = open_parts_for(data, trained.recipe, trained.state, layer=layer)
    parts = parts if data is not None else {"train": parts["train"]}
    if output is not None:
        check_writable(output)
    height, width = trained.image_shape[-3:-1]
    seen = seen._replace(image=central_part(read_file(query), most=SIDE, shape=(height, width)))
    of_query = trained.features(query, layer)
    searched = " and ".join(f"{len(part):,} images of {part.name}" for part in parts.values())
    log_line(f"searching {searched}")
    table = table_of(trained, parts, layer=layer)
    places = [(part, number) for part in parts.values() for number in readable_indices(part).tolist()]
    cosines = cosines_with(of_query, table.features)
    rows = _nearest(cosines, places, query, count)
    if not rows:
        raise UsageError(f"data: {parts['train'].name} holds no image but the query: name a folder of other images.")
    found = [_entry(table, row, cosines[row]) for row in rows]
    result = {"query": seen.name, "data": data or trained.recipe.data.name, "layer": layer, "neighbors": found}
    if output is not None:
        pictures = map(picture_of, *zip(*(places[row] for row in rows), strict=True))
        shown = [Shown(image, *_text(each)) for image, each in zip(pictures, found, strict=True)]
        _write(output, result, seen, shown, [f"among {searched}", f"cosine of {layer}, {run}"])
        log_line(f"wrote {printable(str(output))}")
    return result


def cosines_with(query: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of features `[N, D]` with those of the query `[D]`: `[N]` in [-1, 1], 0 for features that are all zero."""
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(query)
    return np.clip(features @ query / np.maximum(lengths, 1e-12), -1, 1)


def picture_of(source: Source, number: int) -> NDArray[np.uint8]:
    """An image to look at, uint8 `[H, W, 1 or 3]`: from its file where it has one, else of the size that the encoder takes."""
    path, (height, width) = path_of(source, number), source.image_shape[-3:-1]
    if path is None:
        return source[number]["image"]
    return central_part(read_file(path), most=SIDE, shape=(height, width))


def _checked(query: Path, output: Path | None) -> Shown:
    """The query to look at; before the run is opened, a `UsageError` if it cannot be read, or for an unknown kind of output."""
    if output is not None:
        check_ending(output, *WRITTEN)
    name = printable(str(query))
    try:
        return Shown(central_part(read_file(query), most=SIDE), name)
    except Unreadable as fault:
        raise UsageError(f"query: {name} cannot be read ({fault}): name an image file.") from fault


def _nearest(cosines: NDArray[np.float32], places: Sequence[tuple[Source, int]], query: Path, count: int) -> list[int]:
    """The rows of the largest cosines, at most `count`, without that of the query's own file."""
    rows: list[int] = []
    for row in np.argsort(-cosines, kind="stable").tolist():
        path = path_of(*places[row])
        if path is None or not path.samefile(query):
            rows.append(row)
        if len(rows) == count:
            break
    return rows


def _entry(table: FeatureTable, row: int, cosine: np.float32) -> dict[str, Any]:
    about = {"path": table.names[row], "split": table.splits[row], "label": table.labels[row]}
    return about | {"cosine": round(float(cosine), 6)}


def _text(found: dict[str, Any]) -> tuple[str, str, float]:
    return found["path"], found["label"], found["cosine"]


def _write(output: Path, result: dict[str, Any], query: Shown, found: list[Shown], about: list[str]) -> None:
    with writing("output", output, "free disk space, or name another file"):
        if output.suffix == ".json":
            write_json(output, result)
        elif output.suffix == ".html":
            write_atomically(output, neighbors_page(query, found, about=about))
        else:
            with replacing(output) as draft:
                neighbors_picture(query, found, about=about).save(draft, "PNG")
