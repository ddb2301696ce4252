"""SimCLR on the embedded digits, several seeds: what minutes of pre-training buy over pixels and untrained weights.

    python experiments/simclr_demo.py --seeds 0 1 2

Prints means and standard deviations over seeds, in percent, and writes them to RUN/table.json. The copy in
experiments/results/ is what the README shows.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from ssl_jax.files import write_json
from ssl_jax.recipes import Recipe, simclr
from ssl_jax.runs import Options, pretrain


def simclr_demo(
    recipe: Annotated[Recipe, tyro.conf.arg(constructor=simclr.demo)],
    *,
    seeds: tuple[int, ...] = (0,),
    run: Path = Path("runs/simclr_demo"),
) -> dict[str, tuple[float, float]]:
    """Pre-trains once for each seed; the recipe's keyword arguments are the experiment's configuration.

    Args:
      recipe: `ssl_jax.recipes.simclr.demo`.
      seeds: one run each, in RUN/seed0, RUN/seed1, ...
      run: folder of the runs.
    """
    found = [pretrain(lambda: recipe, Options(run=run / f"seed{seed}", seed=seed)) or {} for seed in seeds]
    judges = [
        judge + of for judge in ("knn", "linear_probe", "few_label_probe") for of in ("", "_random_init", "_pixels")
    ]
    table = {}
    for judge in judges:
        values = [100 * results[judge] for results in found]
        table[judge] = round(float(np.mean(values)), 1), round(float(np.std(values)), 1)
        print(f"{judge:<28} {table[judge][0]:5.1f} ± {table[judge][1]:.1f}")
    request = json.loads((run / f"seed{seeds[0]}/run.json").read_text())
    about = {name: request[name] for name in ("device", "started", "arguments")}
    seconds = [results["seconds"] for results in found]
    write_json(run / "table.json", about | {"seeds": seeds, "seconds": seconds, "percent": table})
    return table


if __name__ == "__main__":
    tyro.cli(simclr_demo, config=(tyro.conf.OmitArgPrefixes,))
