"""The plan of a run: its step compiled for a target, the roofline, the largest batch, and what to change."""

import functools
from collections.abc import Callable
from typing import Any

from ssl_jax.planning.advice import advice
from ssl_jax.planning.largest import Largest, largest_batch
from ssl_jax.planning.setting import assume
from ssl_jax.planning.step import CompiledStep, compile_step
from ssl_jax.planning.summary import summary
from ssl_jax.planning.targets import Target
from ssl_jax.recipes import Recipe
from ssl_jax.train.execution import COMPARISON, PLAIN, Execution
from ssl_jax.train.mesh import check_batch_size


def plan_run(
    make: Callable[..., Recipe],
    target: Target,
    *,
    given: dict[str, Any],
    execution: Execution = PLAIN,
    seed: int = 0,
    examples: int | None = None,
    largest: str = "estimate",
    effort: float = 0.0,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Compiles the step of a recipe and says what it costs: see `ssl_jax.planning.summary` for the names. Nothing is run.

    Args:
      make: the recipe's function.
      target: what the step is compiled for.
      given: arguments of the recipe's function.
      execution, seed: as in `fit`.
      examples: number of training examples, in place of the known one.
      largest: "skip", "estimate" by a line through the memory of two compiled steps, or "verify" it by compiling.
      effort: of the compiler, see `compile_step`.
      say: takes lines about what is done, which takes minutes.

    Raises:
      UsageError: an argument of the recipe is invalid, its number of examples is unknown, or the devices cannot share its
        batch.
    """
    setting = assume(make, given, accelerator=not target.is_processor, examples=examples)
    recipe = setting.make()
    check_batch_size(recipe.batch_size, target.mesh, microbatches=execution.microbatches)

    def compile_at(batch_size: int) -> CompiledStep:
        say(f"compiling the step of {recipe.name} with a batch of {batch_size:,} for {target.name}")
        same = batch_size == recipe.batch_size
        one = recipe if same else functools.partial(setting.make, batch_size=batch_size)()
        return compile_step(one, target.mesh, execution=execution, seed=seed, effort=effort)

    step = compile_at(recipe.batch_size)
    most = None
    if largest != "skip" and target.memory is not None and "batch_size" in recipe.arguments:
        most = _largest(compile_at, step, target, recipe, execution, verify=largest == "verify")
    found = summary(recipe, target, step, most) | {"assumed": list(setting.assumed), "execution": _options(execution)}
    if target.memory is not None:
        found["advice"] = advice(step, execution, recipe.arguments, limit=target.memory)
    return found


def _largest(
    compile_at: Callable[[int], CompiledStep],
    step: CompiledStep,
    target: Target,
    recipe: Recipe,
    execution: Execution,
    *,
    verify: bool,
) -> Largest | None:
    unit = target.mesh.size * execution.microbatches
    assert target.memory is not None
    return largest_batch(compile_at, step, limit=target.memory, unit=unit, most=len(recipe.data.train), verify=verify)


def _options(execution: Execution) -> dict[str, Any]:
    """The options of `pretrain` that the execution has been made of."""
    comparison = {name: getattr(execution.comparison, field) for name, field in COMPARISON.items()}
    return comparison | {name: value for name, value in vars(execution).items() if name != "comparison"}
