"""The log of a run: a progress bar (or plain lines), metrics.jsonl, TensorBoard events.

Messages for the user go to standard error; standard output is reserved for the one line of JSON at the end.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from ssl_jax.files import to_json
from ssl_jax.runs import DAMAGED_METRICS, METRICS, truncate_metrics
from ssl_jax.train.trackers import Tracker
from ssl_jax.train.waits import Waits

SHOWN = {"loss": "loss {:.3f}", "knn": "k-NN {:.1%}", "std": "std {:.2f}"}  # As many as fit into 80 columns.


def log_line(message: str) -> None:
    """Prints one line for the user on standard error."""
    tqdm.write(message, file=sys.stderr)


def log_pictures(
    run: Path,
    images: Mapping[str, np.ndarray],
    histograms: Mapping[str, np.ndarray],
    *,
    step: int,
    trackers: Sequence[Tracker] = (),
) -> None:
    """Adds images, uint8 [H, W, 3], and histograms of finite values to TensorBoard's events; the images to trackers, too."""
    with SummaryWriter(str(run)) as events:
        _add_images(events, trackers, images, step)
        for name, values in histograms.items():
            events.add_histogram(name, values, step)


def _add_images(
    events: SummaryWriter, trackers: Sequence[Tracker], images: Mapping[str, np.ndarray], step: int
) -> None:
    for name, image in images.items():
        events.add_image(name, image, step, dataformats="HWC")
        for tracker in trackers:
            tracker.show(name, image, step)


class Log:
    """Writes the metrics of a run, NaN and infinity as null.

    With `run=None` nothing is written to disk; with `quiet` nothing is shown. `trackers` get the finite metrics, too.
    """

    def __init__(
        self, run: Path | None, *, steps: int, start: int = 0, quiet: bool = False, trackers: Sequence[Tracker] = ()
    ):
        self.steps, self.last = steps, {"step": start, "time": time.perf_counter()}
        self.latest: dict[str, float] = {}
        self.waits = Waits()
        self.trackers = trackers
        self.plain = not sys.stderr.isatty() and not quiet
        self.bar = tqdm(
            total=steps, initial=start, disable=quiet or self.plain, file=sys.stderr, dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar:8}| {n_fmt}/{total_fmt} {remaining} left  {desc}",
        )  # fmt: skip
        self.file = self.events = None
        if run is not None:
            if damaged := truncate_metrics(run, start):
                log_line(
                    f"{METRICS}: {damaged} damaged lines are left out; the file as it was is {run / DAMAGED_METRICS}"
                )
            self.file = open(run / METRICS, "a", encoding="utf-8")
            self.events = SummaryWriter(str(run), purge_step=start)

    def advance(self, step: int) -> None:
        """Moves the bar, which is drawn ten times a second at most, to this step."""
        self.bar.update(step - self.bar.n)

    def write(self, step: int, metrics: dict[str, float], *, images: int = 0, alarm: str | None = None) -> None:
        """Records metrics at a step.

        images: number of images since the last call with this argument.
        alarm: the sentence of the collapse alarm, so that others who look at the run learn of it.
        """
        if images:
            now = time.perf_counter()
            metrics = {**metrics, "images_per_second": images / (now - self.last["time"]), **self.waits.shares()}
            self.last = {"step": step, "time": now}
        self.latest |= metrics
        with self.waits.on("writing"):
            self._record(step, metrics, alarm)
        self._show(step)

    def _record(self, step: int, metrics: dict[str, float], alarm: str | None) -> None:
        if self.file and self.events:
            raised = {} if alarm is None else {"alarm": alarm}
            print(to_json({"step": step, **metrics, **raised}), file=self.file, flush=True)
            finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
            for name, value in finite.items():
                self.events.add_scalar(name, value, step)
            for tracker in self.trackers:
                tracker.log(finite, step)

    def show(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Adds images, uint8 [H, W, 3], to TensorBoard's events and the trackers."""
        if self.events:
            with self.waits.on("writing"):
                _add_images(self.events, self.trackers, images, step)

    def reset_clock(self) -> None:
        """Excludes the time since the last record, spent on evaluation or writing, from images per second."""
        self.last["time"] = time.perf_counter()

    def _show(self, step: int) -> None:
        shown = [f"{self.latest['images_per_second']:.0f} img/s"] if "images_per_second" in self.latest else []
        shown += [
            text.format(self.latest[name])
            for name, text in SHOWN.items()
            if math.isfinite(self.latest.get(name, math.nan))
        ]
        if self.plain:
            print(f"step {step}/{self.steps}  {'  '.join(shown)}", file=sys.stderr, flush=True)
        self.bar.set_description_str("  ".join(shown), refresh=False)
        self.advance(step)

    def close(self) -> None:
        """Closes the bar and flushes the files; trackers stay open."""
        self.bar.close()
        if self.file and self.events:
            self.file.close()
            self.events.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
