"""Loss and gradient of one batch, at once or in microbatches with the same result.

B: examples of the batch; m: microbatches. The compiler shards the encoding over the devices; `objective`, in which
examples interact, runs under `jax.shard_map`, so that devices communicate only what the losses state.

The encoder's activations take most memory, and `encode` works example by example; `objective` needs all embeddings, which
are small. So embeddings are computed in microbatches and kept, the objective is differentiated at all of them, and each
microbatch is encoded again to backpropagate its part of that gradient (gradient caching: Gao et al. 2021,
https://arxiv.org/abs/2101.06983). Negatives, assignments and batch correlations are those of the whole batch; only batch
norms use a microbatch at a time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec

from ssl_jax.methods.method import Embeddings, Method, Metrics, Params, State, ViewBatch
from ssl_jax.ops.comparison import BY_SIZE, Comparison, comparing
from ssl_jax.train.contract import checked_embeddings, checked_objective
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import rows_specs

Encode = Callable[[Params, State, Any], tuple[Embeddings, State]]
Objective = Callable[[Embeddings, State], tuple[Array, State, Metrics]]
Found = tuple[Array, State, Metrics, Params]
COSTLY = ("dot_general", "conv_general_dilated", "ragged_dot_general")


def loss_and_gradient(
    method: Method,
    make_views: Callable[[Any], ViewBatch],
    params: Params,
    state: State,
    batch: Any,
    *,
    rng: Array,
    objective_rng: Array,
    step: Array,
    mesh: Mesh | None = None,
    execution: Execution = PLAIN,
) -> Found:
    """Loss, new state, metrics, and gradient at `params`.

    Args:
      make_views: makes the views of a batch or of a part of it.
      rng, objective_rng: keys of `encode` and of `objective`.
      mesh: devices over whose axis "data" the batch is sharded; None for one device.
      execution: m, rematerialisation, and how the objective compares rows of several devices.
    """
    state = lax.stop_gradient(state)

    def encode(params: Params, state: State, part: Any) -> tuple[Embeddings, State]:
        found = method.encode(params, state, make_views(part), rng, step)
        embeddings, state = checked_embeddings(method, found, state)
        return embeddings, lax.stop_gradient(state)

    if execution.rematerialize:
        encode = jax.checkpoint(encode, policy=lambda primitive, *_, **__: primitive.name in COSTLY)
    objective = partial(sharded_objective, method, mesh, rng=objective_rng, step=step, comparison=execution.comparison)
    if execution.microbatches > 1:
        return _cached(encode, objective, params, state, batch, microbatches=execution.microbatches)

    def loss_of(params: Params) -> tuple[Array, tuple[State, Metrics]]:
        loss, after, metrics = objective(*encode(params, state, batch))
        return loss, (after, metrics)

    (loss, (state, metrics)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    return loss, state, metrics, gradient


def sharded_objective(
    method: Method,
    mesh: Mesh | None,
    embeddings: Embeddings,
    state: State,
    *,
    rng: Array,
    step: Array,
    comparison: Comparison = BY_SIZE,
) -> tuple[Array, State, Metrics]:
    """`method.objective` of global arrays, run on each device's shard of them: loss, new state, metrics.

    Only the entries of `objective_state` are passed to it, so that teachers and batch statistics are not communicated.
    """
    carried = {name: state[name] for name in method.objective_state if name in state}
    if mesh is None or mesh.size == 1:
        with comparing(comparison):
            loss, changes, metrics = checked_objective(method, method.objective(embeddings, carried, rng, step))
        return loss, {**state, **changes}, metrics

    def shard(embeddings: Embeddings, carried: State, rng: Array, step: Array) -> tuple[Array, State, Metrics]:
        found = method.objective(embeddings, carried, rng, step, axis_name="data")
        loss, changes, metrics = checked_objective(method, found)
        return loss, {**carried, **changes}, metrics

    spread, copied = PartitionSpec("data"), PartitionSpec()
    layouts = {
        name: rows_specs(carried[name]) if method.objective_state[name] == "rows" else copied for name in carried
    }
    run = jax.shard_map(
        shard, mesh=mesh, in_specs=(spread, layouts, copied, copied), out_specs=(copied, layouts, copied)
    )
    with comparing(comparison):
        loss, carried, metrics = run(embeddings, carried, rng, step)
    return loss, {**state, **carried}, metrics


def _cached(
    encode: Encode, objective: Objective, params: Params, state: State, batch: Any, *, microbatches: int
) -> Found:
    parts = jax.tree.map(lambda rows: _cut(rows, microbatches), batch)

    def embed(state: State, part: Any) -> tuple[State, Embeddings]:
        embeddings, state = encode(params, state, part)
        return state, embeddings

    after, embedded = lax.scan(embed, state, parts)
    real, whole_numbers = _split(jax.tree.map(_join, embedded))

    def loss_of(real: list[Array]) -> tuple[Array, tuple[State, Metrics]]:
        loss, carried, metrics = objective(_merge(real, whole_numbers, embedded), after)
        return loss, (carried, metrics)

    (loss, (after, metrics)), at_embeddings = jax.value_and_grad(loss_of, has_aux=True)(real)

    def carry_back(gradient: Params, given: tuple[Any, list[Array]]) -> tuple[Params, None]:
        part, cotangents = given
        _, back = jax.vjp(lambda params: _split(encode(params, state, part)[0])[0], params)
        return jax.tree.map(jnp.add, gradient, back(cotangents)[0]), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    gradient, _ = lax.scan(carry_back, zeros, (parts, [_cut(rows, microbatches) for rows in at_embeddings]))
    return loss, after, metrics, gradient


def _cut(rows: Array, count: int) -> Array:
    """`[B, ...]` -> `[m, B / m, ...]`, every m-th row in one part, so that each device splits its own rows."""
    return rows.reshape(len(rows) // count, count, *rows.shape[1:]).swapaxes(0, 1)


def _join(parts: Array) -> Array:
    rows = parts.swapaxes(0, 1)
    return rows.reshape(rows.shape[0] * rows.shape[1], *rows.shape[2:])


def _split(tree: Any) -> tuple[list[Array], list[Array]]:
    """Leaves that can be differentiated, and the others."""
    leaves = jax.tree.leaves(tree)
    real = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return real, [leaf for leaf in leaves if not jnp.issubdtype(leaf.dtype, jnp.floating)]


def _merge(real: list[Array], others: list[Array], like: Any) -> Any:
    leaves, tree = jax.tree.flatten(like)
    sources = {True: iter(real), False: iter(others)}
    return jax.tree.unflatten(tree, [next(sources[jnp.issubdtype(leaf.dtype, jnp.floating)]) for leaf in leaves])
