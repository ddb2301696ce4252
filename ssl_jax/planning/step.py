"""The trainer's step of a recipe, compiled ahead of time and never run: its memory and its costs on a device."""

import math
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ssl_jax.errors import reason_of
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.costs import Costs, costs_of
from ssl_jax.planning.products import products
from ssl_jax.recipes import Recipe
from ssl_jax.train.compilation import not_kept
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import batch_sharding
from ssl_jax.train.program import Program, batch_shapes, make_program

EFFORT = "jax_exec_time_optimization_effort"
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Memory:
    """Bytes on one device while a step runs, as the compiler assigns them.

    arguments: parameters, optimizer, other state and the batch. outputs: the next state and the metrics, of which `aliased` lie
    where the arguments were. temporaries: activations, gradients and all else that ends with the step. code: the program.
    """

    arguments: int
    outputs: int
    aliased: int
    temporaries: int
    code: int

    @property
    def peak(self) -> int:
        """What the step needs."""
        return self.arguments + self.outputs - self.aliased + self.temporaries + self.code


@dataclass(frozen=True)
class CompiledStep:
    """parameters: numbers that are trained. products: operations of all devices by `products`, before compiling.

    needed: bytes that the step needs on a device, `memory.peak` or what the compiler states when it refuses; None if neither is
    known. memory, costs: None where the compiler refuses, for the reason in `refused`. seconds: of compiling.
    compiler_flops: on a device by XLA's own count, bodies of loops once and other operations than products included.
    effort: with which the compiler made it, see `compile_step`.
    """

    batch_size: int
    devices: int
    parameters: int
    products: float
    seconds: float
    effort: float
    needed: float | None = None
    memory: Memory | None = None
    costs: Costs | None = None
    refused: str | None = None
    compiler_flops: float = 0

    @property
    def device_costs(self) -> Costs:
        """The costs on a device; only the operations where the compiler refuses."""
        return costs_on_device(self.costs or Costs(), self.products, devices=self.devices)


def costs_on_device(costs: Costs, products: float, *, devices: int) -> Costs:
    """The costs of a compiled program; its operations are those of the traced one, shared equally, where it has less than half.

    So it is where products are calls of a library, as on a GPU.
    """
    shared = products / devices
    return costs if costs.flops > shared / 2 else replace(costs, flops=shared)


def trace_step(recipe: Recipe, mesh: Mesh, *, execution: Execution = PLAIN, seed: int = 0) -> tuple[Program, Any]:
    """The functions of a run on this mesh, and its traced step for the recipe's batch; no array is made."""
    optimizer = recipe.optimizer(recipe.steps)
    program = make_program(recipe.method, recipe.augment, optimizer, seed=seed, mesh=mesh, execution=execution)
    return program, program.step.trace(program.like, batch_like(recipe, mesh))  # type: ignore[attr-defined]


def batch_like(recipe: Recipe, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the recipe's batch, with its sharding."""
    example = {**recipe.data.train[0], "index": np.int32(0)}
    return batch_shapes(example, recipe.batch_size, sharding=batch_sharding(mesh))


def compile_step(
    recipe: Recipe, mesh: Mesh, *, execution: Execution = PLAIN, seed: int = 0, effort: float = 0.0
) -> CompiledStep:
    """Compiles the step and counts its costs.

    Args:
      effort: of the compiler, from -1 to 1; a run has 0. Less takes a fraction of the time, to a program with the same products
        that may need more memory; a step that does not fit so is compiled with 0.
    """
    program, traced = trace_step(recipe, mesh, execution=execution, seed=seed)
    found = CompiledStep(
        batch_size=recipe.batch_size,
        devices=mesh.size,
        parameters=sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(program.like.params)),
        products=products(traced.jaxpr),
        seconds=0,
        effort=effort,
    )
    before, start = getattr(jax.config, EFFORT), time.perf_counter()
    try:
        jax.config.update(EFFORT, effort)
        lowered, elsewhere = traced.lower(), mesh.devices.flat[0] not in jax.devices()
        with not_kept() if elsewhere else nullcontext():
            compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as fault:
        if "RESOURCE_EXHAUSTED" not in str(fault):
            raise
        if effort < 0:
            return compile_step(recipe, mesh, execution=execution, seed=seed, effort=0.0)
        return replace(found, seconds=time.perf_counter() - start, refused=reason_of(fault), needed=stated(str(fault)))
    finally:
        jax.config.update(EFFORT, before)
    found = replace(found, seconds=time.perf_counter() - start, compiler_flops=compiled.cost_analysis()["flops"])
    memory, costs = memory_of(compiled), costs_of(read_program(compiled.as_text()))
    return replace(found, memory=memory, needed=memory.peak, costs=costs)


def memory_of(compiled: Any) -> Memory:
    """The memory of a compiled function on a device."""
    found = compiled.memory_analysis()
    return Memory(
        found.argument_size_in_bytes,
        found.output_size_in_bytes,
        found.alias_size_in_bytes,
        found.temp_size_in_bytes,
        found.generated_code_size_in_bytes,
    )


def stated(refusal: str) -> float | None:
    """The bytes that a program needs by the compiler's refusal: "Used 33.1G of 15.75G hbm", or the temporaries alone."""
    found = re.search(r"Used ([\d.]+)([KMGT]?) of|\(([\d.]+)([KMGT]?)\) exceeds available", refusal)
    if not found:
        return None
    amount, unit = found[1] or found[3], found[2] or found[4]
    return float(amount) * UNITS[unit or ""]
