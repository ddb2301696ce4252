"""The linear probe of features in a file, held by the device and sent to it in blocks, each in a process of its own.

    python -m benchmarks streamed_probe --results benchmarks/results/streamed-probe-cpu.md
    python -m benchmarks streamed_probe --examples 200000 --classes 100 --strengths 0.01

Seconds are those of the processor, compilation included. Memory is the most that the process holds beside what it held before,
without pages of files, which the system keeps as long as it has room for them.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from machine import about
from processes import status
from summary import compared, keep

from ssl_jax.evaluate import linear_probe, logistic

KINDS = {"held by the device": 2**40, "in blocks": 1}  # Memory budgets in bytes.
HEAD = ["features", "probe", "s of the processor", "passes", "MiB", "accuracy", "strength"]


def compare(
    *,
    examples: int = 60_000,
    dim: int = 512,
    classes: int = 10,
    strengths: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    results: Path | None = None,
) -> None:
    """Prints a row for each way to hold the features.

    Args:
      examples, dim, classes: of features that are not negative, of which a few directions have most of the variance.
      strengths: to choose from.
      results: file of the table.
    """
    lines, measures = [], []
    size = f"{examples:,} x {dim:,}, {classes} classes, strengths {', '.join(f'{each:g}' for each in strengths)}"
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder), examples, dim, classes)
        for kind, budget in KINDS.items():
            options = json.dumps({"num_classes": classes, "strengths": strengths, "memory_budget": budget})
            command = [sys.executable, __file__, "measure", folder, options]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            measures.append([float(cell.replace(",", "")) for cell in (found[0], found[2])])
            lines.append("| " + " | ".join([size, kind, *found]) + " |")
            print(lines[-1], flush=True)
    head = [f"| {' | '.join(HEAD)} |", f"{'|---' * len(HEAD)}|"]
    machine, (held, blocks) = about("jax", "jaxlib"), measures
    text = "\n".join(["# The linear probe, held and in blocks", "", machine, "", *head, *lines, ""])
    rows = [
        compared(f"{size}: in blocks", next(iter(KINDS)), ours, theirs, unit=unit, digits=digits)
        for ours, theirs, unit, digits in zip(blocks, held, ("s of the processor", "MiB"), (".1f", ".0f"), strict=True)
    ]
    keep(results, text, rows, name="streamed_probe", about=machine)


def write_features(folder: Path, examples: int, dim: int, classes: int) -> None:
    """Features and labels of both parts, a piece at a time."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(classes, dim)).astype(np.float32) * 0.3
    mix = (rng.normal(size=(dim, dim)) * np.logspace(0, -2, dim)[:, None] / 8).astype(np.float32)
    for part, size in {"train": examples, "test": 10_000}.items():
        labels = rng.integers(0, classes, size).astype(np.int32)
        np.save(folder / f"{part}_labels.npy", labels)
        file = np.lib.format.open_memmap(folder / f"{part}_features.npy", "w+", np.float32, (size, dim))
        for first in range(0, size, 10_000):
            piece = slice(first, first + 10_000)
            noise = rng.standard_normal(file[piece].shape, np.float32)
            file[piece] = np.maximum((centers[labels[piece]] + noise) @ mix + 0.3, 0)


def measure(folder: Path, options: dict[str, Any]) -> list[str]:
    """Seconds, passes over the training features, MiB, accuracy and strength of a probe."""
    names = ("train_features", "train_labels", "test_features", "test_labels")
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
    passes, cross_entropy = [], logistic.cross_entropy
    logistic.cross_entropy = lambda *given: (passes.append(1), cross_entropy(*given))[1]
    jax.device_get(jax.numpy.zeros(1) + 1)
    seen = [status(os.getpid(), "RssAnon")]
    threading.Thread(target=watch, args=(seen,), daemon=True).start()
    start = time.process_time()
    probe = linear_probe(*arrays, **options)
    seconds = time.process_time() - start
    memory = (max(seen) - seen[0]) / 1024
    return [f"{seconds:.1f}", f"{len(passes)}", f"{memory:,.0f}", f"{probe.accuracy:.4f}", f"{probe.strength:g}"]


def watch(seen: list[int]) -> None:
    """Adds the memory of this process to the list, again and again."""
    while True:
        seen.append(status(os.getpid(), "RssAnon"))
        time.sleep(0.01)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), json.loads(sys.argv[3]))))
    else:
        tyro.cli(compare)
