"""Every method on the embedded digits with its demo recipe: its features compared with untrained weights and raw pixels.

    python experiments/all_methods.py
    python experiments/all_methods.py --methods simclr byol --seeds 0
    python experiments/all_methods.py --data fashion-mnist --steps 5000 --seeds 0 --hours 3
    python experiments/all_methods.py --data fashion-mnist --examples 12000 --steps 300

Runs that are missing in the results file follow one another, so that the script can be stopped at any time and started
again. `experiments/methods_table.py` writes docs/methods.md from the results.

The third command is for an accelerator, the fourth for two cores: every method that takes grayscale images, on other data than
its own, 5,000 or 300 steps each, with a results file of its own, experiments/results/all_methods_fashion-mnist.json and
all_methods_fashion-mnist-12000.json. Methods that need clips or colours are left out with a sentence, and with `--hours 3` no
run starts after three hours of runs in that file.
"""

import functools
import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from ssl_jax import recipes
from ssl_jax.commands import Options, pretrain
from ssl_jax.data import Data, open_data, steps_per_epoch, subsample
from ssl_jax.errors import UsageError
from ssl_jax.files import write_json
from ssl_jax.runs import read_record

RESULTS = Path(__file__).parent / "results" / "all_methods.json"
NOT_GRAYSCALE = ("shapes", "clips", "silent-clips")  # Data of demos whose methods need colours or clips.
PROTOCOLS = ("few_labels", "linear", "knn")


def all_methods(
    *,
    methods: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1, 2),
    run: Path | None = None,
    results: Path | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    hours: float | None = None,
    data: str | None = None,
    examples: int | None = None,
    precision: str | None = None,
) -> None:
    """Pre-trains each method once for each seed, and prints means and standard deviations over seeds, in percent.

    Args:
      methods: names of methods; all when none is given.
      seeds: one run each, in RUN/METHOD-seed0, ...
      run: folder of the runs; runs/all_methods when not given, and runs/all_methods_DATA with `data`.
      results: file of the measurements; all_methods.json in experiments/results when not given, and all_methods_DATA.json with
        `data`.
      epochs: number of passes instead of the recipe's.
      steps: number of steps instead of the recipe's epochs.
      hours: start no run when those of the results file have taken so long.
      data: data set instead of the recipe's.
      examples: training images of `data` that are used, the same share of each class; all when not given.
      precision: type of activations instead of the recipe's; float32 makes accelerators compute as CPUs do.
    """
    if epochs is not None and steps is not None:
        raise SystemExit(f"steps: got {steps} beside {epochs:g} epochs: give one of them.")
    name = f"all_methods_{re.sub(r'[^-a-z0-9]+', '_', data)}" if data else "all_methods"
    name += f"-{examples}" if examples else ""
    results, run = results or RESULTS.with_stem(name), run or Path("runs") / name
    found: dict[str, dict[str, Any]] = json.loads(results.read_text()) if results.exists() else {}
    for seed in seeds:
        for method in methods or recipes.methods():
            if str(seed) in found.get(method, {}):
                continue
            if hours is not None and seconds_of(found) > 3600 * hours:
                print(f"{method}, seed {seed}, is not started: {hours:g} hours are over")
                continue
            folder = run / f"{method}-seed{seed}"
            try:
                size = default_of(method, "image_size")
                given = part_of(data, examples, image_size=size)
                make = adapted(method, data=given, epochs=epochs, steps=steps, precision=precision)
                measured = pretrain(make, Options(run=folder, seed=seed))
            except UsageError as reason:
                if data is None or not in_other_data(method):
                    raise
                print(f"{method} is left out: {reason}")
                continue
            request = read_record(folder) or {}
            kept = {name: measured[name] for name in ("features", "steps", "images_per_second", "seconds")}
            kept |= {name: request[name] for name in ("device", "started")}
            found.setdefault(method, {})[str(seed)] = kept
            write_json(results, found)
    for method, of_seeds in found.items():
        cells = [f"{name} {percent(of_seeds, 'pretrained', name)}" for name in PROTOCOLS]
        print(f"{method:<18} {'  '.join(cells)}  untrained {percent(of_seeds, 'untrained', PROTOCOLS[0])}")


def adapted(method: str, *, steps: int | None, **options: Any) -> functools.partial[recipes.Recipe]:
    """The method's demo with these options instead of its own, where they are not None; steps become epochs."""
    make = recipes.find(method, "demo")
    changes = {name: value for name, value in options.items() if value is not None}
    if steps is not None:
        chosen = {name: option.default for name, option in inspect.signature(make).parameters.items()} | changes
        examples = len(open_data(chosen["data"], image_size=chosen["image_size"]).train)
        changes["epochs"] = steps / steps_per_epoch(examples, chosen["batch_size"])
    return functools.partial(make, **changes)


@functools.cache
def part_of(name: str | None, examples: int | None, *, image_size: int | None) -> str | Data | None:
    """The data set with so many of its training images, and all of its test images, at the size of the demo's images."""
    if name is None or examples is None:
        return name
    data = open_data(name, image_size=image_size)
    return Data(f"{name}, {examples} images", subsample(data.train, examples), data.test)


def in_other_data(method: str) -> bool:
    """Whether a method's own data are neither grayscale images nor what other grayscale images can replace."""
    return default_of(method, "data") in NOT_GRAYSCALE


def default_of(method: str, option: str) -> Any:
    """Of the method's demo; None where it does not have the option."""
    found = inspect.signature(recipes.find(method, "demo")).parameters.get(option)
    return found and found.default


def seconds_of(found: dict[str, dict[str, Any]]) -> float:
    """Time of all runs."""
    return sum(kept["seconds"] for of_seeds in found.values() for kept in of_seeds.values())


def percent(of_seeds: dict[str, dict[str, Any]], source: str, protocol: str) -> str:
    """Mean and standard deviation over the seeds."""
    values = [100 * kept["features"][source][protocol]["accuracy"] for kept in of_seeds.values()]
    return f"{np.mean(values):.1f} ± {np.std(values):.1f}"


if __name__ == "__main__":
    tyro.cli(all_methods)
