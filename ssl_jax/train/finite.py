"""Losses and states that are not finite: the step, its examples and the operation are named; a few steps may be skipped."""

import contextlib
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from ssl_jax.errors import RunError
from ssl_jax.methods.method import Metrics
from ssl_jax.runs import NONFINITE, add_nonfinite, read_metrics
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.execution import Execution
from ssl_jax.train.integrity import not_finite
from ssl_jax.train.state import TrainState

ADVICE = "try a lower learning rate, a longer warm-up or a higher temperature."
HERE = Path(__file__).parents[1]


class FiniteGuard:
    """Stops a run at the first step whose loss or state is not finite, with one sentence.

    Args:
      run: folder of the run, in which the step and the examples of its batch are recorded; None for none.
      checkpoints: those of the run.
      indices: number of batches before -> indices of the examples of a batch; None where the input cannot tell.
      state: the state at the start, at step `start`. Values that are infinite in it, such as a running minimum, may stay so.
      execution: how many steps may be skipped, and whether operations that give NaN are searched.
      say: shows a sentence.
    """

    def __init__(
        self,
        run: Path | None,
        checkpoints: Checkpoints | None,
        indices: Callable[[int], Any] | None,
        state: TrainState,
        execution: Execution,
        say: Callable[[str], None],
    ):
        self._run, self._checkpoints, self._indices, self._say = run, checkpoints, indices, say
        self._allowed, self._searching = execution.skip_nonfinite, execution.debug_nans
        self._at_start, start = not_finite(state), int(jax.device_get(state.step))
        records = read_metrics(run) if run and self._allowed else []
        self.skipped = sum(int(record.get("skipped") or 0) for record in records if record["step"] <= start)

    def means(self, recent: Sequence[Metrics], number: int) -> dict[str, float]:
        """Means of the metrics of the last steps, up to step `number`, without skipped steps, whose number is "skipped"."""
        fetched = jax.device_get(list(recent))
        for step, metrics in enumerate(fetched, start=number - len(fetched) + 1):
            if metrics.get("skipped") or not math.isfinite(metrics["loss"]):
                self._not_finite(step, float(metrics["loss"]), float(metrics["gradient_norm"]))
        kept = [metrics for metrics in fetched if not metrics.get("skipped")] or fetched
        names = kept[-1].keys() - {"skipped"}
        skipped = {"skipped": float(sum(metrics.get("skipped", 0) for metrics in fetched))} if self._allowed else {}
        return {
            name: sum(float(metrics[name]) for metrics in kept) / len(kept) for name in kept[-1] if name in names
        } | skipped

    def check(self, state: TrainState, number: int) -> None:
        """Refuses a state that is not finite: a loss depends on the parameters before the update only."""
        for name, kind in not_finite(state).items():
            if kind == "NaN" or self._at_start.get(name) != kind:
                raise RunError(f"after step {number} {name} is {kind}: {self._kept()}; {ADVICE}")

    @contextlib.contextmanager
    def searching(self, number: int) -> Iterator[None]:
        """With `debug_nans`, finds the operation within that gives NaN first; it is run again, one operation at a time."""
        if not self._searching:
            yield
            return
        try:
            # JAX prints a line on standard output, which belongs to the results.
            with jax.debug_nans(True), jax.transfer_guard("allow"), contextlib.redirect_stdout(sys.stderr):
                yield
        except FloatingPointError as fault:
            places = [frame for frame in traceback.extract_tb(fault.__traceback__) if _is_a_formula(frame.filename)]
            place = (
                f"{places[-1].line} ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else str(fault)
            )
            raise RunError(f"step {number} first gives NaN in {place}: {self._kept()}; {ADVICE}") from fault

    def _not_finite(self, step: int, loss: float, gradient_norm: float) -> None:
        """Records a step; raises where it cannot be skipped."""
        where = self._record(step, loss, gradient_norm)
        if not self._allowed:
            raise RunError(f"the loss became {loss} at step {step}: {self._kept()}{where}; {ADVICE}")
        self.skipped += 1
        found = f"step {step} is skipped, since its loss is {loss:.4g} and the norm of its gradient {gradient_norm:.4g}"
        if self.skipped > self._allowed:
            raise RunError(f"{found}: more than {self._allowed} are skipped: {self._kept()}{where}; {ADVICE}")
        self._say(f"{found}: {self.skipped} of at most {self._allowed}{where}")

    def _record(self, step: int, loss: float, gradient_norm: float) -> str:
        """Records a step; the clause that says where."""
        if self._run is None or self._indices is None:
            return ""
        if jax.process_index() == 0:
            examples = [int(index) for index in self._indices(step - 1)]
            record = {"step": step, "loss": loss, "gradient_norm": gradient_norm, "examples": examples}
            add_nonfinite(self._run, record)
        return f"; the examples of its batch are in {self._run / NONFINITE}"

    def _kept(self) -> str:
        """What is kept of a run that cannot continue."""
        if self._checkpoints and self._checkpoints.steps:
            return f"the last good checkpoint is kept in {self._run}"
        return "nothing was saved before"


def _is_a_formula(file: str) -> bool:
    """Whether a file holds the mathematics of a step: the trainer and the libraries call it."""
    path = Path(file)
    return not path.is_relative_to(HERE / "train") and "site-packages" not in path.parts
