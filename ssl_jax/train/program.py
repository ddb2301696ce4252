"""The functions of a run, jitted over the mesh, and their check: all of training is traced before anything is written."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Method, Metrics
from ssl_jax.ops.convolution import compiler_options
from ssl_jax.optimizers import Optimizer
from ssl_jax.train.compilation import for_one_call
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import batch_sharding, replicated, rows_shardings, state_shardings
from ssl_jax.train.state import TrainState, init_state
from ssl_jax.train.step import Augment, Batch, make_fill, make_gauges, make_step, make_views


class Program(NamedTuple):
    """The jitted functions of a run, the state as shapes with shardings, and the views of a batch, not jitted."""

    init: Callable[[], TrainState]
    fill: Callable[[TrainState, Batch, Any], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
    gauges: Callable[[TrainState, Batch], Metrics]
    like: Any
    views: Callable[[jax.Array, Batch], Any]


def make_program(
    method: Method,
    augment: Augment,
    optimizer: Optimizer,
    *,
    seed: int,
    mesh: Mesh,
    execution: Execution = PLAIN,
) -> Program:
    """Traces `init` and jits the rest. The arguments are those of `fit`."""
    step = make_step(method, augment, optimizer, seed=seed, mesh=mesh, execution=execution)
    gauges = make_gauges(method, augment, seed=seed)
    fill = make_fill(method, augment, seed=seed, mesh=mesh)
    init = partial(init_state, method, optimizer.transformation, seed=seed)
    shapes = jax.eval_shape(init)
    shardings = state_shardings(mesh, shapes, shard_parameters=execution.shard_parameters)
    rows = [name for name, layout in method.objective_state.items() if layout == "rows" and name in shapes.method_state]
    cut = {name: rows_shardings(mesh, shapes.method_state[name]) for name in rows}
    shardings = shardings._replace(method_state={**shardings.method_state, **cut})
    like = jax.tree.map(lambda leaf, sharding: leaf.update(sharding=sharding), shapes, shardings)
    platform = mesh.devices.flat[0].platform
    options = compiler_options(shapes.params, platform)
    step = jax.jit(
        step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=() if execution.debug_nans else 0,  # A step that gives NaN is repeated from the same state.
        compiler_options=options,
    )
    fill = jax.jit(fill, out_shardings=shardings, donate_argnums=0, compiler_options=options)
    gauges = jax.jit(gauges, out_shardings=replicated(mesh), compiler_options=options)
    begin = jax.jit(init, out_shardings=shardings, compiler_options=for_one_call(platform))
    return Program(begin, fill, step, gauges, like, partial(make_views, augment))


def check_program(
    program: Program, example: Mapping[str, Any], *, batch_size: int, mesh: Mesh, microbatches: int = 1
) -> None:
    """Traces a step and the gauges for a batch of examples like this one; `fit` reuses the trace.

    Raises:
      UsageError: the state, or one batch of views, takes more memory than the devices have.
      Exception: any error of the method, the augmentation or a library about the shapes and the settings.
    """
    batch = batch_shapes({**example, "index": np.int32(0)}, batch_size, sharding=batch_sharding(mesh))
    views = jax.eval_shape(lambda seed, batch: program.views(jax.random.key(seed), batch), jnp.uint32(0), batch)
    _check_memory(program.like, views, mesh=mesh, shares=mesh.size * microbatches)
    jax.eval_shape(program.step, program.like, batch)
    jax.eval_shape(program.gauges, program.like, batch)


def batch_shapes(example: Mapping[str, Any], size: int, *, sharding: Any = None) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of this size, of examples like this one."""
    arrays = {name: np.asarray(value) for name, value in example.items()}
    return {
        name: jax.ShapeDtypeStruct((size, *array.shape), jax.dtypes.canonicalize_dtype(array.dtype), sharding=sharding)
        for name, array in arrays.items()
    }


def _check_memory(state: Any, views: Any, *, mesh: Mesh, shares: int) -> None:
    """A lower bound without activations and gradients: a program that passes may still be too large."""
    of_state = sum(
        leaf.dtype.itemsize * int(np.prod(leaf.sharding.shard_shape(leaf.shape), dtype=object))
        for leaf in jax.tree.leaves(state)
    )
    of_views = sum(leaf.dtype.itemsize * leaf.size for leaf in jax.tree.leaves(views)) // shares
    device = mesh.local_devices[0]
    limit = (device.memory_stats() or {}).get("bytes_limit") or _host_memory() // len(mesh.local_devices)
    if of_state + of_views > limit:
        gib = [f"{size / 2**30:,.1f} GiB" for size in (of_state, of_views, limit)]
        raise UsageError(
            f"memory: parameters, optimizer and banks take {gib[0]} and the views of a batch {gib[1]} on each device, which "
            f"has {gib[2]}: lower the sizes of the network, of its banks, of the images or of the batch."
        )


def _host_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
