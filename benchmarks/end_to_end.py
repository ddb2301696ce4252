"""SimCLR on the cores of this machine, from images to updated weights, beside lightly (optional), in turn.

    pip install lightly timm torch torchvision
    python -m benchmarks end_to_end --results benchmarks/results/end-to-end-cpu.md

Every step takes its batch from the data set, makes two views of each image, and updates the weights. Each turn starts anew, so
that no worker of one makes views in the turn of another. Also one batch of 1,024 images at once and in four microbatches.
"""

import contextlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import tyro
from lightly_steps import steps as lightly_steps
from machine import about
from summary import compared, keep

from ssl_jax.data import Batches, in_order
from ssl_jax.recipes import Recipe, simclr
from ssl_jax.train.execution import Execution
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.program import make_program

Steps = Callable[[], Iterator[float]]  # Starts training, and yields the loss of each step.


WARM = 5  # Steps: as many batches as two workers make ahead, and one.


class Case(NamedTuple):
    """encoder: by its name here and in lightly_steps. make: our recipe. steps: of a turn."""

    encoder: str
    make: Callable[[], Recipe]
    steps: int


def small_images(encoder: str) -> Recipe:
    return simclr.cifar(data="synthetic", image_size=32, encoder=encoder, batch_size=64)


CASES = {
    "demo network, 28 x 28, batch 256": Case("small", simclr.demo, 30),
    "ResNet-18, 32 x 32, batch 64": Case("resnet18", lambda: small_images("resnet18"), 3),
    "ViT-Tiny/4, 32 x 32, batch 64": Case("vit_tiny/4", lambda: small_images("vit_tiny/4"), 3),
}


def end_to_end(
    *, only: tuple[str, ...] = (), rounds: int = 5, steps: int | None = None, results: Path | None = None
) -> None:
    """Prints images a second of each, medians over the rounds, and ratios.

    Args:
      only: encoders, "small", "resnet18" or "vit_tiny/4"; all, and the microbatches, when none is named.
      rounds: turns of each.
      steps: of a turn; as many as each case has when it is None.
      results: file of the table.
    """
    peer, rows = importlib.util.find_spec("lightly") is not None, []
    lines = ["| step | ours, img/s | lightly, img/s | lightly, channels last | ratio to the faster |", "|---" * 5 + "|"]
    for name, case in CASES.items():
        if only and case.encoder not in only:
            continue
        recipe = case.make()
        rivals = {"ours": ours(recipe)}
        if peer:
            images = np.concatenate([batch["image"] for batch in in_order(recipe.data.train, batch_size=512)])
            for channels_last in (False, True):
                given: dict[str, Any] = {"batch": recipe.batch_size, "channels_last": channels_last}
                rivals[f"lightly, {channels_last}"] = partial(lightly_steps, case.encoder, images, **given)
        speeds = [speed * recipe.batch_size for speed in in_turn(rivals, steps=steps or case.steps, rounds=rounds)]
        ratio = f"{speeds[0] / max(speeds[1:]):.2f}" if peer else "-"
        cells = [f"{speed:,.0f}" for speed in speeds] + ["-"] * (3 - len(speeds))
        lines.append(f"| {' | '.join([name, *cells, ratio])} |")
        print(lines[-1], flush=True)
        for other, speed in zip(("lightly", "lightly, channels last"), speeds[1:], strict=False):
            rows.append(compared(name, other, speeds[0], speed, unit="img/s", digits=".0f", more=True))
    if not only:
        lines += ["", *microbatches(rounds=rounds)]
    machine = about("jax", "jaxlib", "torch", "lightly", "timm")
    table = "\n".join([f"{machine}; `python -m benchmarks end_to_end`; {rounds} rounds", "", *lines])
    print(table)
    title = "# SimCLR from images to updated weights, on CPU"
    keep(results, f"{title}\n\n{table}\n", rows, name="end_to_end", about=machine)


def ours(recipe: Recipe, *, microbatches: int = 1) -> Steps:
    """As `lightly_steps.steps`, compiled once."""
    mesh, execution = make_mesh(1), Execution(microbatches=microbatches)
    optimizer = recipe.optimizer(recipe.steps)
    program = make_program(recipe.method, recipe.augment, optimizer, seed=0, mesh=mesh, execution=execution)

    def steps() -> Iterator[float]:
        state = program.init()
        with Batches(recipe.data.train, recipe.batch_size, seed=0, sharding=batch_sharding(mesh)) as batches:
            for batch in batches:
                state, metrics = program.step(state, batch)
                yield float(jax.device_get(metrics["loss"]))

    return steps


def microbatches(*, rounds: int) -> list[str]:
    """A table of a batch of 1,024 images of the demo at once and in parts."""
    counts = (1, 4)
    recipe = simclr.demo(batch_size=1024)
    rivals = {str(count): ours(recipe, microbatches=count) for count in counts}
    speeds = [speed * recipe.batch_size for speed in in_turn(rivals, steps=3, rounds=rounds)]
    rows = [f"| {count} | {speed:,.0f} |" for count, speed in zip(counts, speeds, strict=True)]
    return ["| microbatches of 1,024 images, demo network | img/s |", "|---|---|", *rows]


def in_turn(rivals: dict[str, Steps], *, steps: int, rounds: int) -> list[float]:
    """Steps a second of each, the median of its turns, without the first steps, which compile or start workers."""
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, start in rivals.items():
            with contextlib.closing(cast(Any, start())) as training:
                for _ in range(WARM):
                    next(training)
                began = time.perf_counter()
                for _ in range(steps):
                    next(training)
                found[name].append(steps / (time.perf_counter() - began))
    return [statistics.median(speeds) for speeds in found.values()]


if __name__ == "__main__":
    tyro.cli(end_to_end)
