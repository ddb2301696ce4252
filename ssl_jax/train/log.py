"""What a run says while it goes: a progress bar (or plain lines), metrics.jsonl, TensorBoard events.

Everything for people goes to standard error; standard output is left to the one line of JSON at the end.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from tqdm import tqdm

from ssl_jax.files import to_json
from ssl_jax.runs import METRICS, truncate_metrics

SHOWN = {"loss": "loss {:.3f}", "knn": "k-NN {:.1%}", "std": "std {:.2f}"}  # What fits into 80 columns.


def log_line(message: str) -> None:
    """One line for the person at the terminal."""
    tqdm.write(message, file=sys.stderr)


class Log:
    """Writes the metrics of a run, NaN and infinity as null.

    With `run=None` nothing is written to disk; with `quiet` nothing is shown.
    """

    def __init__(self, run: Path | None, *, steps: int, start: int = 0, quiet: bool = False):
        self.steps, self.last = steps, {"step": start, "time": time.perf_counter()}
        self.latest: dict[str, float] = {}
        self.plain = not sys.stderr.isatty() and not quiet
        self.bar = tqdm(
            total=steps, initial=start, disable=quiet or self.plain, file=sys.stderr, dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar:8}| {n_fmt}/{total_fmt} {remaining}  {desc}",
        )  # fmt: skip
        self.file = self.events = None
        if run is not None:
            truncate_metrics(run, start)
            self.file = open(run / METRICS, "a", encoding="utf-8")
            self.events = SummaryWriter(str(run), purge_step=start)

    def write(self, step: int, metrics: dict[str, float], *, images: int = 0) -> None:
        """Records metrics at a step; `images` is how many were seen since the last call that said so."""
        if images:
            now = time.perf_counter()
            metrics = {**metrics, "images_per_second": images / (now - self.last["time"])}
            self.last = {"step": step, "time": now}
        self.latest |= metrics
        if self.file and self.events:
            print(to_json({"step": step, **metrics}), file=self.file, flush=True)
            for name, value in metrics.items():
                if math.isfinite(value):
                    self.events.add_scalar(name, value, step)
        self._show(step)

    def reset_clock(self) -> None:
        """Leaves the time since the last record out of images per second: it went to evaluation or writing."""
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
        self.bar.update(step - self.bar.n)

    def close(self) -> None:
        """Ends the bar and flushes what is on disk."""
        self.bar.close()
        if self.file and self.events:
            self.file.close()
            self.events.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
