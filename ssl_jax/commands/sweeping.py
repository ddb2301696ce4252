"""`ssl-jax sweep`: runs for all combinations of options, one after another, each in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ssl_jax.commands.comparing import PAGE, compare
from ssl_jax.commands.grid import SWEEP, Member, Sweep, known_runs
from ssl_jax.errors import RunError, Stopped, UsageError, differences, writing
from ssl_jax.files import write_json
from ssl_jax.runs import REQUEST, holder, read_results
from ssl_jax.train.interrupts import STOPPING
from ssl_jax.train.log import log_line

STOPPED = 75  # What pretrain ends with when a signal stopped it.
PROGRAM = (
    sys.executable,
    "-P",
    "-m",
    "ssl_jax.cli",
)  # -P: not the folder where it is started, which may hold another ssl_jax.


class Outcome:
    """What became of the runs of a sweep.

    Attributes:
      failed: exit codes of those that failed, by name.
      unfinished: names of those that were stopped, not started, or are trained by another process.
    """

    def __init__(self, folder: Path, total: int):
        self.folder, self.total = folder, total
        self.failed: dict[str, int] = {}
        self.unfinished: list[str] = []

    def note(self, name: str, code: int, *, stopped: bool) -> None:
        """What a run ended with."""
        if code and stopped:
            self.unfinished.append(name)
        elif code:
            self.failed[name] = code
            log_line(f"{name} failed with exit code {code}; the sweep goes on")

    def check(self) -> None:
        """Raises a `RunError` where a run failed, else a `Stopped` where one has not finished."""
        left = f"; {len(self.unfinished)} have not finished" if self.unfinished else ""
        if self.failed:
            names = ", ".join(f"{name} (exit code {code})" for name, code in self.failed.items())
            raise RunError(
                f"sweep: {len(self.failed)} of {self.total} runs failed: {names}{left}: their sentences are above; the same "
                "command starts them again."
            )
        if self.unfinished:
            raise Stopped(
                f"sweep: {len(self.unfinished)} of {self.total} runs in {self.folder} have not finished: the same command goes "
                "on."
            )


def run_sweep(sweep: Sweep) -> tuple[dict[str, Any], Outcome]:
    """Trains the runs that have not finished, one after another, and compares all; returns `compare`'s tables, and the outcome.

    A run that fails does not stop the others. A signal stops the one that is training, whose state is saved, and the sweep.

    Raises:
      UsageError: the folder holds something else, or runs of these names with other options.

    Example:
      >>> sweep = commands.make_sweep(
      ...     simclr.demo, ["--seed", "0", "1"], chosen=[], folder=str(folder), prog="ssl-jax sweep simclr"
      ... )
      >>> tables, outcome = run_sweep(sweep)  # doctest: +SKIP
    """
    folder, total = sweep.folder, len(sweep.members)
    _open(folder, sweep.members)
    outcome = Outcome(folder, total)
    with Relay() as relay:
        for number, member in enumerate(sweep.members, 1):
            run, what = folder / member.name, f"run {number} of {total}, {member.name}"
            if _finished(run):
                log_line(f"{what}: has finished before")
            elif relay.received:
                outcome.unfinished.append(member.name)
            elif by := holder(run):
                log_line(f"{what}: is trained by {by}")
                outcome.unfinished.append(member.name)
            else:
                log_line(what)
                code = relay.run([*PROGRAM, *sweep.pretrain(member)])
                outcome.note(member.name, code, stopped=code == STOPPED or bool(relay.received))
    started = [folder / member.name for member in sweep.members if (folder / member.name / REQUEST).exists()]
    tables = compare(started, output=folder / PAGE) if started else {}
    return tables | {"failed": outcome.failed, "unfinished": outcome.unfinished}, outcome


class Relay:
    """In this context, signals that stop a run go to the process that `run` has started, and are noted.

    The process does not get those of the terminal itself, so that each comes once; a second one ends it at once.

    Attributes:
      received: name of the first signal; None before.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._passed_on = False
        self._process: subprocess.Popen[bytes] | None = None
        self._usual: Mapping[int, Any] = {}

    def run(self, words: Sequence[str]) -> int:
        """The exit code of a program; what it writes to standard output is dropped, since the sweep has a line of its own."""
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
        if self.received and not self._passed_on:  # It came while the process was started.
            self._process.send_signal(signal.Signals[self.received])
        code = self._process.wait()
        self._process = None
        return code

    def __enter__(self) -> "Relay":
        usual = {number: signal.getsignal(number) for number in STOPPING}
        self._usual = {number: how for number, how in usual.items() if how not in (signal.SIG_IGN, None)}
        for number in self._usual:
            signal.signal(number, self._pass_on)
        return self

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number).name
        if self._process is not None:
            self._passed_on = True
            self._process.send_signal(number)

    def __exit__(self, *_: object) -> None:
        for number, how in self._usual.items():
            signal.signal(number, how)


def _open(folder: Path, members: Sequence[Member]) -> None:
    """Writes the runs into the folder's `SWEEP`, beside those that it has; refuses those that have other options there."""
    before = known_runs(folder)
    if not before and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"run: {folder} exists and is not the folder of a sweep: choose another folder with --run.")
    for member in members:
        old = before.get(member.name, member.values)
        if differing := differences(old, member.values, in_first="there", in_second="in this command"):
            raise UsageError(
                f"run: {folder} holds another sweep, whose {member.name} differs ({'; '.join(differing)}): choose another "
                "folder with --run, or repeat its command."
            )
    with writing("run", folder, "choose another folder with --run, or free disk space"):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SWEEP, {"runs": before | {member.name: member.values for member in members}})


def _finished(run: Path) -> bool:
    return "steps" in (read_results(run) or {})
