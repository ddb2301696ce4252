"""`ssl-jax plan`: what a run will need, before it runs."""

import functools
from typing import Any

import jax

from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.errors import UsageError, usage_errors
from ssl_jax.files import write_json
from ssl_jax.options import Options, PlanOptions
from ssl_jax.planning import plan_run
from ssl_jax.planning.summary import table
from ssl_jax.planning.targets import this_machine, topology
from ssl_jax.prepare import chosen_arguments, execution_of
from ssl_jax.recipes import Recipe
from ssl_jax.train.compilation import keep_programs
from ssl_jax.train.log import log_line


def plan(make: functools.partial[Recipe], options: Options, planned: PlanOptions) -> dict[str, Any]:
    """Compiles the step, prints a table to standard error, and returns what is written to `planned.output`, too.

    make: a partial call of a recipe's function, as `read_options` returns it.

    Raises:
      UsageError: the topology, an argument of the recipe, or the file to write is invalid.
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
