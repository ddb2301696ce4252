"""Measurements of seconds, operations and memory for all benchmarks."""

import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds until the result of a call is computed, and the result."""
    start = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - start, result


def best_times(calls: dict[Name, Callable[[], object]], rounds: int) -> dict[Name, float]:
    """Best seconds of each call after one that compiles, interleaved so that a busy machine hits all alike."""
    if rounds < 1:
        sys.exit(f"benchmark: got {rounds} rounds, expected 1 or more.")
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(rounds):
        for name, call in calls.items():
            best[name] = min(best[name], timed(call)[0])
    return best


def matmul_peak(size: int = 2048) -> float:
    """Operations a second of the best of five products of float32 matrices."""
    rows = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda rows: jnp.matmul(rows, rows, precision="highest"))
    return 2 * size**3 / best_times({"product": lambda: product(rows)}, 5)["product"]


def high_water_mark() -> float:
    """MiB that this process has held at most; from /proc, since getrusage's figure is inherited from the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
