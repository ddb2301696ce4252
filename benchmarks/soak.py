"""Soak: training that is killed at random instants, for an hour or more, ends with the bits of a run that nobody disturbed.

    python -m benchmarks soak --minutes 60

Each round is a run of the same command in a new folder, every second one by two processes: it is killed (SIGKILL, SIGTERM
or SIGINT, at random) after 20 to 90 seconds, or sooner with `--longest`, and repeated until it has finished; `ssl-jax evaluate`
runs beside it. Then weights (their checksums), metrics and results are compared with those of an undisturbed run. One more
run, fed by two worker processes, trains on all the time, and its memory, open files and threads are watched. Processes that
outlive their run are counted. Ends with a line of JSON.
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

import numpy as np
import PIL.Image
import tyro
from machine import about
from processes import descendants, open_files, status, tenths

from ssl_jax.runs import read_metrics, read_results
from ssl_jax.train.manifest import read_manifest

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
UNTIMED = ("images_per_second",)
RESUME_ME = 75  # Exit code of a run that was asked to stop and saved its state.
STEADY = ("MiB", "open files", "threads")
WORDS = "--data synthetic --image-size 16 --batch-size 64 --log-every 20 --evaluate-every 50 --save-minutes 0.2".split()
STREAMED = "--image-size 16 --batch-size 64 --log-every 20 --evaluate-every 500 --workers 2 --epochs 100000".split()


@dataclass
class Seen:
    """The most that was seen of a process while it ran, and what was counted over all rounds."""

    kills: dict[str, int] = field(default_factory=dict)
    evaluations: int = 0
    steady: list[tuple[int, int, int]] = field(default_factory=list)  # MiB, open files, threads of the undisturbed run.
    steady_steps: int = 0
    left: int = 0  # Processes that outlived their run.
    different: list[str] = field(default_factory=list)
    resumed_after: list[float] = field(default_factory=list)  # Seconds from a start to its first new record.


def soak(*, minutes: float = 60, steps: int = 4000, longest: float = 90, seed: int = 0) -> None:
    """Runs rounds until the time is over; a round that has begun is finished.

    Args:
      minutes: time in all, without the runs that nobody disturbs.
      steps: steps of a run; a quarter of it by two processes, whose steps take several times as long.
      longest: most seconds between two kills; the fewest are 20, or a quarter of it.
      seed: of the instants and the signals.
    """
    draw, seen = random.Random(seed), Seen()
    with tempfile.TemporaryDirectory() as folder:
        root, wanted = Path(folder), {}
        words = {processes: [*WORDS, "--epochs", str(steps * 64 / 512 / processes**2)] for processes in (1, 2)}
        for processes in (1, 2):  # Sums over two processes are rounded otherwise than those of one.
            finish(start(root / f"undisturbed-{processes}", words[processes], processes))
            wanted[processes] = outcome(root / f"undisturbed-{processes}")
        [steady] = start(root / "steady", [*STREAMED, "--data", str(images(root / "images"))], 1)
        os.setpriority(os.PRIO_PROCESS, steady.pid, 10)  # Its memory is watched, not its speed.
        end, rounds = time.monotonic() + 60 * minutes, 0
        while time.monotonic() < end:
            processes, run = 1 + rounds % 2, root / f"round-{rounds}"
            disturbed(run, words[processes], processes, draw, seen, longest, steady.pid)
            seen.different += [f"round {rounds}: {name}" for name in differing(outcome(run), wanted[processes])]
            rounds += 1
        seen.steady_steps = read_metrics(root / "steady")[-1]["step"]
        if (code := stopped(steady, signal.SIGTERM, seen)) != RESUME_ME:
            seen.different.append(f"the steady run ended with {code} at SIGTERM, expected {RESUME_ME}")
    print(json.dumps(summary(seen, rounds=rounds, minutes=minutes)))
    sys.exit(bool(seen.different or seen.left))


def images(folder: Path) -> Path:
    """2,000 small images of noise, as files."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(256, size=(2000, 16, 16, 3), dtype=np.uint8)
    for number, image in enumerate(noise):
        PIL.Image.fromarray(image).save(folder / f"{number:04}.png")
    return folder


def start(run: Path, words: list[str], processes: int) -> list[subprocess.Popen[bytes]]:
    """The processes of a run of SimCLR."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = []
    for process in range(processes):
        hosts = ["--coordinator", address, "--processes", str(processes), "--process", str(process)]
        given = hosts if processes > 1 else []
        words_of_process = ["pretrain", "simclr", *words, *given, "--run", str(run)]
        started.append(command(words_of_process, run.with_suffix(f".log{process}")))
    return started


def command(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts `ssl-jax WORDS` on one simulated device; what it prints goes to a file."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ssl_jax.cli", *words], env=environment, stdout=output, stderr=output
        )


def finish(started: list[subprocess.Popen[bytes]]) -> list[int]:
    """Exit codes."""
    return [process.wait() for process in started]


def disturbed(
    run: Path, words: list[str], processes: int, draw: random.Random, seen: Seen, longest: float, steady: int
) -> None:
    """A run from its first start to its end, killed again and again; in three starts of ten it is evaluated beside."""
    while True:
        before, began = len(read_metrics(run)) if run.exists() else 0, time.monotonic()
        started, evaluation = start(run, words, processes), None
        instant, evaluates = began + draw.uniform(min(20, longest / 4), longest), draw.random() < 0.3
        resumed = False
        while time.monotonic() < instant and any(process.poll() is None for process in started):
            time.sleep(0.2)
            watch(steady, seen)
            if not resumed and run.exists() and len(read_metrics(run)) > before:
                resumed = True
                seen.resumed_after.append(time.monotonic() - began)
            if evaluates and evaluation is None and resumed:
                evaluation = command(["evaluate", str(run), "--protocols", "knn"], run.with_suffix(".evaluated"))
        if any(process.poll() is None for process in started):
            number = draw.choice(SIGNALS)
            seen.kills[number.name] = seen.kills.get(number.name, 0) + 1
            stopped(draw.choice(started), number, seen)
        codes = finish(started)
        if evaluation is not None:
            seen.evaluations += 1
            if (code := evaluation.wait()) not in (0, 1):  # 1: no checkpoint yet.
                seen.different.append(f"{run.name}: evaluate ended with {code}")
        if codes == [0] * processes:
            return


def stopped(process: subprocess.Popen[bytes], number: signal.Signals, seen: Seen) -> int:
    """The exit code of a process that gets a signal; counts its children that are still there 3 s after its end."""
    family = descendants(process.pid)
    process.send_signal(number)
    code = process.wait()
    time.sleep(3)
    seen.left += sum(Path(f"/proc/{pid}").exists() for pid in family)
    return code


def watch(pid: int, seen: Seen) -> None:
    """Adds the steady run to what was seen."""
    if memory := status(pid, "VmRSS"):
        seen.steady.append((memory // 1024, open_files(pid), status(pid, "Threads")))


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
        "steps of the steady run": seen.steady_steps,
        **{
            f"{name}, first and last tenth": tenths([values[place] for values in seen.steady])
            for place, name in enumerate(STEADY)
        },
        "median seconds from start to the next record": round(
            sorted(seen.resumed_after)[len(seen.resumed_after) // 2], 1
        ),
    }


if __name__ == "__main__":
    tyro.cli(soak)
