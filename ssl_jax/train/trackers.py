"""The metrics and pictures of a run in Weights & Biases or MLflow, where these are installed and asked for; neither is needed.

Addresses, keys and offline modes are theirs: WANDB_MODE=offline, MLFLOW_TRACKING_URI and the like.
"""

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ssl_jax.errors import UsageError, reason_of

PROJECT = "ssl_jax"


class Tracker(Protocol):
    """What records the metrics of one run, which are finite, and its pictures, uint8 [H, W, 3]."""

    def log(self, metrics: Mapping[str, float], step: int) -> None: ...

    def show(self, name: str, image: np.ndarray, step: int) -> None: ...

    def close(self) -> None: ...


class WandB:
    """A run of Weights & Biases; the same one where a run is resumed, which drops records of steps that it already has."""

    def __init__(self, module: Any, run: Path, request: Mapping[str, Any]):
        self.module = module
        name = hashlib.sha256(str(run.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.run = module.init(
            project=PROJECT, name=run.name, id=name, resume="allow", dir=str(run), config=dict(request)
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.run.log(dict(metrics), step=step)

    def show(self, name: str, image: np.ndarray, step: int) -> None:
        self.run.log({name: self.module.Image(image)}, step=step)

    def close(self) -> None:
        self.run.finish()


class MLflow:
    """A run of MLflow; another one of the same name where a run is resumed."""

    def __init__(self, module: Any, run: Path, request: Mapping[str, Any]):
        self.module = module
        module.set_experiment(PROJECT)
        module.start_run(run_name=run.name)
        module.log_params({name: str(value) for name, value in request.items()})

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.module.log_metrics(dict(metrics), step=step)

    def show(self, name: str, image: np.ndarray, step: int) -> None:
        self.module.log_image(image, key=name, step=step)

    def close(self) -> None:
        self.module.end_run()


class Guarded:
    """A tracker whose faults, as of a server that is gone, do not end the run: the first is said, and nothing more is sent.

    What it prints goes to standard error, since standard output is for the results.
    """

    def __init__(self, name: str, tracker: Tracker):
        self.name, self.tracker, self.works = name, tracker, True

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._call(lambda: self.tracker.log(metrics, step))

    def show(self, name: str, image: np.ndarray, step: int) -> None:
        self._call(lambda: self.tracker.show(name, image, step))

    def close(self) -> None:
        self._call(self.tracker.close)

    def _call(self, call: Callable[[], None]) -> None:
        if not self.works:
            return
        try:
            with contextlib.redirect_stdout(sys.stderr):
                call()
        except Exception as fault:  # Of any type: the run is worth more than its copy.
            self.works = False
            what = f"{self.name}: {reason_of(fault)}: it gets no more metrics; metrics.jsonl has all of them"
            tqdm.write(what, file=sys.stderr)


TRACKERS: dict[str, Callable[[Any, Path, Mapping[str, Any]], Tracker]] = {"wandb": WandB, "mlflow": MLflow}


def import_trackers(names: Sequence[str]) -> dict[str, Any]:
    """The modules of these trackers; a `UsageError` where one is not installed."""
    modules = {}
    for name in names:
        try:
            modules[name] = importlib.import_module(name)
        except ImportError:
            raise UsageError(
                f"log_to: {name} is not installed: pip install {name}, or leave it out; TensorBoard needs no option."
            ) from None
    return modules


def open_trackers(modules: Mapping[str, Any], run: Path, request: Mapping[str, Any]) -> list[Tracker]:
    """Starts recording a run in each of the modules. request: what is shown as its configuration, flat.

    Raises:
      UsageError: one of them refuses, as without a key or without its server.
    """
    opened: list[Tracker] = []
    for name, module in modules.items():
        try:
            with contextlib.redirect_stdout(sys.stderr):
                opened.append(Guarded(name, TRACKERS[name](module, run, request)))
        except Exception as fault:
            for tracker in opened:
                tracker.close()
            raise UsageError(
                f"log_to: {name} cannot record the run ({reason_of(fault)}): log in, set its address or offline mode, or leave "
                "it out."
            ) from fault
    return opened
