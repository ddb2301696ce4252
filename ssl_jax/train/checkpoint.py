"""Checkpoints: the state, the position in the input and checksums of both, written by Orbax together, asynchronously and
atomically. A checkpoint that differs from what was saved is refused."""

import gc
import logging
import math
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ssl_jax.errors import RunError, UsageError, reason_of
from ssl_jax.train.integrity import by_name, checksums
from ssl_jax.train.manifest import read_manifest, with_checksum
from ssl_jax.train.state import TrainState


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


class Restored(NamedTuple):
    """A checkpoint: the state, the position in the input, and the metrics of the steps since the last record of the log."""

    state: TrainState
    input_state: dict[str, Any]
    recent: list[dict[str, float]]


class Checkpoints:
    """The checkpoints of one run: the last `keep`, and the one with the best score (`train.loop`)."""

    def __init__(self, folder: Path, *, keep: int = 2):
        self.folder = folder.absolute()
        logging.getLogger("absl").addFilter(_is_news)  # Once, however often it is added.
        best = BestN(get_metric_fn=_score, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            best_fn=_score, preservation_policy=AnyPreservationPolicy([LatestN(keep), best]), create=True,
            prevent_write_metrics=True,
        )  # fmt: skip
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"run: {self.folder} is a file, expected a folder of checkpoints: move it away.")
        if endless := _not_regular(self.folder):
            raise RunError(f"run: {endless} is not a regular file: remove it; reading it may never end.")
        _set_aside_descriptions(self.folder)
        self._manager = _Manager(self.folder, options=options)

    def save(
        self,
        state: TrainState,
        *,
        input_state: dict[str, Any],
        score: float | None,
        recent: Sequence[Mapping[str, float]] = (),
    ) -> None:
        """Starts writing in the background.

        Args:
          input_state: position in the input.
          score: higher is better; None for a checkpoint that is never the best one.
          recent: metrics of the steps since the last record of the log.

        Raises:
          RunError: the disk is too full.
        """
        step = int(jax.device_get(state.step))
        if step in self.steps:
            return
        needed = 2 * sum(
            leaf.nbytes for leaf in jax.tree.leaves(state)
        )  # Twice: the one that it replaces is still on disk.
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise RunError(
                f"run: the checkpoint of step {step} needs {needed / 2**20:.0f} MiB in {self.folder} and "
                f"{free / 2**20:.0f} MiB are free: free disk space and repeat the command; earlier checkpoints are kept."
            )
        manifest = {"input": input_state, "score": score, "recent": list(recent), "checksums": checksums(state)}
        manifest = with_checksum(manifest)
        parts = ocp.args.Composite(state=ocp.args.StandardSave(state), manifest=ocp.args.JsonSave(manifest))
        with _writing(self.folder):
            self._manager.save(step, args=parts, metrics={"score": -math.inf if score is None else score})

    def restore(self, like: Any, *, step: int | None = None, set_aside: bool = False) -> Restored | None:
        """The last intact checkpoint, or that of `step`, in the shardings of `like`; None if there is none.

        A damaged one is skipped, with a sentence on standard error. `set_aside` renames it, so that the run can write its step
        again.

        Raises:
          UsageError: there are checkpoints, but none of `step`.
          RunError: none is intact, or that of `step` is not.
        """
        self.check_step(step)
        steps = self.steps[::-1]
        candidates = steps if step is None else [step] * bool(steps)
        with _quietly():
            number, found = self._first_whole(candidates, like)
        if found is not None:
            if set_aside and number:
                self._set_aside(candidates[:number])
            return found
        if step is not None and len(steps) > 1:
            others = _list([other for other in steps if other != step])
            raise RunError(f"step: the checkpoint of step {step} cannot be read: {self.folder} also has {others}.")
        if steps:
            raise RunError(
                f"run: none of the checkpoints in {self.folder} can be read: start again with another --run folder."
            )
        return None

    def check_step(self, step: int | None) -> None:
        """A `UsageError` where there are checkpoints, but none of this step."""
        if (steps := self.steps[::-1]) and step not in (None, *steps):
            raise UsageError(f"step: got {step}, but {self.folder} has {_list(steps)}: choose one of these.")

    def examine(self) -> dict[int, str | None]:
        """Of each checkpoint, what is wrong with it; None where all of it is what was saved. Needs no recipe."""
        return {step: self._fault(step) for step in self.steps}

    def _fault(self, step: int) -> str | None:
        here = SingleDeviceSharding(jax.local_devices()[0])
        try:
            with _quietly():
                stored = ocp.StandardCheckpointer().metadata(self.folder / str(step) / "state").item_metadata.tree
                like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), stored)
                self._verified(step, TrainState(**like))
        except Exception as fault:  # Of any type.
            return reason_of(fault)
        return None

    def _first_whole(self, steps: list[int], like: Any) -> tuple[int, Restored | None]:
        """The first of the checkpoints that can be read, and the number of unreadable ones before it."""
        for number, step in enumerate(steps):
            try:
                return number, self._read(step, like)
            except Exception as fault:  # Orbax raises many types; the checkpoint before may be intact.
                print(
                    f"checkpoint of step {step} in {self.folder} cannot be read ({reason_of(fault)})", file=sys.stderr
                )
            gc.collect()  # Messages of abandoned reads come with their collection: now, while they are kept back.
        return len(steps), None

    def _read(self, step: int, like: Any) -> Restored:
        """Raises an exception of any type where a part is missing, damaged, or of another type than in `like`."""
        restored, expected = self._verified(step, like), by_name(like)
        for name, leaf in by_name(restored.state).items():
            if leaf.dtype != expected[name].dtype:  # A random key without its type is an array of the same bits.
                raise ValueError(f"{name} has the type {leaf.dtype}, expected {expected[name].dtype}")
        return restored

    def _verified(self, step: int, like: Any) -> Restored:
        """The checkpoint, compared with its checksums."""
        manifest = read_manifest(self.folder / str(step))
        parts = ocp.args.Composite(state=ocp.args.StandardRestore(like))
        state = self._manager.restore(step, args=parts).state
        sums = checksums(state)
        for name in sums:
            if sums[name] != manifest.get("checksums", sums).get(name):
                raise ValueError(f"{name} is not what was saved: its checksum differs")
        if (saved := int(jax.device_get(state.step))) != step:
            raise ValueError(f"it is the one of step {saved}: its folder was renamed or copied")
        return Restored(state, manifest["input"], manifest.get("recent", []))

    def _set_aside(self, steps: list[int]) -> None:
        if jax.process_index() == 0:
            for step in steps:
                (self.folder / str(step)).rename(self.folder / f"damaged-{step}-{time.time_ns()}")
        multihost_utils.sync_global_devices("checkpoints set aside")
        self._manager.reload()

    @property
    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order."""
        return sorted(self._manager.all_steps())

    @property
    def best_step(self) -> int | None:
        """Step with the highest score."""
        return self._manager.best_step()

    def close(self) -> None:
        """Waits until all writes have finished."""
        with _writing(self.folder):
            self._manager.wait_until_finished()
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Manager(ocp.CheckpointManager):
    """Orbax's manager with the scores of the manifests. A checkpoint with a damaged manifest has no score."""

    def metrics(self, step: int) -> Any:
        try:
            return {"score": float(read_manifest(Path(self.directory) / str(step))["score"])}
        except Exception:  # Of any type; `Checkpoints.restore` reports it.
            return None


