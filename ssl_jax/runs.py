"""A run from beginning to end: pre-train, judge the features, write the report. Commands and experiments call this."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from ssl_jax.data import Batches, open_data
from ssl_jax.errors import RunError
from ssl_jax.evaluate.judge import Judge
from ssl_jax.options import parse
from ssl_jax.recipes import Recipe, find
from ssl_jax.report import save_pictures, write_report
from ssl_jax.rundir import open_run, read_request, write_json
from ssl_jax.train import fit
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.log import read_metrics, say
from ssl_jax.train.mesh import batch_sharding, check_batch_size, connect, make_mesh
from ssl_jax.train.state import init_state

MakeRecipe = Callable[[], Recipe]


@dataclass(frozen=True)
class Options:
    """Where and how a run goes. Of these, only the seed changes what is learned.

    Attributes:
      run: folder of the run; runs/METHOD-RECIPE when not given.
      seed: decides initial weights, order of the images, and views.
      devices: how many to use; all when not given.
      shard_parameters: spread parameters and moments over the devices (FSDP) instead of copying them.
      resume: go on from the last checkpoint in the run's folder.
      workers: processes that decode images; 0 decodes in threads.
      log_every: steps between records of loss, speed and collapse gauges.
      evaluate_every: steps between online k-NN evaluations and checkpoints.
      keep: how many of the last checkpoints stay, beside the best.
      coordinator: address of process 0, host:port, for a run on several hosts.
      processes: how many processes the run has.
      process: number of this one.
    """

    run: Path | None = None
    seed: int = 0
    devices: int | None = None
    shard_parameters: bool = False
    resume: bool = True
    workers: int = 0
    log_every: int = 50
    evaluate_every: int = 250
    keep: int = 2
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None


def read_options(make: Callable[..., Recipe], words: list[str], *, prog: str) -> tuple[MakeRecipe, Options]:
    """The options of a recipe's signature and of `Options`, from the words of a command line."""

    @functools.wraps(make)
    def arguments(**given: Any) -> dict[str, Any]:
        return given

    recipe_options = Annotated[dict, tyro.conf.arg(constructor=arguments)]

    def both(recipe: recipe_options, run_options: Options = Options()) -> tuple[dict[str, Any], Options]:  # type: ignore[valid-type]
        return recipe, run_options

    both.__doc__ = make.__doc__
    given, options = parse(both, words, prog=prog)
    return functools.partial(make, **given), options


def repeat(path: Path, words: list[str]) -> tuple[MakeRecipe, Options]:
    """The recipe and the seed of a `run.json`; the words may say where and how the run goes this time."""
    request = read_request(path)
    make = functools.partial(find(request["method"], request["recipe"]), **request["arguments"])
    again = Options(run=Path("runs") / f"{request['method']}-{request['recipe']}-again", seed=request["seed"])

    def options(run_options: Options = again) -> Options:
        """Repeats a run: same recipe, same arguments, same seed."""
        return run_options

    return make, parse(options, words, prog=f"ssl-jax pretrain --from {path}")


def pretrain(make: MakeRecipe, options: Options) -> dict[str, Any] | None:
    """Pre-trains, judges, reports; returns what `results.json` holds (None on all processes but the first)."""
    began = time.perf_counter()
    if options.coordinator or options.processes:
        connect(coordinator=options.coordinator, processes=options.processes, process=options.process)
    recipe = make()
    mesh = make_mesh(options.devices)
    check_batch_size(recipe.batch_size, mesh)
    run = options.run or Path("runs") / recipe.name.replace("/", "-")
    first_process = jax.process_index() == 0
    if first_process:
        open_run(run, _request(recipe, options.seed), resume=options.resume)
    sharding = batch_sharding(mesh)
    batches = Batches(
        recipe.data.train, recipe.batch_size, seed=options.seed, sharding=sharding, workers=options.workers
    )
    judge = Judge(recipe.method, recipe.prepare, recipe.data, mesh=mesh, seed=options.seed)
    state = fit(
        recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches,
        steps=recipe.steps, seed=options.seed, run=run, mesh=mesh, shard_parameters=options.shard_parameters,
        hook=judge.online, log_every=options.log_every, hook_every=options.evaluate_every,
        save_every=options.evaluate_every, keep=options.keep,
    )  # fmt: skip
    return None
