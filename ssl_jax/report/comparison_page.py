"""The page of several runs: what each protocol measured, and the curves of all of them on common axes."""

import shlex
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from ssl_jax.report.captions import name_of
from ssl_jax.report.charts import Line, Series, lines_chart, short, ticks
from ssl_jax.report.comparison import Column, Figure, Row, Table, notes_of, shown, state, without_figures
from ssl_jax.report.curves import CURVES, NOT_SHOWN, ONLINE, read_series
from ssl_jax.report.html import Html, document, tag
from ssl_jax.report.page import listed
from ssl_jax.report.probes import percent
from ssl_jax.report.reading import Run
from ssl_jax.report.style import STYLE

# Colours of the style sheet, the lightest of them last; after ten rows the same ones in dashes, then in dots.
COLORS = ("c0", "c1", "c2", "c3", "c5", "c6", "c8", "ink", "c7", "c9")
DASHES = ("", " second", " third")
BUCKETS = 100  # Of a curve in a chart with many.


def comparison_page(tables: Sequence[Table], *, title: str) -> Html:
    """The whole page, a part for each table."""
    runs = [run for table in tables for row in table.rows for run in row.runs]
    seeds = {str(run.request.get("seed")) for run in runs}
    facts = [
        _many(len(runs), "run"),
        _many(len(seeds), "seed"),
        _many(sum(len(table.rows) for table in tables), "setting"),
    ]
    header = tag(
        "header",
        tag("p", "comparison", class_="eyebrow"),
        tag("h1", title),
        tag("p", *(tag("span", fact) for fact in facts), class_="facts"),
    )
    return document(
        f"{title}: comparison", STYLE, header, *(part for table in tables for part in _parts(table)), _again(runs)
    )


def label(options: dict[str, Any]) -> str:
    """Options in one line: "learning_rate 0.003, temperature 0.1"; "all" where none differs."""
    plain = {"method": name_of, "recipe": shown}
    named = [plain[name](value) if name in plain else f"{name} {shown(value)}" for name, value in options.items()]
    return ", ".join(named) or "all"


def _parts(table: Table) -> list[Html | None]:
    return [_figures(table), _curves(table), _runs(table)]


def _figures(table: Table) -> Html:
    """The table: a group of rows for each protocol, each with a scale of its own."""
    shares = any(column.field is None for column in table.columns)
    what = "Accuracy on test images" if shares else "Figures that need no labels"
    see = (
        f"{what}: every run (circle), their mean (bar) and one standard deviation around it (line). Each has a scale of its "
        "own, which does not begin at zero."
    )
    groups = [tag("tbody", *_group(table.rows, column)) for column in table.columns]
    sentences = [*([f"Not in one table with the first runs: {table.apart}."] if table.apart else []), *notes_of(table)]
    return tag(
        "section",
        tag("h2", f"Evaluation of the features: {table.data}"),
        tag("p", see if groups else f"{without_figures(table).capitalize()}.", class_="see"),
        *(tag("p", sentence, class_="notice") for sentence in sentences),
        tag("table", *groups, class_="probes compared") if groups else None,
    )


