"""A trace of some steps: what host and devices do when, for XProf, TensorBoard or Perfetto."""

from pathlib import Path
from typing import Any

import jax

from ssl_jax.errors import UsageError

SETTLED = 10  # Steps before the trace: compilation, the first records, a full pipeline of input.


def check_profile(steps: int, *, left: int) -> None:
    """A `UsageError` where a run with so many steps left ends before the trace of `steps` does; a finished run has none."""
    most = left - SETTLED
    if steps and 0 < left < steps + SETTLED:
        advice = f"choose at most {most}, or 0" if most > 0 else f"train for more than {SETTLED} steps, or choose 0"
        raise UsageError(f"profile: got {steps} steps, which follow {SETTLED} others, and {left} are left: {advice}.")


class Profile:
    """Traces `steps` steps of a run after the first `SETTLED` of this start; leaving it ends a trace that is under way.

    Args:
      folder: where the trace is written, in a folder with the time as its name.
      steps: number of steps to trace; 0 for none.
      start, last: the steps that are done, and the last one of the run.

    Raises:
      UsageError: the run ends before the trace does.
    """

    def __init__(self, folder: Path | None, *, steps: int, start: int, last: int):
        self._folder, self._first, self._end = folder, start + SETTLED + 1, start + SETTLED + steps
        self._active = False
        if steps and folder is None:
            raise UsageError("profile: a trace needs the folder of a run.")
        check_profile(steps, left=last - start)
        self._steps = steps

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._active:
            self._active = False
            jax.profiler.stop_trace()

    def before(self, number: int) -> jax.profiler.StepTraceAnnotation:
        """Starts the trace before its first step; entered, what it returns marks this step in the trace."""
        if self._steps and number == self._first:
            jax.profiler.start_trace(str(self._folder))
            self._active = True
        return jax.profiler.StepTraceAnnotation("step", step_num=number)

    def after(self, number: int, results: Any) -> None:
        """Ends the trace after its last step, when the devices have the step's `results`."""
        if self._active and number == self._end:
            jax.block_until_ready(results)
            self.__exit__()
