"""The folder of a run: its request (`run.json`), its lock, and whether a new command may use it."""

import contextlib
import fcntl
import json
import os
import platform
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import jax

from ssl_jax import __version__
from ssl_jax.errors import RunError, UsageError, writing
from ssl_jax.files import write_json
from ssl_jax.recipes.recipe import absolute

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "grain", "numpy")
REQUEST = {"method": str, "recipe": str, "arguments": dict, "seed": int}
LOCK = "lock"
REMEDY = "choose another folder with --run, or make room there"


@contextlib.contextmanager
def open_run(run: Path, request: dict[str, Any], *, resume: bool) -> Iterator[None]:
    """The folder of a run, with its `run.json`, locked for this process until the context ends.

    A new folder is made; one that exists has to hold a run of the same request. A run that wrote neither a checkpoint nor
    results, such as a start that failed, is replaced. The operating system releases the lock when the process ends, however
    it ends.

    Args:
      request: "method", "recipe", "arguments" and "seed": all that decides what is learned.
      resume: whether a run that exists may be continued.

    Raises:
      UsageError: the folder holds something else, or cannot be written.
      RunError: another process is training in it.
    """
    with writing("run", run, REMEDY):
        _check(run, request, resume=resume)
        run.mkdir(parents=True, exist_ok=True)
        lock = _lock(run)
    with lock:
        with writing("run", run, REMEDY):
            if _check(run, request, resume=resume):  # Once more: another process may have been faster.
                write_json(run / "run.json", request | _circumstances())
        yield


def _check(run: Path, request: dict[str, Any], *, resume: bool) -> bool:
    """Whether `run.json` has to be written; a `UsageError` where this request may not use the folder."""
    if not (run / "run.json").exists():
        if run.exists() and (not run.is_dir() or {path.name for path in run.iterdir()} - {LOCK}):
            raise UsageError(f"run: {run} exists and is not a run of ssl_jax: choose another folder with --run.")
        return True
    if _is_empty(run):
        return True
    if not resume:
        raise UsageError(f"run: {run} holds a run already and --no-resume was given: choose another folder with --run.")
    old, new = _flat(read_request(run)), _flat(request)
    differing = [
        f"{name} is {old.get(name)!r} there and {new.get(name)!r} here"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise UsageError(
            f"run: {run} holds another run ({'; '.join(differing)}): choose another folder with --run, or repeat its command."
        )
    return False


def _is_empty(run: Path) -> bool:
    """Whether a run has nothing to lose: neither results nor a checkpoint, finished or damaged."""
    checkpoints = run / "checkpoints"
    saved = checkpoints.is_dir() and any(".orbax-checkpoint-tmp" not in path.name for path in checkpoints.iterdir())
    return not saved and not (run / "results.json").exists()


def _lock(run: Path) -> TextIO:
    """The open lock file of a folder; closing it releases the lock."""
    file = open(run / LOCK, "a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise RunError(
            f"run: {run} is in use by {holder}: wait for its end, or choose another folder with --run."
        ) from None
    except OSError:  # Some network file systems have no locks; there, runs are as unprotected as they were without.
        return file
    file.truncate(0)
    print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
    return file


def read_request(run: Path) -> dict[str, Any]:
    """What the run in this folder, or the run of this `run.json`, was started with."""
    path = run if run.name.endswith(".json") else run / "run.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"run: there is no {path}: name the folder of a run, as pretrain printed it.") from None
    except OSError as fault:
        raise UsageError(f"run: {path} cannot be read ({fault.strerror}): name the folder of a run.") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in REQUEST.items()):
        raise UsageError(f"run: {path} is not a run.json that ssl_jax wrote: name the folder of a run.")
    return {name: found[name] for name in REQUEST}


def _flat(request: dict[str, Any]) -> dict[str, Any]:
    """The request as JSON would have it, in one dict; paths are absolute, since older runs recorded relative ones."""
    rest = {name: value for name, value in request.items() if name != "arguments"}
    return json.loads(json.dumps(rest | absolute(request["arguments"])))


def _circumstances() -> dict[str, Any]:
    """Versions, commit, device: what is needed to repeat a run or to explain why it cannot be repeated."""
    device = jax.devices()[0]
    return {
        "versions": {"ssl_jax": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "device": f"{device.device_kind} ({os.cpu_count()} cores)" if device.platform == "cpu" else device.device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str | None:
    """Git commit of this code, with a "+" if files were changed since; None where it is installed without its history."""
    root = Path(__file__).parents[1]
    git = ["git", "-C", str(root)]
    try:
        top, head, changed = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--show-toplevel"], ["rev-parse", "HEAD"], ["status", "--porcelain", "ssl_jax"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    if not Path(top).samefile(root):  # The repository of a project in whose virtual environment the package lies.
        return None
    return head + ("+" if changed else "")
