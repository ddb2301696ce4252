"""`ssl-jax plan`: what a run will need, before it runs."""

import functools
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.commands.saved_run import make_again
from ssl_jax.data.datasets import folder_of
from ssl_jax.errors import UsageError, usage_errors
from ssl_jax.files import write_json
from ssl_jax.options import PLANNED, Options, PlanOptions, parse
from ssl_jax.planning import plan_run
from ssl_jax.planning.setting import is_at_hand
from ssl_jax.planning.summary import table
from ssl_jax.planning.targets import this_machine, topology
from ssl_jax.prepare import chosen_arguments, execution_of
from ssl_jax.recipes import Recipe
from ssl_jax.runs import read_request
from ssl_jax.train.compilation import keep_programs
from ssl_jax.train.log import log_line


def plan(make: functools.partial[Recipe], options: Options, planned: PlanOptions) -> dict[str, Any]:
    """Compiles the step, prints a table to standard error, and returns what is written to `planned.output`, too.

    make: a partial call of a recipe's function, as `read_options` returns it.

    Raises:
      UsageError: the topology, an argument of the recipe, or the file to write is invalid.

    Example:
      >>> make = functools.partial(simclr.imagenet, data="synthetic")
      >>> table = plan(make, Options(), PlanOptions(topology="v5e:4x4"))  # doctest: +SKIP
    """
    if planned.output:
        check_ending(planned.output, ".json")
        check_writable(planned.output)
    if planned.topology is None:
        target = this_machine(options.devices)
    elif options.devices is None:
        jax.config.update("jax_platforms", "cpu")  # No accelerator of this machine is taken.
        target = topology(planned.topology)
    else:
        raise UsageError(
            f"devices: got {options.devices} and the topology {planned.topology}: give one of them, since all chips of a "
            "topology are used."
        )
    keep_programs()
    with usage_errors(chosen_arguments(make)):
        found = plan_run(
            make.func, target, given=make.keywords, execution=execution_of(options), seed=options.seed,
            examples=planned.examples, largest=planned.largest, effort=planned.effort, say=log_line,
        )  # fmt: skip
    log_line(table(found))
    if planned.output:
        write_json(planned.output, found)
    return found


def planned_again(path: Path, words: list[str]) -> tuple[functools.partial[Recipe], Options, PlanOptions]:
    """The recipe, seed and microbatches of a run, and the options of its plan, as `plan` takes them.

    Where the run's data are not at hand, `run.json` has their number of examples.

    path: folder of a run, or its `run.json`.

    Example:
      >>> make, options, planned = planned_again(run, ["--topology", "v5e:4x4"])
      >>> print(options.seed, planned.topology)
      0 v5e:4x4
    """
    request = read_request(path)
    make = make_again(request)
    again = Options(seed=request["seed"], microbatches=request.get("microbatches", 1))

    def options(
        run_options: Options = again, plan_options: PlanOptions = PLANNED, batch_size: int | None = None
    ) -> tuple[Options, PlanOptions, int | None]:
        """Plans the step of a run: same recipe, same arguments.

        Args:
          batch_size: examples of a step, over all devices, also --global-batch; the run's when not given.
        """
        return run_options, plan_options, batch_size

    chosen, planned, batch_size = parse(options, words, prog=f"ssl-jax plan --from {path}")
    if batch_size is not None:
        if "batch_size" not in inspect.signature(make.func).parameters:
            raise UsageError(f"batch_size: the recipe of {path} has no such option: leave --global-batch out.")
        make.keywords["batch_size"] = batch_size
    examples = request.get("examples", {}).get("train_examples")
    if planned.examples is None and type(examples) is int and _is_elsewhere(make.keywords.get("data")):
        planned = replace(planned, examples=examples)
    return make, chosen, planned


def _is_elsewhere(data: Any) -> bool:
    """Whether these data are not opened by a plan, or are a folder of another machine."""
    folder = folder_of(data) if isinstance(data, str) else None
    return isinstance(data, str) and (not is_at_hand(data) or (folder is not None and not folder.exists()))
