"""Exclusive use of the folder of a run: one process at a time, for one request."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ssl_jax.errors import RunError, UsageError, differences, writing
from ssl_jax.files import open_regular, printable, read_regular, write_json
from ssl_jax.runs.circumstances import circumstances, different_examples
from ssl_jax.runs.features import FEATURES
from ssl_jax.runs.folder import CHECKPOINTS, LAYOUT, LOCK, REQUEST, RESULTS, read_request

UNFINISHED = ".orbax-checkpoint-tmp"
LONGEST_LOCK = 4096  # Bytes.
REMEDY = "choose another folder with --run, or free disk space"
Arguments = dict[str, Any]


@contextlib.contextmanager
def open_run(
    run: Path,
    request: dict[str, Any],
    *,
    resume: bool,
    update: Callable[[Arguments], Arguments] = dict,
    about: Arguments | None = None,
) -> Iterator[None]:
    """The folder of a run, with its `run.json`, locked for this process until the context ends.

    A new folder is made; an existing one has to hold a run of the same request. A run that wrote neither a checkpoint nor
    results, such as a failed start, is replaced. The operating system releases the lock whenever the process ends,
    killed or not.

    Args:
      request: "method", "recipe", "arguments" and "seed": all that determines what is learned. And, where given, the "file" of
        a recipe from outside the package, with its "file_checksum", which is not compared, "microbatches", "init", and the
        fingerprint of the "examples".
      resume: whether a run that exists may be continued.
      update: recorded arguments -> the same arguments in the form of this version; applied to both requests before they are
        compared. Unchanged by default.
      about: what a new `run.json` says beside the request, and is not compared: its "steps".

    Raises:
      UsageError: the folder holds something else, or cannot be written.
      RunError: another process is training in it.
      KeyboardInterrupt: it was raised inside the context; the message says what the same command will do.
    """
    with writing("run", run, REMEDY):
        _check(run, request, resume=resume, update=update)
        run.mkdir(parents=True, exist_ok=True)
        lock = _lock(run)
    with lock:
        with writing("run", run, REMEDY):
            _clear(run)
            if _check(run, request, resume=resume, update=update):  # Again: another process may have written meanwhile.
                write_json(run / REQUEST, {"layout": LAYOUT} | request | (about or {}) | circumstances())
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_what_is_left(run)) from None


def _check(run: Path, request: dict[str, Any], *, resume: bool, update: Callable[[Arguments], Arguments]) -> bool:
    """Whether `run.json` has to be written; a `UsageError` where this request may not use the folder."""
    if (shown := printable(str(run.absolute()))) != str(run.absolute()):
        raise UsageError(
            f"run: {shown} has control characters, or bytes that are not UTF-8: choose another folder with --run."
        )
    if not (run / REQUEST).exists():
        if (run / CHECKPOINTS).is_dir():
            raise UsageError(
                f"run: {run} has checkpoints but no {REQUEST}: copy it from a run of the same command, or choose another "
                "folder with --run."
            )
        if run.exists() and (not run.is_dir() or {path.name for path in run.iterdir()} - {LOCK}):
            raise UsageError(f"run: {run} exists and is not a run of ssl_jax: choose another folder with --run.")
        return True
    if _is_empty(run):
        read_request(run)  # Raises where another program wrote this run.json: it is not replaced.
        return True
    if not resume:
        raise UsageError(f"run: {run} already holds a run and --no-resume was given: choose another folder with --run.")
    old, new = (_flat(each, update) for each in (read_request(run), request))
    examples = old.pop("examples", None), new.pop("examples", None)
    for each in (old, new):
        each.pop("file_checksum", None)  # A changed file is reported, as a changed commit is, and the run resumes.
        each.pop("skip_nonfinite", None)  # A run that stopped at such a step resumes with more of them.
    if differing := differences(old, new, in_first=f"in its {REQUEST}", in_second="in this command"):
        raise UsageError(
            f"run: {run} holds another run ({'; '.join(differing)}): choose another folder with --run, or repeat its command."
        )
    if changed := different_examples(*examples):
        raise UsageError(
            f"data: the examples of {run} have changed ({'; '.join(changed)}): restore them, or choose another --run folder."
        )
    return False


def _clear(run: Path) -> None:
    """Removes what a kill left behind: drafts of files, and checkpoints that were not finished. The lock is held."""
    for path in (*run.glob(".*.draft*"), *(run / FEATURES).glob(".*.draft*")):
        path.unlink()
    for path in (run / CHECKPOINTS).glob(f"*{UNFINISHED}*"):
        shutil.rmtree(path)


def _what_is_left(run: Path) -> str:
    """A sentence for the user who has stopped a run."""
    if _is_empty(run):
        return f"stopped before the first checkpoint of {run}: the same command starts it again"
    return f"stopped: the same command resumes {run} from its last checkpoint"


def _is_empty(run: Path) -> bool:
    """Whether a run has neither results nor a checkpoint, finished or damaged, so that it can be replaced."""
    checkpoints = run / CHECKPOINTS
    saved = checkpoints.is_dir() and any(UNFINISHED not in path.name for path in checkpoints.iterdir())
    return not saved and not (run / RESULTS).exists()


def holder(run: Path) -> str | None:
    """The process that trains in this folder; None where none does, or where the file system has no locks. Writes nothing."""
    try:
        with open_regular(run / LOCK, at_most=LONGEST_LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named_in(run)
    except OSError:
        pass
    return None


def _named_in(run: Path) -> str:
    try:
        text = read_regular(run / LOCK, at_most=LONGEST_LOCK)
    except OSError:
        text = b""
    return printable(os.fsdecode(text).strip()) or "another process"


def _lock(run: Path) -> TextIO:
    """The open lock file of a folder; closing it releases the lock."""
    file = open(run / LOCK, "a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RunError(
            f"run: {run} is in use by {_named_in(run)}: wait until it ends, or choose another folder with --run."
        ) from None
    except OSError:  # Some network file systems have no locks; runs on them are unprotected.
        return file
    file.truncate(0)
    print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
    return file


def _flat(request: dict[str, Any], update: Callable[[Arguments], Arguments]) -> dict[str, Any]:
    """The request in the form that JSON returns, in one flat dict."""
    rest = {"microbatches": 1} | {name: value for name, value in request.items() if name != "arguments"}
    return json.loads(json.dumps(rest | update(request["arguments"])))
