"""The cost of a step of each method relative to SimCLR's, with its demo recipe, in one run.

    python benchmarks/methods.py --results benchmarks/results/methods.json

One batch, repeated: views, forward, backward, update. Best of interleaved rounds, so that other load affects
all equally; FLOPs are the compiler's count. `experiments/methods_table.py` shows the ratios in docs/methods.md.
"""

import datetime
import os
from pathlib import Path

import jax
import tyro
from timing import timed

from ssl_jax import recipes
from ssl_jax.data import Batches
from ssl_jax.files import write_json
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.program import make_program


def methods(*, names: tuple[str, ...] = (), steps: int = 10, rounds: int = 3, results: Path | None = None) -> None:
    """Prints milliseconds a step and their ratio to SimCLR's.

    Args:
      names: names of methods; all when none is given.
      steps: number of steps of each measurement.
      rounds: number of interleaved measurements of each.
      results: file of the measurements.
    """
    names = tuple(dict.fromkeys(("simclr", *(names or recipes.methods()))))
    runs = {name: Run(name) for name in names}
    seconds = dict.fromkeys(names, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name] = min(seconds[name], run.time(steps))
    rows = {
        name: {
            "milliseconds": round(1e3 * seconds[name], 1),
            "relative": round(seconds[name] / seconds["simclr"], 2),
            "gigaflops": round(run.flops / 1e9, 2),
        }
        for name, run in runs.items()
    }
    for name, row in rows.items():
        print(f"{name:<18}{row['milliseconds']:>10.1f} ms {row['relative']:>6.2f} {row['gigaflops']:>10.2f} GFLOP")
    if results:
        about = {
            "device": f"{jax.default_backend()} ({os.cpu_count()} cores)",
            "date": datetime.date.today().isoformat(),
        }
        write_json(results, about | {"methods": rows})


class Run:
    """A compiled step of a method's demo, on a batch of its data."""

    def __init__(self, name: str):
        recipe, mesh = recipes.find(name, "demo")(), make_mesh()
        optimizer = recipe.optimizer(recipe.steps)
        with Batches(recipe.data.train, recipe.batch_size, seed=0, sharding=batch_sharding(mesh)) as batches:
            self.batch = next(batches)
        program = make_program(recipe.method, recipe.augment, optimizer, seed=0, mesh=mesh)
        self.state = program.init()
        self.step = program.step.lower(self.state, self.batch).compile()
        self.flops = (self.step.cost_analysis() or {}).get("flops", float("nan"))
        self.time(1)

    def time(self, steps: int) -> float:
        """Seconds a step."""
        return timed(lambda: [self.advance() for _ in range(steps)])[0] / steps

    def advance(self) -> dict[str, jax.Array]:
        self.state, metrics = self.step(self.state, self.batch)
        return metrics


if __name__ == "__main__":
    tyro.cli(methods)
