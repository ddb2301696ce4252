"""Checkpoints: the state and the place in the input, written together, asynchronously and all or nothing, by Orbax."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ssl_jax.errors import RunError
from ssl_jax.train.state import TrainState


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


class Checkpoints:
    """The checkpoints of one run: the last `keep`, and the one with the best k-NN accuracy (lowest loss without labels)."""

    def __init__(self, folder: Path, *, keep: int = 2):
        self.folder = folder.absolute()
        best = BestN(get_metric_fn=_score, n=1)
        options = ocp.CheckpointManagerOptions(
            best_fn=_score, preservation_policy=AnyPreservationPolicy([LatestN(keep), best]), create=True
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, state: TrainState, *, input_state: dict[str, Any], score: float) -> None:
        """Starts writing; training goes on meanwhile. `score`: higher is better. Refuses a disk that is too full."""
        step = int(jax.device_get(state.step))
        if step in self._manager.all_steps():
            return
        needed = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state))  # Twice: room for the one being replaced.
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise RunError(
                f"run: the checkpoint of step {step} needs {needed / 2**20:.0f} MiB in {self.folder} and "
                f"{free / 2**20:.0f} MiB are free: make room and start the same command again; those before it are kept."
            )
        parts = ocp.args.Composite(state=ocp.args.StandardSave(state), input=ocp.args.JsonSave(input_state))
        self._manager.save(step, args=parts, metrics={"score": score})

    def restore(
        self, like: Any, *, step: int | None = None, set_aside: bool = False
    ) -> tuple[TrainState, dict[str, Any]] | None:
        """The last checkpoint that can be read, or that of `step`, in the shardings of `like`; None if there is none.

        A damaged one is passed over, with a sentence on standard error, for the one before. `set_aside` renames it, so that
        the run can write its step anew.
        """
        steps = sorted(self._manager.all_steps(), reverse=True) if step is None else [step]
        for number, candidate in enumerate(steps):
            try:
                parts = ocp.args.Composite(state=ocp.args.StandardRestore(like), input=ocp.args.JsonRestore())
                found = self._manager.restore(candidate, args=parts)
            except Exception as fault:  # Orbax raises many types; whichever it is, the one before may be whole.
                reason = str(fault).strip().split("\n")[0][:200] or type(fault).__name__
                print(f"checkpoint of step {candidate} in {self.folder} cannot be read ({reason})", file=sys.stderr)
                continue
            if set_aside and number:
                for damaged in steps[:number]:
                    (self.folder / str(damaged)).rename(self.folder / f"damaged-{damaged}-{time.time_ns()}")
                self._manager.reload()
            return found.state, found.input
        if steps:
            raise RunError(
                f"run: none of the checkpoints in {self.folder} can be read: start anew with another --run folder."
            )
        return None

    @property
    def best_step(self) -> int | None:
        """Step with the highest score."""
        return self._manager.best_step()

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
