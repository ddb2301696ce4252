"""k-means beside faiss (optional), in turn: seconds of all rounds, and the mean squared distance to the nearest centroid.

pip install faiss-cpu
python -m benchmarks kmeans --results benchmarks/results/kmeans-cpu.md
python -m benchmarks kmeans --points 1000000 --dim 256 --clusters 10000 --rounds 1
"""

import importlib
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from machine import about
from summary import compared, keep
from timing import timed

from ssl_jax.ops import kmeans

GROUPS = 1000  # of points: more than there are clusters, so that rounds do not come to an end


def compare(
    *,
    points: int = 60_000,
    dim: int = 512,
    clusters: int = 256,
    iterations: int = 20,
    rounds: int = 3,
    results: Path | None = None,
) -> None:
    """Prints the best time of each, the inertia, and the memory beside the points.

    Args:
      points, dim: normal points around centers that are half as far from one another as points from theirs.
      iterations: of Lloyd's algorithm.
      rounds: turns of each.
      results: file of the table.
    """
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(GROUPS, dim)).astype(np.float32) / 2
    array = centers[rng.integers(0, GROUPS, points)] + rng.normal(size=(points, dim)).astype(np.float32)
    on_device = jnp.asarray(array)
    given = {"clusters": clusters, "iterations": iterations}
    kinds: dict[str, dict[str, Any]] = {f"k-means++, {count} at once": {"seeds_at_once": count} for count in (1, 32)}
    ours = {
        f"ours, {name}": jax.jit(partial(kmeans, **seeds, **given)).lower(jax.random.key(1), on_device).compile()
        for name, seeds in (kinds | {"random": {"seeds": "random"}}).items()
    }
    calls: dict[str, Callable[[], float]] = {
        name: lambda run=run: float(run(jax.random.key(1), on_device).inertia) for name, run in ours.items()
    }
    if importlib.util.find_spec("faiss"):
        calls |= {
            f"faiss, {seeds}": partial(of_faiss, array, seeds=seeds, **given) for seeds in ("k-means++", "random")
        }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(measured(call))
    best = {name: tuple(map(min, zip(*times, strict=True))) for name, times in found.items()}
    lines = ["| k-means | s | s of the processor | inertia | MiB beside the points |", "|---" * 5 + "|"]
    for name, (seconds, processor, inertia) in best.items():
        memory = f"{ours[name].memory_analysis().temp_size_in_bytes / 2**20:,.0f}" if name in ours else "-"
        lines.append(f"| {name} | {seconds:.2f} | {processor:.2f} | {inertia:.2f} | {memory} |")
    size = f"{points:,} x {dim}, {clusters:,} clusters, {iterations} rounds"
    machine = about("jax", "jaxlib", "faiss-cpu")
    table = "\n".join([f"{machine}; `python -m benchmarks kmeans`; {size}; best of {rounds}", "", *lines])
    print(table)
    rows = [
        compared(f"{size}: {name}", "faiss", best[f"ours, {name}"][0], best[peer][0], unit="s", digits=".2f")
        for name, peer in ((name, f"faiss, {name.split(',')[0]}") for name in (*kinds, "random"))
        if peer in best
    ]
    keep(results, f"# k-means on CPU\n\n{table}\n", rows, name="kmeans", about=machine)


def measured(call: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds of the clock and of the processor, all cores together, and what the call returns."""
    start = time.process_time()
    seconds, inertia = timed(call)
    return seconds, time.process_time() - start, inertia


def of_faiss(array: np.ndarray, *, clusters: int, iterations: int, seeds: str) -> float:
    """Inertia of faiss's clusters of all points."""
    faiss = importlib.import_module("faiss")
    options = faiss.ClusteringParameters()
    options.niter, options.seed, options.max_points_per_centroid = iterations, 1, len(array)
    options.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS * (seeds == "k-means++")
    index, run = faiss.IndexFlatL2(array.shape[1]), faiss.Clustering(array.shape[1], clusters, options)
    run.train(array, index)
    index.reset()
    index.add(faiss.vector_to_array(run.centroids).reshape(clusters, -1))
    return float(index.search(array, 1)[0].mean())


if __name__ == "__main__":
    tyro.cli(compare)
