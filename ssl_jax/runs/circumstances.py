"""Versions, commit and device of a run: needed to repeat it, or to explain why it cannot be repeated."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ssl_jax import __version__
from ssl_jax.errors import differences
from ssl_jax.runs.folder import REQUEST

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "grain", "numpy")


def circumstances() -> dict[str, Any]:
    """The current versions, commit and device, which `run.json` records beside the request."""
    import jax  # noqa: PLC0415  `ssl-jax watch`, which reads the files of a run, does not wait for it.

    device = jax.devices()[0]
    return {
        "versions": versions(),
        "commit": commit(Path(__file__).parents[2]),
        "device": f"{device.device_kind} ({os.cpu_count()} cores)" if device.platform == "cpu" else device.device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def changes(record: Mapping[str, Any]) -> list[str]:
    """What in a `run.json` differs from now, of what may change the last digits of results: versions, commit, devices."""
    now = circumstances()
    before, after = (
        {
            **_dict(each.get("versions")),
            **{name: each.get(name) for name in ("device", "devices", "processes")},
            "commit": str(each.get("commit"))[:10],
        }
        for each in (record, now)
    )
    return differences(before, after, in_first=f"in its {REQUEST}", in_second="now")


def different_examples(old: Any, new: Any) -> list[str]:
    """Where two fingerprints of a data set differ; nowhere if one is missing, as in runs of older versions."""
    return differences(old, new, in_first=f"in its {REQUEST}", in_second="now") if old and new else []


def changed_file(record: Mapping[str, Any], checksum: str | None) -> list[str]:
    """A sentence where the file of a recipe from outside the package has changed since a `run.json`, which may have none."""
    before = record.get("file_checksum")
    return [f"{record.get('file')} has changed"] if before and checksum and before != checksum else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def versions() -> dict[str, str]:
    """Those of the package, Python, and the libraries on which results depend."""
    return {"ssl_jax": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit(root: Path) -> str | None:
    """Git commit of the repository at `root`, with a "+" if files of the package have changed since.

    None where `root` is no repository, or lies within another one, as a virtual environment within a project does.
    """
    try:
        if not Path(_git(root, "rev-parse", "--show-toplevel")).samefile(root):
            return None
        head, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "ssl_jax")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    """What git prints; without the program that a repository may name as its monitor of files, which `git status` starts."""
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
