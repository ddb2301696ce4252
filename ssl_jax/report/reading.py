"""The content of a run's folder, read so that a run that was killed at any time still gives a page.

pictures.npz, every array optional (n images, V views, q test images, k neighbours, m embeddings of size D):
  views_original uint8 [n, H, W, C]; views, small_views, transformed, masked and frames uint8 [n, V, H, W, C], each with a V
  of its own; reconstructed, predicted_colors, true_colors and sound uint8 [n, H, W, C];
  query uint8 [q, H, W, C] and query_label [q];
  prototype_image uint8 [x, y, H, W, C] and prototype_share [x], of x prototypes with y images each;
  neighbors_before and neighbors_after uint8 [q, k, H, W, C], each with its *_label [q, k];
  embedding and embedding_before [m, D] and embedding_label [m]; class_names, strings. A label of -1 means unlabelled;
  embedding_image uint8 [s, H, W, C], of the rows of the embeddings that `pictures.spread` gives, where none has a label;
  attention_image uint8 [n, H, W, C], attention [n, H, g, h] of H heads and g x h patches, and rollout [n, g, h];
  patch_image uint8 [p, H, W, C], patch_mask uint8 [p, H, W], patch_colors and patch_colors_before uint8 [p, h, w, 3].
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl_jax.errors import UsageError
from ssl_jax.files import replacing
from ssl_jax.runs import PICTURES, nearest_run, read_arrays, read_metrics, read_record, read_results

Pictures = dict[str, np.ndarray]
# Types and axes: axes with the same small letter have one length in all arrays.
IMAGE, LABEL, NUMBER = "u", "iu", "fiu"
LAYOUT = {
    "views_original": (IMAGE, "nHWC"),
    "views": (IMAGE, "nVHWC"),
    "small_views": (IMAGE, "nVHWC"),
    "transformed": (IMAGE, "nVHWC"),
    "masked": (IMAGE, "nVHWC"),
    "reconstructed": (IMAGE, "nHWC"),
    "predicted_colors": (IMAGE, "nHWC"),
    "true_colors": (IMAGE, "nHWC"),
    "frames": (IMAGE, "nVHWC"),
    "sound": (IMAGE, "nHWC"),
    "prototype_image": (IMAGE, "xyHWC"),
    "prototype_share": (NUMBER, "x"),
    "query": (IMAGE, "qHWC"),
    "query_label": (LABEL, "q"),
    "neighbors_before": (IMAGE, "qbHWC"),
    "neighbors_before_label": (LABEL, "qb"),
    "neighbors_after": (IMAGE, "qaHWC"),
    "neighbors_after_label": (LABEL, "qa"),
    "embedding": (NUMBER, "mD"),
    "embedding_before": (NUMBER, "mD"),
    "embedding_label": (LABEL, "m"),
    "embedding_image": (IMAGE, "sHWC"),
    "class_names": ("US", "K"),
    "attention_image": (IMAGE, "iHWC"),
    "attention": (NUMBER, "iHgh"),
    "rollout": (NUMBER, "igh"),
    "patch_image": (IMAGE, "pHWC"),
    "patch_mask": (IMAGE, "pHW"),
    "patch_colors": (IMAGE, "pHWC"),
    "patch_colors_before": (IMAGE, "pHWC"),
}
LARGEST_PICTURES = 2**30  # Bytes of all arrays.
GROUPS = ("arguments", "versions", "examples")  # Entries of run.json that are dicts.


class Run(NamedTuple):
    """folder: its path. request: run.json. metrics: the records of metrics.jsonl. results: results.json, {} where
    there is none. missing: sentences about missing files."""

    folder: Path
    request: dict[str, Any]
    metrics: list[dict[str, Any]]
    results: dict[str, Any]
    pictures: Pictures
    missing: list[str]


def read_run(folder: Path) -> Run:
    """The content of the folder of a run.

    Raises:
      UsageError: the folder does not exist, or holds no readable run.json.
    """
    request, missing = existing_record(folder), []
    metrics = read_metrics(folder)
    results = read_results(folder)
    pictures, unusable = _fitting(_read_pictures(folder))
    if results is None:
        reached = f" at step {metrics[-1]['step']:,}" if metrics else ""
        missing.append(
            f"No results yet: the run is still training, or was stopped{reached}. This page shows the existing files."
        )
    elif "features" not in results:
        missing.append(
            "results.json has no features, as in older versions: repeat the command of the run to evaluate it again."
        )
    if not metrics:
        missing.append("No metrics were recorded, so there are no curves.")
    if not pictures and (folder / PICTURES).exists():
        missing.append(
            f"No pictures to show: {PICTURES} is damaged; repeat the command of the run, which writes it again."
        )
    elif not pictures:
        missing.append("No pictures to show: views, neighbours and the map are saved at the end of a run.")
    if unusable:
        missing.append(f"pictures.npz holds {', '.join(unusable)} in a shape or type that the page cannot show.")
    return Run(folder, request, metrics, results or {}, pictures, missing)


def existing_record(folder: Path) -> dict[str, Any]:
    """The content of the `run.json` in this folder, without entries that should be dicts and are not.

    Raises:
      UsageError: the folder does not exist, or holds no readable run.json.
    """
    request = read_record(folder)
    if request is None:
        raise UsageError(_no_run(folder))
    return {name: value for name, value in request.items() if name not in GROUPS or isinstance(value, dict)}


def save_pictures(run: Path, **arrays: np.ndarray) -> Path:
    """Writes `run`/pictures.npz atomically. The names are those at the top of this file.

    Raises:
      ValueError: an array of Python objects, which could not be read back, since nothing is unpickled.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"save_pictures: {name} must hold numbers or strings, got Python objects: give it a dtype")
    path = run / PICTURES
    with replacing(path) as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    return path


def add_pictures(run: Path, **arrays: np.ndarray) -> Path:
    """`save_pictures` that keeps the other arrays of the file."""
    return save_pictures(run, **_read_pictures(run) | arrays)


def pictures_are_whole(run: Path) -> bool:
    """Whether every array of pictures.npz can be read, with the checksums of its archive."""
    return bool(_read_pictures(run))


def _read_pictures(run: Path) -> Pictures:
    return read_arrays(run / PICTURES, at_most=LARGEST_PICTURES) or {}


def _fitting(pictures: Pictures) -> tuple[Pictures, list[str]]:
    """The arrays that have the layout of the page, in its order, and the names of the others."""
    fitting, lengths = Pictures(), dict[str, int]()
    for name, (kinds, axes) in LAYOUT.items():
        array = pictures.get(name, np.empty(0))
        right = array.dtype.kind in kinds and array.ndim == len(axes) and array.size
        if right and (kinds != IMAGE or array.dtype == np.uint8):
            shared = [(axis, length) for axis, length in zip(axes, array.shape, strict=True) if axis.islower()]
            if all(lengths.setdefault(axis, length) == length for axis, length in shared):
                fitting[name] = array
    return fitting, [name for name in pictures if name not in fitting]


def _no_run(folder: Path) -> str:
    """The sentence for a folder without a run; suggests the most similar one with a run."""
    what = "holds no run.json that can be read" if os.path.isdir(folder) else "is not a folder"
    near = nearest_run(folder)
    hint = f"did you mean {near}?" if near else "name the folder of a run, as ssl-jax pretrain printed it."
    return f"run: {folder} {what}: {hint}"


def as_typed(value: Any) -> str:
    """A value of an option as it is typed: "none", and several, such as the sides of images, with spaces between them."""
    if isinstance(value, list | tuple):
        return " ".join(map(as_typed, value))
    return "none" if value is None else str(value)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, names joined by dots."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out
