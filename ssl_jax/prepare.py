"""All checks before a run starts: the recipe, its data, and a trace of all of training. Nothing is written."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from ssl_jax.data import Batches, Source, model_inputs
from ssl_jax.errors import usage_errors
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.evaluate.online import online_probes
from ssl_jax.ops.comparison import Comparison
from ssl_jax.options import DEFAULTS, Options
from ssl_jax.recipes import Recipe
from ssl_jax.report.sheets import grid
from ssl_jax.train.execution import COMPARISON, Execution
from ssl_jax.train.mesh import batch_sharding, check_batch_size, make_mesh
from ssl_jax.train.program import Program, batch_shapes, check_program, make_program
from ssl_jax.train.records import Hook

MakeRecipe = Callable[[], Recipe]


# The options that `execution_of` makes an `Execution` of.
EXECUTION = (*COMPARISON, "shard_parameters", "microbatches", "rematerialize", "skip_nonfinite", "debug_nans")


class Prepared(NamedTuple):
    """A run that is ready to start. program: traced, not yet compiled."""

    recipe: Recipe
    mesh: Mesh
    batches: Batches
    hook: Hook
    program: Program


def prepare(make: MakeRecipe, options: Options) -> Prepared:
    """Makes the recipe, opens its data, and traces a step, the gauges and the evaluation for batches of the actual shapes.

    Raises:
      UsageError: an argument of the recipe or an option is invalid, whether the package or a library raises the error.
    """
    changed = {name: value for name in EXECUTION if (value := getattr(options, name)) != getattr(DEFAULTS, name)}
    with usage_errors(chosen_arguments(make) | changed):
        recipe, mesh = make(), make_mesh(options.devices)
        check_batch_size(recipe.batch_size, mesh, microbatches=options.microbatches)
        data, seed = recipe.data, options.seed
        sharding = batch_sharding(mesh)
        batches = Batches(data.train, recipe.batch_size, seed=seed, sharding=sharding, workers=options.workers)
        optimizer = recipe.optimizer(recipe.steps)
        execution = execution_of(options)
        program = make_program(recipe.method, recipe.augment, optimizer, seed=seed, mesh=mesh, execution=execution)
        check_program(
            program, data.train[0], batch_size=recipe.batch_size, mesh=mesh, microbatches=options.microbatches
        )
        extract = feature_extractor(recipe.method, recipe.prepare)
        check_extractor(extract, program.like, data.train)
        hook = online_probes(extract, data, mesh=mesh, draw=grid)
    return Prepared(recipe, mesh, batches, hook, program)


def execution_of(options: Options) -> Execution:
    """The execution of the training step that the options describe."""
    comparison = Comparison(**{field: getattr(options, name) for name, field in COMPARISON.items()})
    rest = {name: getattr(options, name) for name in EXECUTION if name not in COMPARISON}
    return Execution(comparison=comparison, **rest)


def check_extractor(extract: Callable[[Any, Any, Any], Any], state: Any, source: Source) -> None:
    """Traces the frozen features of two examples; errors of the network about their shape pass through."""
    jax.eval_shape(extract, state.params, state.method_state, model_inputs(batch_shapes(source[0], 2)))


def chosen_arguments(make: MakeRecipe) -> dict[str, Any]:
    """The arguments that differ from the defaults of the recipe's function; empty where `make` is not a partial call of one."""
    if not isinstance(make, functools.partial):
        return {}
    defaults = inspect.signature(make.func).parameters
    return {name: value for name, value in make.keywords.items() if value != defaults[name].default}
