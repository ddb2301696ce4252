"""The files of a run by name, with readers and writers. Readers accept files that a kill or another program damaged."""

import difflib
import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_jax.errors import UsageError
from ssl_jax.files import (
    LARGEST_OBJECT,
    open_regular,
    parse,
    read_object,
    read_regular,
    to_json,
    write_atomically,
    write_json,
)
from ssl_jax.ranges import check_ranges

REQUEST = "run.json"
METRICS = "metrics.jsonl"
DAMAGED_METRICS = "metrics.damaged.jsonl"
NONFINITE = "nonfinite.jsonl"
RESULTS = "results.json"
PICTURES = "pictures.npz"
REPORT = "report.html"
LAYERS = "layers.svg"
CLASSIFIER = "classifier.safetensors"
FINE_TUNED = "finetuned.safetensors"
CHECKPOINTS = "checkpoints"
PROFILE = "profile"
LOCK = "lock"
LARGEST_LOG = 2**28  # Bytes of metrics.jsonl: a million records.
LONGEST_RECORD = 2**20  # Bytes of one of its lines; a longer one is damage.

# Levels of results.json: source -> protocol -> field, and layers or data sets before them.
NESTED = {"features": 3, "layers": 4, "datasets": 4}
REQUESTED = {"method": str, "recipe": str, "arguments": dict, "seed": int}
# Only where they differ from the usual: the file of a recipe from outside the package, the parts of a batch, the steps that may
# be skipped, the weights that training starts from. Since layout 1, the examples.
AND_PERHAPS = {
    "file": str, "file_checksum": str, "microbatches": int, "skip_nonfinite": int, "init": dict, "examples": dict,
}  # fmt: skip
LAYOUT = 1  # Of the files of a run. A change that older versions could not read raises it.


def default_folder(recipe: str) -> Path:
    """Where a run of a recipe, "method/recipe", is written when no folder is given."""
    return Path("runs") / recipe.replace("/", "-")


def nearest_run(folder: Path) -> Path | None:
    """A folder that holds a run: the parent, else a subfolder or sibling with the most similar name."""
    if os.path.isfile(folder.parent / REQUEST):
        return folder.parent
    inside_or_beside = sorted(folder.glob(f"*/{REQUEST}")) or sorted(folder.parent.glob(f"*/{REQUEST}"))
    names = {path.parent.name: path.parent for path in inside_or_beside if path.parent != folder}
    close = difflib.get_close_matches(folder.name, names, n=1, cutoff=0)
    return names[close[0]] if close else None


def read_request(run: Path) -> dict[str, Any]:
    """The method, recipe, arguments and seed that the run in this folder, or of this `run.json`, was started with.

    And, where `run.json` has them, the "file" of a recipe from outside the package and its "file_checksum", the
    "microbatches", "skip_nonfinite", "init", the source of the first weights, and the fingerprint of the "examples".

    Raises:
      UsageError: there is no such file, it does not hold them, a number in it is out of range, or a newer version wrote it.
    """
    path = run if run.name.endswith(".json") else run / REQUEST
    try:
        content = parse(read_regular(path, at_most=LARGEST_OBJECT))
    except FileNotFoundError:
        raise UsageError(f"run: there is no {path}: name the folder of a run, as pretrain printed it.") from None
    except OSError as fault:
        raise UsageError(f"run: {path} cannot be read ({fault.strerror}): name the folder of a run.") from None
    if not isinstance(content, dict) or not all(type(content.get(name)) is kind for name, kind in REQUESTED.items()):
        raise UsageError(
            f"run: {path} is not a {REQUEST} that ssl_jax wrote, or it is damaged: name the folder of a run, or copy the "
            f"{REQUEST} of a run of the same command to it."
        )
    layout = content.get("layout")
    if isinstance(layout, int) and layout > LAYOUT:
        versions = content.get("versions")
        newer = versions.get("ssl_jax") if isinstance(versions, dict) else None
        raise UsageError(
            f"run: {path} has layout {layout}, and this version of ssl_jax reads up to {LAYOUT}: use the version that wrote it"
            f"{f', {newer}' if newer else ''}."
        )
    kinds = REQUESTED | AND_PERHAPS
    request = {name: content[name] for name in kinds if type(content.get(name)) is kinds[name]}
    check_ranges(**{name: request[name] for name in ("seed", "microbatches", "skip_nonfinite") if name in request})
    return request


