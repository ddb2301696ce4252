"""Every method on the embedded digits with its demo recipe: its features compared with untrained weights and raw pixels.

    python experiments/all_methods.py
    python experiments/all_methods.py --methods simclr byol --seeds 0

Runs that are missing in the results file follow one another, so that the script can be stopped at any time and started
again. `experiments/methods_table.py` writes docs/methods.md from the results.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from ssl_jax import recipes
from ssl_jax.commands import Options, pretrain
from ssl_jax.files import write_json
from ssl_jax.runs import read_record

RESULTS = Path(__file__).parent / "results" / "all_methods.json"
PROTOCOLS = ("few_labels", "linear", "knn")


def all_methods(
    *,
    methods: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1, 2),
    run: Path = Path("runs/all_methods"),
    results: Path = RESULTS,
    epochs: float | None = None,
    data: str | None = None,
    precision: str | None = None,
) -> None:
    """Pre-trains each method once for each seed, and prints means and standard deviations over seeds, in percent.

    Args:
      methods: names of methods; all when none is given.
      seeds: one run each, in RUN/METHOD-seed0, ...
      run: folder of the runs.
      results: file of the measurements.
      epochs: number of passes instead of the recipe's; for a trial.
      data: data set instead of the recipe's; for a trial.
      precision: type of activations instead of the recipe's; float32 makes accelerators compute as CPUs do.
    """
    found: dict[str, dict[str, Any]] = json.loads(results.read_text()) if results.exists() else {}
    given = {"epochs": epochs, "data": data, "precision": precision}
    changes = {name: value for name, value in given.items() if value is not None}
    for seed in seeds:
        for method in methods or recipes.methods():
            if str(seed) in found.get(method, {}):
                continue
            make, folder = recipes.find(method, "demo"), run / f"{method}-seed{seed}"
            measured = pretrain(lambda make=make: make(**changes), Options(run=folder, seed=seed))
            request = read_record(folder) or {}
            kept = {name: measured[name] for name in ("features", "steps", "images_per_second", "seconds")}
            kept |= {name: request[name] for name in ("device", "started")}
            found.setdefault(method, {})[str(seed)] = kept
            write_json(results, found)
    for method, of_seeds in found.items():
        cells = [f"{name} {percent(of_seeds, 'pretrained', name)}" for name in PROTOCOLS]
        print(f"{method:<18} {'  '.join(cells)}  untrained {percent(of_seeds, 'untrained', PROTOCOLS[0])}")


def percent(of_seeds: dict[str, dict[str, Any]], source: str, protocol: str) -> str:
    """Mean and standard deviation over the seeds."""
    values = [100 * kept["features"][source][protocol]["accuracy"] for kept in of_seeds.values()]
    return f"{np.mean(values):.1f} ± {np.std(values):.1f}"


if __name__ == "__main__":
    tyro.cli(all_methods)
