"""The trainer's step of a recipe, compiled ahead of time and never run: its memory and its costs on a device."""

import math
import re
import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import Mesh

from ssl_jax.errors import reason_of
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.costs import Costs, costs_of
from ssl_jax.recipes import Recipe
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import batch_sharding
from ssl_jax.train.program import Program, batch_shapes, make_program

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

    @property
    def device_costs(self) -> Costs:
        """The costs on a device.

        Where compiled products are calls of a library, as on a GPU, their operations are those of the traced program, shared
        equally; where the compiler refuses, nothing else is known.
        """
        shared = self.products / self.devices
        if self.costs is None:
            return Costs(flops=shared)
        return self.costs if self.costs.flops > shared / 2 else replace(self.costs, flops=shared)


def trace_step(recipe: Recipe, mesh: Mesh, *, execution: Execution = PLAIN, seed: int = 0) -> tuple[Program, Any]:
    """The functions of a run on this mesh, and its traced step for the recipe's batch; no array is made."""
    optimizer = recipe.optimizer(recipe.steps)
    program = make_program(recipe.method, recipe.augment, optimizer, seed=seed, mesh=mesh, execution=execution)
    example = {**recipe.data.train[0], "index": np.int32(0)}
    batch = batch_shapes(example, recipe.batch_size, sharding=batch_sharding(mesh))
    return program, program.step.trace(program.like, batch)  # type: ignore[attr-defined]


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
    before, start = jax.config.jax_exec_time_optimization_effort, time.perf_counter()
    try:
        jax.config.update("jax_exec_time_optimization_effort", effort)
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as fault:
        if "RESOURCE_EXHAUSTED" not in str(fault):
            raise
        if effort < 0:
            return compile_step(recipe, mesh, execution=execution, seed=seed, effort=0.0)
        return replace(found, seconds=time.perf_counter() - start, refused=reason_of(fault), needed=stated(str(fault)))
    finally:
        jax.config.update("jax_exec_time_optimization_effort", before)
    memory = memory_of(compiled)
    seconds, costs = time.perf_counter() - start, costs_of(read_program(compiled.as_text()))
    return replace(found, seconds=seconds, memory=memory, needed=memory.peak, costs=costs)


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


def products(program: ClosedJaxpr | Jaxpr) -> float:
    """Operations of the matrix products and convolutions of a traced program, two for a multiplication and an addition.

    Loops count with their iterations, and branches with the cheapest one, without the clustering of once an epoch.
    """
    total = 0.0
    for equation in program.eqns:
        inner = [products(part) for part in jax.tree.leaves(equation.params, is_leaf=_is_program) if _is_program(part)]
        kind, given = equation.primitive.name, equation.params
        if kind in ("dot_general", "conv_general_dilated"):
            left, right = (operand.aval.shape for operand in equation.invars)
            out = math.prod(equation.outvars[0].aval.shape)
        if kind == "dot_general":
            total += 2 * out * math.prod(left[axis] for axis in given["dimension_numbers"][0][0])
        elif kind == "conv_general_dilated":
            outputs = right[given["dimension_numbers"].rhs_spec[0]]
            # Without products with zeros.
            total += 2 * out * math.prod(right) / outputs / math.prod(given["lhs_dilation"])
        else:
            total += min(inner) if kind == "cond" else sum(inner) * given.get("length", 1)
    return total


def _is_program(part: Any) -> bool:
    return isinstance(part, ClosedJaxpr | Jaxpr)
