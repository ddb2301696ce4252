"""Runs side by side: a table for each data set, a row for each set of options, over its seeds.

Works on what there is: a run that is still training has no results yet, one of an older version has no fingerprint of its
examples.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl_jax.errors import differences
from ssl_jax.evaluate.label_free import GAUGES
from ssl_jax.evaluate.protocols import PROTOCOLS
from ssl_jax.evaluate.results import NAMES
from ssl_jax.files import to_json
from ssl_jax.report.probes import number
from ssl_jax.report.reading import Run, as_typed, existing_record, flat
from ssl_jax.runs import read_metrics, read_results

# Entries of the request beside the arguments that say what was learned; and what else may move a figure.
REQUESTED = ("method", "recipe", "file", "microbatches", "init")
CIRCUMSTANCES = ("commit", "device", "devices", "processes", "versions")
# Figures that need no labels, by their place in results.json: what they are of, and their names.
WITHOUT_LABELS = {
    "label_free": ("embeddings", tuple(GAUGES)),
    "diagnostics": ("features", PROTOCOLS["diagnostics"].figures),
}
OF_SHAPE = ("shape", "checksum")  # Ends of the names in a fingerprint that differ with the size of the images.


class Figure(NamedTuple):
    """Mean and standard deviation (divisor n - 1) of a figure over the runs of a row that have it; None of one run."""

    mean: float
    deviation: float | None
    values: list[float]


class Column(NamedTuple):
    """name: in JSON. protocol and labels: in results.json, the latter only where labels are drawn. field: of a figure that
    needs no labels, in a unit of its own; None for shares in [0, 1]."""

    name: str
    title: str
    protocol: str
    labels: int | None = None
    field: str | None = None


class Row(NamedTuple):
    """options: those that differ in the table. runs: by their seeds. figures: by the names of their columns."""

    options: dict[str, Any]
    runs: list[Run]
    figures: dict[str, Figure]


class Table(NamedTuple):
    """same: options that all runs of the table have alike. apart: why it is not one with the first table, "" for that."""

    data: str
    rows: list[Row]
    columns: list[Column]
    same: dict[str, Any]
    apart: str


def read_numbers(folder: Path) -> Run:
    """The content of a run's folder but the pictures; a `UsageError` where it holds no run."""
    return Run(folder, existing_record(folder), read_metrics(folder), read_results(folder) or {}, {}, [])


def tables_of(runs: Sequence[Run]) -> list[Table]:
    """The runs in tables, each of runs on the same data."""
    groups: list[list[Run]] = []
    for run in runs:
        alike = next((group for group in groups if not different_data(group[0], run)), None)
        groups.append([run]) if alike is None else alike.append(run)
    return [_table(group, "; ".join(different_data(groups[0][0], group[0]))) for group in groups]


def different_data(first: Run, second: Run) -> list[str]:
    """Where the data of two runs differ: their fingerprints; their names, where one has none.

    Images of another size are the same data, as long as their numbers and classes agree.
    """
    names = [{"data": run.request.get("arguments", {}).get("data")} for run in (first, second)]
    old, new = (run.request.get("examples", {}) for run in (first, second))
    if not old or not new:
        old, new = names
    elif any(old.get(name) != new.get(name) for name in old if name.endswith("shape")):
        old, new = ({name: old[name] for name in old if not name.endswith(OF_SHAPE)} for old in (old, new))
    if old != new:
        old, new = (each | name for each, name in zip((old, new), names, strict=True))
    return differences(old, new, in_first=f"in {first.folder}", in_second=f"in {second.folder}")


def shown(value: Any) -> str:
    """A value of an option as it is typed, with at most six digits."""
    return f"{value:.6g}" if isinstance(value, float) else as_typed(value)


def state(run: Run) -> str:
    """ "" of a finished run; else how far it is: "no results yet, step 300 of 750"."""
    if "steps" in run.results:
        return ""
    steps = number(run.request, "steps")
    at = f", step {run.metrics[-1]['step']:,}" if run.metrics else ", no records"
    return f"no results yet{at}{f' of {steps:,.0f}' if steps and run.metrics else ''}"


def footnote(table: Table) -> str:
    """What the figures of a table are: shares, others, or why there are none."""
    around = "mean ± standard deviation over the runs of a row"
    shares = [column.field is None for column in table.columns]
    own = "figures of embeddings and features in units of their own"
    if not shares:
        return without_figures(table)
    if all(shares):
        return f"percent, {around}"
    return f"{'accuracies in percent' if any(shares) else without_figures(table)}, {own}; {around}"


def without_figures(table: Table) -> str:
    """Why a table has no accuracies: its runs go on, or have no labels."""
    finished = not any(state(run) for row in table.rows for run in row.runs)
    return "no accuracies: no labelled test images" if finished else "no accuracies yet"


