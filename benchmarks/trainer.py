"""The overhead of the trainer over its jitted step: images per second of `fit`, over those of the bare step on one batch.

    python -m benchmarks trainer --results benchmarks/results/trainer-cpu.md

The same program, interleaved; the bare step repeats one batch, `fit` reads its input, logs and gauges. 1 is no overhead.
"""

import functools
import time
from pathlib import Path

import jax
import tyro
from machine import about
from summary import compared, keep
from timing import timed

from ssl_jax.data import Batches
from ssl_jax.recipes import simclr
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.program import make_program


def trainer(*, steps: int = 200, rounds: int = 3, log_every: int = 50, results: Path | None = None) -> None:
    """Prints images a second of both and their ratio, best of the rounds.

    Args:
      steps: number of steps of each measurement.
      rounds: number of interleaved measurements of each.
      log_every: as on the command line.
      results: file of the table.
    """
    recipe = simclr.demo()
    mesh = make_mesh()
    optimizer = recipe.optimizer(steps)
    program = make_program(recipe.method, recipe.augment, optimizer, seed=0, mesh=mesh)
    best = {"bare step": 0.0, "fit": 0.0}
    for _ in range(rounds):
        state = program.init()
        batch = next(Batches(recipe.data.train, recipe.batch_size, seed=0, sharding=batch_sharding(mesh)))
        state, _ = jax.block_until_ready(program.step(state, batch))  # Compiles.
        seconds, _ = timed(functools.partial(repeat, program.step, state, batch, steps))
        best["bare step"] = max(best["bare step"], recipe.batch_size * steps / seconds)

        clock = Clock(recipe.data.train, recipe.batch_size, seed=0, sharding=batch_sharding(mesh), after=log_every)
        fit(
            recipe.method, recipe.augment, optimizer, clock, steps=steps + log_every,
            mesh=mesh, log_every=log_every, quiet=True,
        )  # fmt: skip
        best["fit"] = max(best["fit"], recipe.batch_size * steps / (time.perf_counter() - clock.began))
    machine, ratio = about("jax", "jaxlib", "flax"), best["fit"] / best["bare step"]
    text = "\n".join(
        [
            "# The trainer and its step, on CPU",
            "",
            f"{machine}; `python -m benchmarks trainer`; SimCLR's demo, {steps} steps, a record every {log_every}",
            "",
            "| bare step, img/s | fit, img/s | ratio |",
            "|---|---|---|",
            f"| {best['bare step']:,.0f} | {best['fit']:,.0f} | {ratio:.3f} |",
            "",
        ]
    )
    print(text)
    both = {"ours": best["fit"], "theirs": best["bare step"], "unit": "img/s", "digits": ".0f", "more": True}
    rows = [compared("fit, demo of SimCLR", "its bare step on one batch", **both)]
    keep(results, text, rows, name="trainer", about=machine)


def repeat(step, state, batch, steps: int):
    for _ in range(steps):
        state, metrics = step(state, batch)
    return metrics


class Clock(Batches):
    """Batches that note the time after the first `after` of them: compilation and the first record lie before."""

    def __init__(self, *given, after: int, **named):
        super().__init__(*given, **named)
        self.left, self.began = after, 0.0

    def __next__(self):
        if self.left == 0:
            self.began = time.perf_counter()
        self.left -= 1
        return super().__next__()


if __name__ == "__main__":
    tyro.cli(trainer)
