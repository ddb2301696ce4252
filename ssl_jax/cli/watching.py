"""`ssl-jax watch`: follows the log of a run in a terminal, on any machine that sees its folder, until the run ends."""

import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ssl_jax.errors import UsageError
from ssl_jax.files import printable
from ssl_jax.ranges import check_ranges
from ssl_jax.runs import METRICS, REQUEST, holder, nearest_run, read_metrics, read_record, read_results

# No jax here: on the host that trains it would ask for the devices, and elsewhere take seconds.

SHOWN = {"images_per_second": "{:.0f} img/s", "loss": "loss {:.3f}", "knn": "k-NN {:.1%}", "std": "std {:.2f}"}
FINAL = {"knn": "k-NN", "linear": "linear", "few_labels": "few labels"}
QUIET = 20.0  # Seconds without a change after which a run that nobody holds has ended: some file systems have no locks.
RECENT = 10  # Records whose median speed gives the time that is left.


def watch(run: Path, *, every: float = 1.0) -> None:
    """Prints the records of a run as they come, in one line of a terminal, else a line for each; returns when the run ends.

    Args:
      every: seconds between two looks.

    Raises:
      UsageError: the folder holds no run.
    """
    check_ranges(every=every)
    request = read_record(run)
    if request is None:
        near = nearest_run(run)
        hint = f"did you mean {near}?" if near else "name the folder of a run, as pretrain was given it."
        raise UsageError(f"run: {printable(str(run))} holds no {REQUEST} that can be read: {hint}")
    screen, seen, changed = Screen(), 0, None
    while True:
        ended = _ended(run)  # Before the records are read: none can follow.
        if (now := _time_of(run / METRICS)) != changed:
            records, changed = read_metrics(run), now
            for number in range(seen, len(records)):
                if seen or number == len(records) - 1:  # Of what was there before, the end.
                    screen.show(line(records[: number + 1], request))
                if "alarm" in records[number]:
                    screen.keep(printable(str(records[number]["alarm"])))
            seen = len(records)
        elif not seen and not ended:
            screen.show("no record yet: the first step is being compiled, or runs")
        if ended:
            return screen.close(end(run, request))
        time.sleep(every)


def line(records: Sequence[dict[str, Any]], request: dict[str, Any]) -> str:
    """The state after the last of these records in one line: step, time left, and the last values of what is shown."""
    step, total = records[-1]["step"], _number(request, "steps")
    latest: dict[str, Any] = {}
    for record in records:
        latest |= record
    values = [text.format(value) for name, text in SHOWN.items() if (value := _number(latest, name)) is not None]
    left = seconds_left(records, request)
    done = f"step {step:,}" if total is None else f"step {step:,}/{total:,.0f}"
    return "  ".join([done, *([f"{duration(left)} left"] if left else []), *values])


def seconds_left(records: Sequence[dict[str, Any]], request: dict[str, Any]) -> float | None:
    """Seconds of training at the median speed of the last records, without evaluations; None where it cannot be known."""
    speeds = [speed for record in records[-2 * RECENT :] if (speed := _number(record, "images_per_second"))]
    arguments = request.get("arguments")
    batch = _number(arguments, "batch_size") if isinstance(arguments, dict) else None
    total = _number(request, "steps")
    if not speeds or batch is None or total is None:
        return None
    return max(total - records[-1]["step"], 0) * batch / statistics.median(speeds[-RECENT:])


def duration(seconds: float) -> str:
    """ "35 s", "12 min", "5 h 10 min" or "3 d 4 h"."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 24 * 60 else f"{hours // 24} d {hours % 24} h"


def end(run: Path, request: dict[str, Any]) -> str:
    """A sentence on a run in which no process trains."""
    results, name = read_results(run), printable(str(run))
    if results is not None and "steps" in results:
        features = results.get("features", {}).get("pretrained", {})
        found = [
            f"{title} {accuracy:.1%}"
            for protocol, title in FINAL.items()
            if (accuracy := _number(features.get(protocol, {}), "accuracy")) is not None
        ]
        return ", ".join([f"{name} has finished", *found])
    records, total = read_metrics(run), _number(request, "steps")
    at = f" after step {records[-1]['step']:,}" if records else " before its first record"
    of = "" if total is None or not records else f" of {total:,.0f}"
    return f"{name} has stopped{at}{of}: no process trains in it; the same command resumes from its last checkpoint"


class Screen:
    """Standard output: in a terminal the last line is written over, elsewhere each line stays."""

    def __init__(self) -> None:
        self.terminal, self.last = sys.stdout.isatty(), ""

    def show(self, text: str) -> None:
        """A line that the next one replaces, cut to the width of the terminal; nothing where it is there already."""
        if text == self.last:
            return
        self.last = text
        if self.terminal:
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(text, flush=True)

    def keep(self, text: str) -> None:
        """A line that stays."""
        print(f"\r\x1b[K{text}" if self.terminal else text, flush=True)
        self.last, again = "", self.last
        if self.terminal and again:
            self.show(again)

    def close(self, text: str) -> None:
        """The last line, below the one that was shown."""
        print(f"\n{text}" if self.terminal and self.last else text, flush=True)


def _ended(run: Path) -> bool:
    if holder(run) is not None:
        return False
    results = read_results(run)
    finished = results is not None and "steps" in results
    return finished or time.time() - _newest(run / name for name in (REQUEST, METRICS)) > QUIET


def _newest(paths: Iterable[Path]) -> float:
    return max(_time_of(path) or 0.0 for path in paths)


def _time_of(path: Path) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _number(values: dict[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