def notes_of(table: Table) -> list[str]:
    """Sentences on what a reader of the table has to know: unfinished runs, alarms, and versions or devices that differ."""
    runs = [run for row in table.rows for run in row.runs]
    unfinished = [f"{run.folder}: {found}" for run in runs if (found := state(run))]
    alarms = [f"{run.folder}: {record['alarm']}" for run in runs for record in run.metrics if record.get("alarm")]
    around = [_around(run) for run in runs]
    differing = _values(around, differ=True)
    changed = [f"{name} is {' and '.join(map(str, values))}" for name, values in differing.items()]
    return [*unfinished, *alarms, *([f"not the same in all runs: {'; '.join(changed)}"] if changed else [])]


def _table(runs: list[Run], apart: str) -> Table:
    options = [_options(run) for run in runs]
    differing = _values(options, differ=True)
    groups: dict[str, list[int]] = {}
    for index, of in enumerate(options):
        groups.setdefault(to_json([of.get(name) for name in differing]), []).append(index)
    columns = _columns(runs)
    rows = [
        Row(
            {name: options[group[0]].get(name) for name in differing},
            members := sorted((runs[index] for index in group), key=lambda run: number(run.request, "seed") or 0),
            {column.name: found for column in columns if (found := _figure(members, column))},
        )
        for group in groups.values()
    ]
    same = {name: values[0] for name, values in _values(options, differ=False).items()}
    data = str(runs[0].request.get("arguments", {}).get("data", "data"))
    return Table(data, sorted(rows, key=_order), columns, same, apart)


def _options(run: Run) -> dict[str, Any]:
    """What was asked for, flat and without the seed."""
    request = {name: run.request[name] for name in REQUESTED if name in run.request}
    if isinstance(init := request.get("init"), dict):
        request["init"] = init.get("path")
    return flat(request) | flat(run.request.get("arguments", {}))


def _around(run: Run) -> dict[str, Any]:
    found = flat({name: run.request[name] for name in CIRCUMSTANCES if name in run.request})
    return {name: value[:10] if name == "commit" and isinstance(value, str) else value for name, value in found.items()}


def _values(of_runs: Sequence[dict[str, Any]], *, differ: bool) -> dict[str, list[Any]]:
    """The distinct values of each name, of those names that have more than one, or else only one.

    A run that has no value, as an option of another method or of a newer version, does not make a difference by that.
    """
    found: dict[str, dict[str, Any]] = {}
    for each in of_runs:
        for name, value in each.items():
            found.setdefault(name, {}).setdefault(to_json(value), value)
    return {name: list(values.values()) for name, values in found.items() if (len(values) > 1) == differ}


def _columns(runs: Sequence[Run]) -> list[Column]:
    """Protocols that measured the pre-trained features of a run: those of this version first, in their order; then what needs
    no labels."""
    found: dict[tuple[str, int | None], None] = {}
    for run in runs:
        for protocol, fields in _pretrained(run).items():
            if _accuracy(fields) is not None:
                found[protocol, int(labels) if (labels := number(fields, "labels_per_class")) else None] = None
    order = [*PROTOCOLS, *(protocol for protocol, _ in found)]
    own = [
        Column(f"{protocol}_{field}", f"{field.replace('_', ' ')} of {what}".capitalize(), protocol, field=field)
        for protocol, (what, names) in WITHOUT_LABELS.items()
        for field in names
        if any(number(_pretrained(run).get(protocol, {}), field) is not None for run in runs)
    ]
    several = {protocol for protocol, labels in found if len([of for of, _ in found if of == protocol]) > 1}
    return [
        Column(
            NAMES.get(protocol, protocol) + (f"_{labels}" if protocol in several else ""),
            f"{labels} labels per class"
            if labels
            else PROTOCOLS[protocol].words.title
            if protocol in PROTOCOLS
            else protocol,
            protocol,
            labels,
        )
        for protocol, labels in sorted(found, key=lambda column: (order.index(column[0]), column[1] or 0))
    ] + own


def _figure(runs: Sequence[Run], column: Column) -> Figure | None:
    of_column = [_pretrained(run).get(column.protocol, {}) for run in runs]
    found = [
        number(fields, column.field) if column.field else _accuracy(fields)
        for fields in of_column
        if number(fields, "labels_per_class") == column.labels
    ]
    values = [value for value in found if value is not None]
    if not values:
        return None
    deviation = round(statistics.stdev(values), 5) if len(values) > 1 else None
    return Figure(round(statistics.fmean(values), 5), deviation, values)


def _pretrained(run: Run) -> dict[str, Any]:
    label_free = run.results.get("label_free")
    found = {"label_free": label_free} if isinstance(label_free, dict) else {}
    return run.results.get("features", {}).get("pretrained", {}) | found


def _accuracy(fields: dict[str, Any]) -> float | None:
    """The share in [0, 1] that a protocol measured: an accuracy, a mean average precision or a mean IoU."""
    shares = (number(fields, name) for name in ("accuracy", "average_precision", "mean_iou"))
    return next((share for share in shares if share is not None), None)


def _order(row: Row) -> list[tuple[bool, float, str]]:
    """Numbers by their size, before text."""
    return [
        (number({"": value}, "") is None, number({"": value}, "") or 0.0, str(value)) for value in row.options.values()
    ]
