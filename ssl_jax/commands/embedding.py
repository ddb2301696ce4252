"""`ssl-jax embed`: the features of all images of a data set, a folder or a file, in a file."""

from pathlib import Path

import numpy as np

from ssl_jax.commands.feature_files import WRITERS, FeatureTable
from ssl_jax.commands.loading import TrainedRun, load
from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.commands.saved_run import open_parts_for
from ssl_jax.data import Source
from ssl_jax.data.source import name_of
from ssl_jax.errors import UsageError, writing
from ssl_jax.files import printable, replacing
from ssl_jax.train.log import log_line


def embed(
    run: Path,
    data: str | None = None,
    *,
    output: Path,
    layer: str = "features",
    split: str | None = None,
    step: int | None = None,
) -> None:
    """Writes the frozen features of images: a row for each that can be read, in order of their parts and names.

    Args:
      data: a folder, an image file or a data set; the run's own when None.
      output: ends in .parquet, .csv or .npy; see `ssl_jax.commands.feature_files`.
      split: "train", "test", "val" or "all"; when None, "train" for .npy, which has no column that says it, else "all".

    Example:
      >>> embed(run, output=folder / "features.npy")
      >>> print(np.load(folder / "features.npy").shape[1])
      64
    """
    check_ending(output, *WRITERS)
    trained = load(str(run), step=step)
    parts = open_parts_for(data, trained.recipe, trained.state, layer=layer)
    parts = _chosen(parts, split or ("train" if output.suffix == ".npy" else "all"))
    check_writable(output)
    log_line(f"computing {layer} of {' and '.join(f'{len(part)} images of {part.name}' for part in parts.values())}")
    table = table_of(trained, parts, layer=layer)
    with writing("output", output, "free disk space, or name another file"), replacing(output) as draft:
        WRITERS[output.suffix](draft, table)
    log_line(f"{printable(str(output))}: {_described(table, sum(map(len, parts.values())))}")


def table_of(trained: TrainedRun, parts: dict[str, Source], *, layer: str) -> FeatureTable:
    """The features of all readable images of these parts, with their names, splits and classes."""
    names, splits, labels, features = list[str](), list[str](), list[str](), []
    for split, source in parts.items():
        rows, indices, classes = trained.features_in(source, layer)
        features.append(rows)
        names += [name_of(source, number) for number in indices.tolist()]
        splits += [split] * len(rows)
        labels += [source.classes[label] if 0 <= label < len(source.classes) else "" for label in classes.tolist()]
    return FeatureTable(names, splits, labels, np.concatenate(features))


def _chosen(parts: dict[str, Source], split: str) -> dict[str, Source]:
    if split == "all":
        return parts
    if split not in parts:
        raise UsageError(
            f"split: got {split}, but {parts['train'].name} has {' and '.join(parts)} only: choose from these."
        )
    return {split: parts[split]}


def _described(table: FeatureTable, images: int) -> str:
    rows, width = table.features.shape
    missing = f", without {images - rows} of {images} images, which cannot be read" if rows < images else ""
    return f"{rows} rows of {width} numbers{missing}"
