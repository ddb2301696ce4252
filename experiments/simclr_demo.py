"""SimCLR on the embedded digits, several seeds: what minutes of pre-training buy over pixels and untrained weights.

    python experiments/simclr_demo.py --seeds 0 1 2

Prints a table with means and standard deviations over seeds, in percent.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

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
    table = {}
    for judge in ("knn", "linear_probe", "few_label_probe"):
        for of in ("", "_random_init", "_pixels"):
            values = [100 * results[judge + of] for results in found]
            table[judge + of] = float(np.mean(values)), float(np.std(values))
            print(f"{judge + of:<28} {table[judge + of][0]:5.1f} ± {table[judge + of][1]:.1f}")
    return table


if __name__ == "__main__":
    tyro.cli(simclr_demo, config=(tyro.conf.OmitArgPrefixes,))
