"""What a run keeps of its steps: metrics and alarms in the log, evaluations with their pictures, and checkpoints."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ssl_jax.evaluate.alarm import CollapseAlarm
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.finite import FiniteGuard
from ssl_jax.train.log import Log
from ssl_jax.train.state import TrainState
from ssl_jax.train.step import Metrics

Hook = Callable[[TrainState], Mapping[str, Any]]


class Due(NamedTuple):
    """What follows a step. scored: the checkpoint is one of the schedule, and so may become the best one."""

    record: bool
    evaluation: bool
    checkpoint: bool
    scored: bool


class Intervals(NamedTuple):
    """Steps between two records, evaluations, and checkpoints; all are due after the last step."""

    steps: int
    log_every: int
    hook_every: int
    save_every: int

    def due(self, number: int, *, save: bool) -> Due:
        """After step `number`. save: a checkpoint is due whatever its number is, as where a signal stops the run."""
        logged, evaluated, scheduled = (number == self.steps or number % every == 0 for every in self[1:])
        return Due(logged or scheduled, evaluated, scheduled or save, scheduled)


class Records:
    """The records of a run from step `start` on.

    Args:
      log: of metrics.
      guard: refuses steps and states that are not finite.
      alarm: checks the gauges for a collapse.
      hook: the evaluation, see `fit`.
      checkpoints: where states are kept; None for nowhere.
      batch_size: images of a step.
      recent: the metrics of steps before `start` that are not in the log yet.
      say: shows a sentence.
    """

    def __init__(
        self,
        log: Log,
        guard: FiniteGuard,
        alarm: CollapseAlarm,
        *,
        hook: Hook | None,
        checkpoints: Checkpoints | None,
        batch_size: int,
        recent: list[Metrics],
        start: int,
        say: Callable[[str], None],
    ):
        self._log, self._guard, self._alarm, self._hook, self._checkpoints = log, guard, alarm, hook, checkpoints
        self._batch_size, self._recent, self._start, self._say = batch_size, recent, start, say
        self._values: dict[str, float] = {}  # Of the last record, and of evaluations since.

    def add(self, number: int, metrics: Metrics) -> None:
        """Step `number` is under way: its metrics may still be computed."""
        self._recent.append(metrics)
        self._log.advance(number)

    def write(
        self,
        number: int,
        state: TrainState,
        due: Due,
        *,
        gauges: Mapping[str, Any],
        input_state: Callable[[], dict[str, Any]],
    ) -> None:
        """What is due after step `number`, whose state this is.

        gauges: of this step, where a record is due. input_state: gives the place in the input.
        """
        if due.record:
            self._record(number, gauges)
        if due.checkpoint:
            with self._log.waits.on("device"):
                self._guard.check(state, number)
        if due.evaluation:
            self._evaluate(number, state)
        if due.checkpoint and self._checkpoints:
            score, recent = _score(self._values) if due.scored else None, [_floats(metrics) for metrics in self._recent]
            with self._log.waits.on("writing"):
                self._checkpoints.save(state, input_state=input_state(), score=score, recent=recent)
        if due.checkpoint or due.evaluation:
            self._log.reset_clock()

    def _record(self, number: int, gauges: Mapping[str, Any]) -> None:
        """The means of the metrics since the last record, and the gauges of this step."""
        with self._log.waits.on("device"):
            means, measured = self._guard.means(self._recent, number), _floats(gauges)
        images = min(len(self._recent), number - self._start) * self._batch_size
        self._recent, self._values = [], {**means, **measured}
        sentence = self._alarm.check(number, measured)
        self._log.write(number, self._values, images=images, alarm=sentence)
        if sentence:
            self._say(sentence)

    def _evaluate(self, number: int, state: TrainState) -> None:
        """The results of the hook: metrics, and pictures."""
        with self._log.waits.on("evaluation"):
            found = self._hook(state) if self._hook else {}
            pictures = {name: value for name, value in found.items() if np.ndim(value) == 3}
            measured = _floats({name: value for name, value in found.items() if name not in pictures})
        self._values |= measured
        if measured:
            self._log.write(number, measured)
        if pictures:
            self._log.show(number, pictures)


def _score(metrics: Mapping[str, float]) -> float:
    """Of a checkpoint, higher is better: k-NN with labels; below all of these the correlation of two views; or minus the loss.

    A loss may be lowest at a trivial solution. docs/evaluation.md has the measurements.
    """
    scores = metrics.get("knn", math.nan), metrics.get("view_correlation", math.nan) - 2
    return next((score for score in scores if math.isfinite(score)), -metrics["loss"])


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in jax.device_get(dict(metrics)).items()}
