"""`ssl-jax compare`: several runs in one table and one page."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.tables import aligned
from ssl_jax.files import printable, write_atomically
from ssl_jax.report.charts import short
from ssl_jax.report.comparison import Figure, Table, footnote, notes_of, read_numbers, shown, state, tables_of
from ssl_jax.report.comparison_page import comparison_page
from ssl_jax.runs import REQUEST
from ssl_jax.train.log import log_line

PAGE = "comparison.html"


def compare(runs: Sequence[Path], *, output: Path | None = None) -> dict[str, Any]:
    """Shows runs in tables, writes a page with their curves, and returns what the tables hold.

    Args:
      runs: folders of runs, or folders that hold folders of runs.
      output: the page to write; comparison.html in the folder that all runs have in common when None.

    Raises:
      UsageError: a folder holds no run, or the page cannot be written.

    Example:
      >>> tables = compare([run], output=folder / "comparison.html")
      >>> print((folder / "comparison.html").exists())
      True
    """
    folders = _folders(runs)
    page = output or Path(os.path.commonpath([folder.absolute().parent for folder in folders])) / PAGE
    check_ending(page, ".html")
    tables = tables_of([read_numbers(folder) for folder in folders])
    check_writable(page)
    write_atomically(page, comparison_page(tables, title=" and ".join(dict.fromkeys(map(_title, tables)))))
    log_line("\n\n".join(map(_text, tables)))
    log_line(printable(f"page: {page}"))
    return {"tables": [_json(table) for table in tables], "page": str(page)}


def _folders(runs: Sequence[Path]) -> list[Path]:
    """Each folder with a run once; those within a folder that holds none itself."""
    found: dict[Path, Path] = {}
    for run in runs:
        inside = [] if (run / REQUEST).exists() else sorted(path.parent for path in run.glob(f"*/{REQUEST}"))
        for folder in inside or [run]:
            found.setdefault(folder.resolve(), folder)
    if not found:
        raise UsageError("runs: none was given: name folders of runs, or a folder that holds them.")
    return list(found.values())


def _what(table: Table) -> str:
    named = [str(table.same[name]) for name in ("method", "recipe") if name in table.same]
    return " / ".join(named) or table.data


def _title(table: Table) -> str:
    """ "simclr / demo by temperature"."""
    options = ", ".join(table.rows[0].options)
    return f"{_what(table)}{options and f' by {options}'}"


def _text(table: Table) -> str:
    options = list(dict.fromkeys(name for row in table.rows for name in row.options)) or [""]
    head = [*options, "runs", *(column.title for column in table.columns)]
    rows = [
        [
            *(shown(row.options.get(name, "all")) for name in options),
            _count(row.runs),
            *(_figure(row.figures.get(column.name), share=column.field is None) for column in table.columns),
        ]
        for row in table.rows
    ]
    apart = [f"not in one table with the first runs: {table.apart}"] if table.apart else []
    lines = aligned([[printable(cell) for cell in row] for row in [head, *rows]])
    above, below = [f"{_what(table)}, data {table.data}", *apart], [footnote(table), *notes_of(table)]
    return "\n".join([*map(printable, above), lines, *map(printable, below)])


def _count(runs: Sequence[Any]) -> str:
    finished = sum(not state(run) for run in runs)
    return str(finished) if finished == len(runs) else f"{finished} of {len(runs)}"


def _figure(figure: Figure | None, *, share: bool) -> str:
    if figure is None:
        return "-"
    mean, *deviation = (
        f"{100 * value:.1f}" if share else short(value, digits=3)
        for value in (figure.mean, figure.deviation)
        if value is not None
    )
    return " ± ".join([mean, *deviation])


def _json(table: Table) -> dict[str, Any]:
    rows = [
        {
            "options": row.options,
            "runs": [str(run.folder) for run in row.runs],
            "seeds": [run.request.get("seed") for run in row.runs],
            "unfinished": {str(run.folder): found for run in row.runs if (found := state(run))},
            **{name: figure._asdict() for name, figure in row.figures.items()},
        }
        for row in table.rows
    ]
    return {"data": table.data, "apart": table.apart, "same": table.same, "rows": rows, "notes": notes_of(table)}
