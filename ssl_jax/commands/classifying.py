"""`ssl-jax classify`: classes of images with their probabilities, by the classifier of a run."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_jax.commands.classifiers import Classifier, fitted_probe, saved_fine_tuned, saved_probe
from ssl_jax.commands.loading import BATCH, TrainedRun, load
from ssl_jax.commands.saved_run import open_for
from ssl_jax.data.folders.scan import scan
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.tables import aligned, figure
from ssl_jax.files import printable
from ssl_jax.ranges import check_ranges
from ssl_jax.train.log import log_line

Kind = Literal["auto", "linear", "finetuned"]
ROWS, LONGEST = 20, 44  # Rows of the table, and characters of a path in it.


def classify(
    run: Path, images: Sequence[Path], *, data: str | None = None, classifier: Kind = "auto", count: int = 5
) -> Iterator[dict[str, Any]]:
    """ "path", "class", "probability" and the `count` largest "probabilities" of each image that can be read, in order.

    By the network that `ssl-jax finetune` saved, else by the run's linear probe, which is fitted where none is saved.

    Example:
      >>> for found in classify(run, [photo], count=1):
      ...     print(sorted(found))
      ['class', 'path', 'probabilities', 'probability']
    """
    check_ranges(count=count)
    paths = _files(images)
    trained = load(str(run))
    chosen = _chosen(run if run.is_dir() else run.parent, trained, data, classifier)
    rows, unread = list[list[str]](), list[str]()
    for start in range(0, len(paths), BATCH):
        read, reasons = _read(trained, paths[start : start + BATCH])
        unread += reasons
        for path, found in zip(read, chosen.probabilities(list(read.values())) if read else (), strict=True):
            best = np.argsort(-found, kind="stable")[:count]
            named = {printable(chosen.classes[each]): round(float(found[each]), 6) for each in best}
            name, probability = next(iter(named.items()))
            rows += [[_short(path), name, f"{100 * probability:.1f}"]][: ROWS - len(rows)]
            yield {"path": printable(str(path)), "class": name, "probability": probability, "probabilities": named}
    if len(unread) == len(paths):
        raise UsageError(f"images: none of {len(paths)} can be read ({unread[0]}): name image files.")
    more = len(paths) - len(unread) - len(rows)
    log_line(aligned([["image", "class", "percent"], *rows]) + (f"\nand {more} more" if more else ""))
    if unread:
        log_line(f"without {len(unread)} of {len(paths)} images, which cannot be read: {unread[0]}")


def _chosen(run: Path, trained: TrainedRun, data: str | None, kind: Kind) -> Classifier:
    """The saved classifier, or a new linear probe; a line says which, and its accuracy."""
    found = saved_fine_tuned(run, trained) if kind == "finetuned" or (kind == "auto" and data is None) else None
    if kind == "finetuned" and (found is None or data is not None):
        raise UsageError(f"classifier: {run} has no fine-tuned one of this data: run ssl-jax finetune {run} first.")
    what = "fine-tuned network" if found else "linear probe"
    if found is None and data is None:
        found = saved_probe(run, trained)
    if found is None:
        opened = open_for(data, trained.recipe, trained.state, layer="features")
        log_line(f"fitting a linear probe on {len(opened.train):,} images of {opened.name}")
        found = fitted_probe(run, trained, opened)
    about = printable(f"{what} of {len(found.classes)} classes of {found.about.get('data')}")
    measured: dict[str, Any] = {name: found.about[name] for name in ("accuracy", "interval") if name in found.about}
    log_line(about + (f", accuracy {figure(measured)} %" if measured else ""))
    return found


def _files(images: Sequence[Path]) -> list[Path]:
    """The files, and those below the folders; a `UsageError` for a path that is neither, or no image."""
    found: list[Path] = []
    for path in images:
        if not path.exists():
            raise UsageError(f"images: there is no {printable(str(path))}: name image files, or folders of them.")
        found += [path / name for name in scan(path).images] if path.is_dir() else [path]
    if not found:
        raise UsageError("images: none was given, or the folders have none: name image files, or folders of them.")
    return list(dict.fromkeys(found))


def _read(trained: TrainedRun, paths: Sequence[Path]) -> tuple[dict[Path, NDArray[np.uint8]], list[str]]:
    """The pixels of the images that can be read, and the reasons of the others."""

    def pixels(path: Path) -> NDArray[np.uint8] | str:
        try:
            return trained.pixels(path)
        except UsageError as reason:
            return str(reason).removeprefix("images: ").partition(": repair")[0]

    with ThreadPoolExecutor() as pool:
        made = dict(zip(paths, pool.map(pixels, paths), strict=True))
    reasons = [each for each in made.values() if isinstance(each, str)]
    return {path: each for path, each in made.items() if not isinstance(each, str)}, reasons


def _short(path: Path) -> str:
    text = printable(str(path))
    return text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}"
