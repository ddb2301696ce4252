"""The folder of a run: what was asked for (`run.json`), and whether a new command may go on in it."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from ssl_jax import __version__
from ssl_jax.errors import UsageError
from ssl_jax.files import write_json

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "grain", "numpy")


def open_run(run: Path, request: dict[str, Any], *, resume: bool) -> None:
    """Makes the folder and its `run.json`, or checks that the run which is there was asked for in the same words.

    `request` holds "method", "recipe", "arguments" and "seed": all that decides what is learned.
    """
    if not (run / "run.json").exists():
        if run.is_file() or (run.is_dir() and any(run.iterdir())):
            raise UsageError(
                f"run: {run} is there already and is not a run of ssl_jax: choose another folder with --run."
            )
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / "run.json", request | _circumstances())
        return
    if not resume:
        raise UsageError(f"run: {run} holds a run already and --no-resume was given: choose another folder with --run.")
    there = read_request(run)
    differing = [
        f"{name} is {there_flat.get(name)!r} there and {asked_flat.get(name)!r} here"
        for there_flat, asked_flat in [(_flat(there), _flat(request))]
        for name in sorted(there_flat.keys() | asked_flat.keys())
        if there_flat.get(name) != asked_flat.get(name)
    ]
    if differing:
        raise UsageError(
            f"run: {run} holds another run ({'; '.join(differing)}): choose another folder with --run, or ask for the same."
        )


def read_request(run: Path) -> dict[str, Any]:
    """What the run in this folder was asked for."""
    path = run if run.name.endswith(".json") else run / "run.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("method", "recipe", "arguments", "seed")}
    except FileNotFoundError:
        raise UsageError(f"run: there is no {path}: name the folder of a run, as pretrain printed it.") from None
    except (ValueError, KeyError, UnicodeDecodeError):
        raise UsageError(f"run: {path} is not a run.json that ssl_jax wrote: name the folder of a run.") from None


def _flat(request: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in request.items() if name != "arguments"}
    return json.loads(json.dumps(rest | request["arguments"]))


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
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")
