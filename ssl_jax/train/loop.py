"""The trainer: runs the jitted step over the mesh, monitors it, and can be killed at any time."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from ssl_jax.errors import Stopped
from ssl_jax.evaluate.alarm import CollapseAlarm
from ssl_jax.methods.method import Method
from ssl_jax.optimizers import Optimizer
from ssl_jax.runs import CHECKPOINTS, PROFILE, read_metrics
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.finite import FiniteGuard
from ssl_jax.train.interrupts import Interrupts
from ssl_jax.train.log import Log, log_line
from ssl_jax.train.mesh import check_batch_size, make_mesh
from ssl_jax.train.profile import Profile
from ssl_jax.train.program import Program, make_program
from ssl_jax.train.records import Hook, Intervals, Records
from ssl_jax.train.state import TrainState
from ssl_jax.train.step import Augment, Batch
from ssl_jax.train.trackers import Tracker


class Input(Protocol):
    """An endless iterator of sharded batches that can save and restore its position: `ssl_jax.data.Batches`."""

    batch_size: int

    def __next__(self) -> Batch: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def fit(
    method: Method,
    augment: Augment,
    optimizer: Optimizer,
    batches: Input,
    *,
    steps: int,
    seed: int = 0,
    run: Path | None = None,
    mesh: Mesh | None = None,
    execution: Execution = PLAIN,
    hook: Hook | None = None,
    log_every: int = 50,
    hook_every: int = 500,
    save_every: int = 500,
    save_minutes: float | None = None,
    keep: int = 2,
    profile: int = 0,
    quiet: bool = False,
    program: Program | None = None,
    trackers: Sequence[Tracker] = (),
) -> TrainState:
    """Pre-trains for `steps` steps in all and returns the last state; deterministic on one machine.

    Args:
      augment: `(rng, uint8 image [H, W, C]) -> views`, for one example.
      batches: the input, sharded over the mesh by `batch_sharding(mesh)`.
      run: folder for metrics and checkpoints; training resumes from the last checkpoint in it. None writes nothing.
      execution: what trades time, memory and communication.
      hook: `state -> metrics`, called every `hook_every` steps and after the last; its "knn", where finite, is the
        score of the checkpoint; otherwise `_score` takes another. Entries that are uint8 `[H, W, 3]` are pictures, for
        TensorBoard's events and the trackers.
      save_minutes: time after which a checkpoint is written between those of `save_every`, too; never when None.
      keep: number of last checkpoints to keep, beside the best one.
      profile: number of steps whose trace is written to the folder `profile` of the run.
      trackers: get the metrics that are recorded in `run`, and stay open.
      program: `make_program` of these arguments; made from them when None.

    Raises:
      UsageError: the devices cannot share the batch equally.
      RunError: the loss or the state is no longer finite, in more steps than may be skipped, or the disk is full; earlier
        checkpoints are kept.
      Stopped: SIGTERM, SIGHUP or SIGINT came, and the state after the step is saved in `run`. A second signal acts as usual.

    Example:
      >>> recipe = simclr.demo(data="synthetic", image_size=8, encoder="small", batch_size=8, epochs=1)
      >>> mesh = make_mesh(1)
      >>> batches = Batches(recipe.data.train, 8, seed=0, sharding=batch_sharding(mesh))
      >>> state = fit(recipe.method, recipe.augment, recipe.optimizer(2), batches, steps=2, mesh=mesh, quiet=True)
      >>> print(state.step)
      2
    """
    mesh = mesh or make_mesh()
    check_batch_size(batches.batch_size, mesh, microbatches=execution.microbatches)
    program = program or make_program(method, augment, optimizer, seed=seed, mesh=mesh, execution=execution)
    checkpoints = Checkpoints(run / CHECKPOINTS, keep=keep) if run else None
    quiet = quiet or jax.process_index() > 0  # One process shows and writes the log.
    say = _say_nothing if quiet else log_line
    state, recent = _resume(checkpoints, program, batches) or (_begin(method, program, batches, say), [])
    start = int(jax.device_get(state.step))
    if start:
        say(f"resuming from step {start} of {steps} in {run}")
    guard = FiniteGuard(run, checkpoints, getattr(batches, "indices", None), state, execution, say)
    intervals, interrupts = Intervals(steps, log_every, hook_every, save_every), Interrupts(save_minutes=save_minutes)
    with (
        interrupts if checkpoints else nullcontext(),
        Log(run if jax.process_index() == 0 else None, steps=steps, start=start, quiet=quiet, trackers=trackers) as log,
        checkpoints or nullcontext(),
        Profile(run / PROFILE if run else None, steps=profile, start=start, last=steps) as trace,
        jax.transfer_guard("disallow"),
    ):
        alarm = CollapseAlarm(type(method).__name__, getattr(method, "facts", None), examples=batches.batch_size)
        alarm.check_log(read_metrics(run) if run and start else [])
        records = Records(
            log, guard, alarm,
            hook=hook, checkpoints=checkpoints, batch_size=batches.batch_size, recent=recent, start=start, say=say,
        )  # fmt: skip
        waits, held = log.waits, getattr(batches, "held", False)
        for number in range(start + 1, steps + 1):
            # Examples that the devices hold are read once. Then a program takes the batch, whose call may wait for a step.
            with waits.on_program("batch", first="input") if held else waits.on("input"):
                batch = next(batches)
            stop, late = interrupts.due(number, last=number == steps)
            due = intervals.due(number, save=stop or late)
            with waits.on_program("gauges") if due.record else nullcontext():
                gauges = program.gauges(state, batch) if due.record else {}
            with trace.before(number), waits.on_program("step"), guard.searching(number):
                state, metrics = program.step(state, batch)
            trace.after(number, metrics)
            records.add(number, metrics)
            records.write(number, state, due, gauges=gauges, input_state=batches.state)
            if due.checkpoint:
                interrupts.saved()
            # During the last step, a signal also stops what would come after training.
            if stop or (number == steps and interrupts.received and jax.process_count() == 1):
                raise Stopped(
                    f"stopped by {interrupts.received or 'a signal to another process'} after step {number} of {steps}: the "
                    f"state is saved in {run}, and the same command resumes from it."
                )
    return state


def _say_nothing(text: str) -> None:
    """For processes that show no log."""


def _begin(method: Method, program: Program, batches: Input, say: Callable[[str], None]) -> TrainState:
    """The state before the first step. A run that is killed before it starts again, with the same order of batches."""
    if method.fill_steps:
        say(f"encoding {method.fill_steps} batches before the first step, for its targets")
    state, position = program.init(), batches.state()
    for step in range(-method.fill_steps, 0):
        state = program.fill(state, next(batches), np.int32(step))
    batches.restore(position)
    return state


def _resume(checkpoints: Checkpoints | None, program: Program, batches: Input) -> tuple[TrainState, list[Any]] | None:
    """The state of the last checkpoint, and the metrics of the steps since the last record before it; None without one."""
    restored = checkpoints.restore(program.like, set_aside=True) if checkpoints else None
    if restored is None:
        return None
    batches.restore(restored.input_state)
    return restored.state, list(restored.recent)
