"""Soak: training that is killed at random instants, for an hour or more, ends with the bits of a run that nobody disturbed.

    python -m benchmarks soak --minutes 60

Each round is a run of the same command in a new folder, every second one by two processes: it is killed (SIGKILL, SIGTERM
or SIGINT, at random) after 20 to 90 seconds, or sooner with `--longest`, and repeated until it has finished; `ssl-jax evaluate`
runs beside it. Then weights (their checksums), metrics and results are compared with those of an undisturbed run. Memory,
open files, and processes that are left are counted. Ends with a line of JSON.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from machine import about

from ssl_jax.runs import read_metrics, read_results
from ssl_jax.train.manifest import read_manifest

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
UNTIMED = ("images_per_second",)
WORDS = "--data synthetic --image-size 16 --batch-size 64 --log-every 20 --evaluate-every 50 --save-minutes 0.2".split()


@dataclass
class Seen:
    """The most that was seen of a process while it ran, and what was counted over all rounds."""

    kills: dict[str, int] = field(default_factory=dict)
    evaluations: int = 0
    memory: list[float] = field(default_factory=list)  # MiB, of each start.
    files: list[int] = field(default_factory=list)
    left: int = 0  # Processes and segments of shared memory that outlived their main process.
    different: list[str] = field(default_factory=list)
    resumed_after: list[float] = field(default_factory=list)  # Seconds from a start to its first new record.


def soak(*, minutes: float = 60, steps: int = 4000, longest: float = 90, seed: int = 0) -> None:
    """Runs rounds until the time is over; a round that has begun is finished.

    Args:
      minutes: time in all, without the undisturbed run.
      steps: steps of a run.
      longest: most seconds between two kills; the fewest are 20, or a quarter of it.
      seed: of the instants and the signals.
    """
    draw, seen = random.Random(seed), Seen()
    with tempfile.TemporaryDirectory() as folder:
        root, epochs = Path(folder), steps * 64 / 512
        words = ["pretrain", "simclr", *WORDS, "--epochs", str(epochs)]
        wanted = {}
        for processes in (1, 2):  # Sums over two processes are rounded otherwise than those of one.
            finish(start(root / f"undisturbed-{processes}", words, processes))
            wanted[processes] = outcome(root / f"undisturbed-{processes}")
        end, rounds = time.monotonic() + 60 * minutes, 0
        while time.monotonic() < end:
            processes = 1 + rounds % 2
            run = root / f"round-{rounds}"
            disturbed(run, words, processes, draw, seen, longest)
            seen.different += [f"round {rounds}: {name}" for name in differing(outcome(run), wanted[processes])]
            rounds += 1
    print(json.dumps(summary(seen, rounds=rounds, minutes=minutes)))
    sys.exit(bool(seen.different or seen.left))


def start(run: Path, words: list[str], processes: int) -> list[subprocess.Popen[bytes]]:
    """The processes of a run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = []
    for process in range(processes):
        hosts = ["--coordinator", address, "--processes", str(processes), "--process", str(process)]
        given = hosts if processes > 1 else []
        command = [sys.executable, "-m", "ssl_jax.cli", *words, "--run", str(run), *given]
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
        log = open(run.with_suffix(f".log{process}"), "ab")
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        log.close()
    return started


def finish(started: list[subprocess.Popen[bytes]]) -> list[int]:
    """Exit codes."""
    return [process.wait() for process in started]


def disturbed(run: Path, words: list[str], processes: int, draw: random.Random, seen: Seen, longest: float) -> None:
    """A run from its first start to its end, killed again and again."""
    while True:
        before, began = len(read_metrics(run)) if run.exists() else 0, time.monotonic()
        started = start(run, words, processes)
        instant = began + draw.uniform(min(20, longest / 4), longest)
        resumed = False
        while time.monotonic() < instant and any(process.poll() is None for process in started):
            time.sleep(0.2)
            watch(started[0], seen)
            if not resumed and run.exists() and len(read_metrics(run)) > before:
                resumed = True
                seen.resumed_after.append(time.monotonic() - began)
        family = [pid for process in started for pid in descendants(process.pid)]
        if all(process.poll() == 0 for process in started):
            return
        number = draw.choice(SIGNALS)
        seen.kills[number.name] = seen.kills.get(number.name, 0) + 1
        draw.choice(started).send_signal(number)
        finish(started)
        time.sleep(3)
        seen.left += sum(Path(f"/proc/{pid}").exists() for pid in family)
        if (run / "checkpoints").exists() and draw.random() < 0.3:
            seen.evaluations += 1
            evaluated = [sys.executable, "-m", "ssl_jax.cli", "evaluate", str(run), "--protocols", "knn"]
            code = subprocess.run(evaluated, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True).returncode
            if code not in (0, 1):  # 1: no checkpoint yet.
                seen.different.append(f"{run.name}: evaluate ended with {code}")


def watch(process: subprocess.Popen[bytes], seen: Seen) -> None:
    """Adds a process to what was seen, at its peak."""
    proc = Path(f"/proc/{process.pid}")
    try:
        peak = next(line for line in (proc / "status").read_text().splitlines() if line.startswith("VmHWM"))
        seen.memory.append(int(peak.split()[1]) / 1024)
        seen.files.append(len(list((proc / "fd").iterdir())))
    except (OSError, StopIteration):  # It has ended.
        return


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    try:
        threads = list(Path(f"/proc/{pid}/task").glob("*/children"))
        children = [int(child) for thread in threads for child in thread.read_text().split()]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def outcome(run: Path) -> dict[str, Any]:
    """What has to be equal: checksums of the last state, metrics without times, accuracies."""
    last = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name) if path.name.isdigit() else -1)
    metrics = [{name: record[name] for name in record if name not in UNTIMED} for record in read_metrics(run)]
    return {
        "state": read_manifest(last)["checksums"],
        "metrics": metrics,
        "results": (read_results(run) or {}).get("features"),
        "left in the folder": sorted(
            path.name for path in run.rglob("*") if "tmp" in path.name or "draft" in path.name
        ),
    }


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [name for name in wanted if found[name] != wanted[name]]


def summary(seen: Seen, *, rounds: int, minutes: float) -> dict[str, Any]:
    return {
        "machine": about("jax", "orbax-checkpoint"),
        "minutes": minutes,
        "rounds": rounds,
        "kills": seen.kills,
        "evaluations beside": seen.evaluations,
        "different": seen.different,
        "processes left": seen.left,
        "peak MiB, first and last tenth": tenths(seen.memory),
        "open files, first and last tenth": tenths(seen.files),
        "median seconds from start to the next record": round(
            sorted(seen.resumed_after)[len(seen.resumed_after) // 2], 1
        ),
    }


def tenths(values: list[float] | list[int]) -> list[int]:
    """The largest of the first and of the last tenth."""
    part = max(1, len(values) // 10)
    return [round(max(values[:part])), round(max(values[-part:]))]


if __name__ == "__main__":
    tyro.cli(soak)