def _is_news(record: logging.LogRecord) -> bool:
    """False of the tracebacks that Orbax logs for each of its threads after a failed write, which it also raises."""
    return record.levelno != logging.ERROR or "orbax" not in Path(record.pathname).parts


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turns a failed write into a `RunError`. Orbax writes in threads: it fails at the next save, or at the end."""
    try:
        yield
    except Exception as fault:  # Of any type.
        raise RunError(
            f"run: a checkpoint cannot be written in {folder} ({reason_of(fault)}): make room or access there and start the "
            "same command again; finished checkpoints are kept."
        ) from fault


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Orbax's warnings, and a traceback for each read that it abandons after one has failed."""
    loggers, hook = [logging.getLogger(name) for name in ("asyncio", "absl")], sys.unraisablehook
    before = [logger.disabled for logger in loggers]
    sys.unraisablehook = lambda _: None
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _set_aside_descriptions(folder: Path) -> None:
    """Renames damaged descriptions: with one, Orbax lists no checkpoint at all; without it, it reads the checkpoint."""
    if jax.process_index() == 0:
        for path, reason in damaged_descriptions(folder):
            try:
                path.rename(path.with_name(f"damaged-{path.name}"))
            except OSError as fault:
                raise RunError(
                    f"run: {path} is damaged ({reason}): remove this file; its checkpoint can be read without it."
                ) from fault
            print(f"{path} is damaged ({reason}): renamed, its checkpoint is read without it", file=sys.stderr)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("descriptions")


def _not_regular(folder: Path) -> Path | None:
    """A pipe or a device in a folder, or a link to one; None where there is none."""
    for inside, _, names in os.walk(folder):
        for path in (Path(inside, name) for name in names):
            try:
                if not stat.S_ISREG(path.stat().st_mode):
                    return path
            except OSError:  # Gone meanwhile, as another process may replace checkpoints, or a link to nothing.
                pass
    return None


def damaged_descriptions(folder: Path) -> Iterator[tuple[Path, str]]:
    """The unreadable description files of checkpoints, with reasons. Orbax tolerates missing ones."""
    for found in ocp.path.step.standard_name_format().find_all(folder):
        try:
            found.commit_timestamp  # noqa: B018  Only now is the file read.
        except Exception as fault:  # Of any type.
            yield Path(found.path) / "_CHECKPOINT_METADATA", reason_of(fault)


def _list(steps: list[int]) -> str:
    *before, last = map(str, sorted(steps))
    return f"the checkpoints of steps {', '.join(before)} and {last}" if before else f"the checkpoint of step {last}"
