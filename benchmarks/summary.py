"""One way to keep results: the tables of a benchmark in a file, and its comparisons with peers in the summary beside it.

The summary, one file for all benchmarks of a kind of device, has for each benchmark the name of its file, the machine with
versions and date, and a row for each comparison. `page.py` makes docs/performance.md of it.
"""

from pathlib import Path
from typing import Any

import jax

from ssl_jax.files import read_object, write_atomically, write_json

Row = dict[str, Any]


def compared(
    what: str, peer: str, ours: float, theirs: float, *, unit: str, digits: str = ".1f", more: bool = False
) -> Row:
    """A row of the summary.

    Args:
      what: is measured; rows of one benchmark with the same `what` and `unit` stand in one line of the page.
      peer: whose figure is compared with ours.
      ours, theirs: the figures, not rounded, of which the ratio is made.
      unit: of both.
      digits: how the table formats the figures; the row has the same digits.
      more: more is better, as of images a second; less is better of seconds and memory.

    Returns:
      The figures, and their ratio in three digits, above 1 where ours is better; None where a figure is not above 0.
    """
    better, worse = (ours, theirs) if more else (theirs, ours)
    ratio = float(f"{better / worse:.3g}") if min(ours, theirs) > 0 else None
    shown = [float(f"{figure:{digits}}") for figure in (ours, theirs)]
    return {"what": what, "unit": unit, "ours": shown[0], "peer": peer, "theirs": shown[1], "ratio": ratio}


def keep(results: Path | None, text: str, rows: list[Row], *, name: str, about: str) -> None:
    """Writes the file and replaces the benchmark's entry of the summary beside it; nothing where there is no file.

    Args:
      results: file of the tables.
      text: the file as a whole.
      rows: of `compared`.
      name: the benchmark's.
      about: machine, versions and date, as of `machine.about`.
    """
    if results is None:
        return
    results.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(results, text)
    add(results.with_name(f"summary-{jax.default_backend()}.json"), name, results.name, about=about, rows=rows)


def add(summary: Path, name: str, file: str, *, about: str, rows: list[Row]) -> None:
    """Replaces one entry of the summary."""
    write_json(summary, (read_object(summary) or {}) | {name: {"file": file, "about": about, "rows": rows}})