def read_record(run: Path) -> dict[str, Any] | None:
    """All of `run.json`: the request, and the versions, commit and device; None where it cannot be read."""
    return read_object(run / REQUEST)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The records of `metrics.jsonl` in order of "step", an integer that each has; [] where there is no file.

    Lines that are unreadable after a kill or a disk error are left out.

    Raises:
      UsageError: it cannot be read, or is larger than 256 MiB; so that it is not taken for an empty one and written over.
    """
    return _records(_values(run))


def unreadable_metrics(run: Path) -> int:
    """The number of lines of `metrics.jsonl` that `read_metrics` leaves out; raises as it does."""
    return sum(not _is_record(value) for value in _values(run))


def _values(run: Path) -> list[Any]:
    """What each line of `metrics.jsonl` holds; None for damaged ones."""
    path = run / METRICS
    try:
        with open_regular(path, at_most=LARGEST_LOG) as file:
            return [parse(line) for line in iter(functools.partial(file.readline, LONGEST_RECORD), b"")]
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise UsageError(
            f"run: {path} cannot be read ({fault.strerror}): move it away, or make it readable."
        ) from fault


def _records(values: list[Any]) -> list[dict[str, Any]]:
    return sorted(filter(_is_record, values), key=lambda record: record["step"])


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("step")) is int


def truncate_metrics(run: Path, step: int) -> int:
    """Drops the records after a step, since those steps are repeated, and unreadable lines; returns the number of these.

    The last line is not counted, which a kill leaves half-written. Where others are unreadable, the file as it was stays as
    `DAMAGED_METRICS`.
    """
    values = _values(run)
    damaged = sum(not _is_record(value) for value in values[:-1])
    if damaged:
        shutil.copyfile(run / METRICS, run / DAMAGED_METRICS)
    kept = [record for record in _records(values) if record["step"] <= step]
    write_atomically(run / METRICS, "".join(to_json(record) + "\n" for record in kept))
    return damaged


def add_nonfinite(run: Path, record: Mapping[str, Any]) -> None:
    """Appends a step whose loss or gradient is not finite, with its "step" and the indices of its "examples"."""
    with open(run / NONFINITE, "a", encoding="utf-8") as file:
        print(to_json(dict(record)), file=file)


def write_results(run: Path, results: dict[str, Any]) -> None:
    """Replaces `results.json`; "features" holds source -> protocol -> field."""
    write_json(run / RESULTS, results)


def add_results(run: Path, results: dict[str, Any]) -> None:
    """Adds to `results.json`: nested dicts are merged, other values replaced."""
    write_results(run, _merged(read_results(run) or {}, results))


def read_results(run: Path) -> dict[str, Any] | None:
    """The content of `results.json`: its parts in `NESTED`, where present, hold nested dicts; other values are dropped.

    None where the file does not exist or is damaged.
    """
    results = read_object(run / RESULTS)
    return results and results | {
        name: _dicts(results[name], depth=depth) for name, depth in NESTED.items() if name in results
    }


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {name for name in old.keys() & new.keys() if isinstance(old[name], dict) and isinstance(new[name], dict)}
    return old | new | {name: _merged(old[name], new[name]) for name in both}


def _dicts(value: Any, *, depth: int) -> dict[str, Any]:
    """Nested dicts of `depth` levels; values of other types are left out."""
    if not isinstance(value, dict) or depth == 1:
        return value if isinstance(value, dict) else {}
    return {name: _dicts(part, depth=depth - 1) for name, part in value.items() if isinstance(part, dict)}