def _group(rows: Sequence[Row], column: Column) -> list[Html | None]:
    values = [value for row in rows if column.name in row.figures for value in row.figures[column.name].values]
    marks = ticks(min(values), max(values), about=6)
    share = column.field is None
    low, high = (max(marks[0], 0.0), min(marks[-1], 1.0)) if share else (marks[0], marks[-1])
    ends = (tag("span", percent(end) if share else short(end)) for end in (low, high))
    scale = tag("tr", tag("td"), tag("td", tag("div", *ends, class_="scale")))
    head = tag("tr", tag("th", column.title, colspan=3, scope="colgroup"), class_="group")

    def place(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / ((high - low) or 1)

    figures = [(number, row, row.figures.get(column.name)) for number, row in enumerate(rows)]
    return [head, *(_row(*of_row, place, share=share) for of_row in figures), scale]


def _row(number: int, row: Row, figure: Figure | None, place: Callable[[float], float], *, share: bool) -> Html:
    style, name = _style(number), tag("th", _swatch(number), label(row.options), scope="row")
    if figure is None:
        return tag("tr", name, tag("td"), tag("td", "\N{EN DASH}", class_="value"))
    mean, deviation = figure.mean, figure.deviation or 0.0
    left, right = place(mean - deviation), place(mean + deviation)
    track = tag(
        "div",
        tag("i", style=f"left: {left:.2f}%; width: {right - left:.2f}%"),
        *(tag("u", style=f"left: {place(value):.2f}%") for value in figure.values),
        tag("b", style=f"left: {place(mean):.2f}%"),
        class_=f"bar {style}",
    )
    spread = f"{100 * deviation:.1f}" if share else short(deviation)
    around = "" if figure.deviation is None else f"± {spread}"
    value = percent(mean) if share else short(mean, digits=3)
    return tag("tr", name, tag("td", track), tag("td", value, tag("small", around), class_="value"))


def _curves(table: Table) -> Html | None:
    recorded = {name for row in table.rows for run in row.runs for record in run.metrics for name in record}
    names = [*CURVES, *sorted(recorded - NOT_SHOWN - CURVES.keys())]
    figures = [_chart(table.rows, name) for name in names]
    if not any(figures):
        return None
    legend = [tag("span", _swatch(number), label(row.options)) for number, row in enumerate(table.rows)]
    several = any(len(row.runs) > 1 for row in table.rows)
    see = (
        "Strong lines: the mean over the seeds of a setting, as far as all of them have come; fine lines: single runs. "
        * several
    )
    return tag(
        "section",
        tag("h2", f"Training curves: {table.data}"),
        tag(
            "p",
            f"{see}Losses of different methods or temperatures are different quantities: compare accuracies.",
            class_="see",
        ),
        tag("p", *legend, class_="legend"),
        tag("div", *figures, class_="curves"),
    )


def _chart(rows: Sequence[Row], name: str) -> Html | None:
    lines = [line for number, row in enumerate(rows) for line in _lines(row, name, f"curve {_style(number)}")]
    if not lines:
        return None
    title, see = CURVES.get(name, (name, "A metric of the method."))
    see = "On a part of the images." if name in ONLINE else see
    chart = lines_chart(lines, label=title, write=percent if name in ONLINE else short, buckets=BUCKETS)
    return tag("figure", tag("h3", title), chart, tag("figcaption", see))


def _lines(row: Row, name: str, style: str) -> list[Line]:
    """A fine line for each run, and a strong one for their mean; of one run, a strong one."""
    found = [series for run in row.runs if (series := read_series(run, name))]
    if len(found) < 2:
        return [Line(series, style, label(row.options)) for series in found]
    fine = [
        Line(series, f"{style} run", f"{label(row.options)}, seed {run.request.get('seed')}")
        for run in row.runs
        if (series := read_series(run, name))
    ]
    mean = mean_series(found)
    return [*fine, *([Line(mean, style, f"{label(row.options)}, mean")] if mean else [])]


def mean_series(several: Sequence[Series]) -> Series:
    """The mean at the steps that all series have."""
    values = [dict(series) for series in several]
    shared = sorted(set.intersection(*(set(of) for of in values)))
    return [(step, statistics.fmean(of[step] for of in values)) for step in shared]


def _runs(table: Table) -> Html:
    runs = {
        str(run.folder): f"{label(row.options)}; seed {run.request.get('seed')}; {state(run) or 'finished'}"
        for row in table.rows
        for run in row.runs
    }
    return tag("section", tag("h2", "Runs"), listed("Folders", runs), listed("Options that all have alike", table.same))


def _again(runs: Sequence[Run]) -> Html:
    command = shlex.join(["ssl-jax", "compare", *(str(run.folder) for run in runs)])
    return tag(
        "section", tag("p", "This page again, with what the runs have by then:", class_="see"), tag("pre", command)
    )


def _style(number: int) -> str:
    return COLORS[number % len(COLORS)] + DASHES[number // len(COLORS) % len(DASHES)]


def _swatch(number: int) -> Html:
    path = tag("path", d="M0 5H26", class_=_style(number))
    return tag("svg", path, class_=f"swatch {_style(number)}", viewBox="0 0 26 10")


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
