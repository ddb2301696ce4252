"""One step of pre-training, the same for every method: views -> encode -> objective -> gradient -> update."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh

from ssl_jax.data import model_inputs
from ssl_jax.evaluate.gauges import training_gauges
from ssl_jax.methods.method import Method, Metrics, ViewBatch
from ssl_jax.ops.bank import keys_of
from ssl_jax.ops.normalize import norm_of
from ssl_jax.optimizers import Optimizer
from ssl_jax.train.contract import check_state, checked_views
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.gradient import loss_and_gradient, sharded_objective
from ssl_jax.train.state import TrainState

Augment = Callable[[Array, Any], Any]
Batch = dict[str, Array]


def make_views(augment: Augment, rng: Array, batch: Batch) -> ViewBatch:
    """Views of a batch, with one key an example from (rng, index): the same views on any number of devices.

    An augmentation takes the `model_inputs` of an example, the uint8 image in most cases. It returns the array "views",
    or a dict of arrays by the names that the method expects.
    """
    views = jax.vmap(augment)(keys_of(rng, batch["index"]), model_inputs(batch))
    named = checked_views(views, batch.get("image"))
    return {**named, **{name: batch[name] for name in ("index", "label") if name in batch}}


def step_keys(seed: int, step: Array) -> tuple[Array, Array, Array]:
    """Keys of views, networks and objective at a step: no random state is carried, so that a resumed run has the same keys."""
    views_rng, encode_rng, objective_rng = jax.random.split(jax.random.fold_in(jax.random.key(seed), step), 3)
    return views_rng, encode_rng, objective_rng


def make_step(
    method: Method,
    augment: Augment,
    optimizer: Optimizer,
    *,
    seed: int,
    mesh: Mesh | None = None,
    execution: Execution = PLAIN,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """The pure function `(state, batch) -> (state, metrics)`. The trainer jits it over the mesh and donates the state.

    mesh, execution: as in `loss_and_gradient`.
    """

    def step(current: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        views_rng, encode_rng, objective_rng = step_keys(seed, current.step)
        loss, state, metrics, gradient = loss_and_gradient(
            method,
            lambda part: make_views(augment, views_rng, part),
            current.params,
            current.method_state,
            batch,
            rng=encode_rng,
            objective_rng=objective_rng,
            step=current.step,
            mesh=mesh,
            execution=execution,
        )
        updates, optimizer_state = optimizer.transformation.update(gradient, current.optimizer, current.params)
        params = optax.apply_updates(current.params, updates)
        params, state = method.after_step(params, state, current.step)
        check_state(f"{type(method).__name__}.after_step", current.method_state, state)
        rate = jnp.asarray(optimizer.learning_rate(current.step))
        metrics = {"loss": loss, "learning_rate": rate, "gradient_norm": norm_of(gradient), **metrics}
        updated = TrainState(current.step + 1, params, state, optimizer_state)
        return _unless_nonfinite(updated, current, metrics) if execution.skip_nonfinite else (updated, metrics)

    return step


def _unless_nonfinite(updated: TrainState, current: TrainState, metrics: Metrics) -> tuple[TrainState, Metrics]:
    """The updated state where loss and gradient are finite, else the current one with the next step's number, "skipped" 1."""
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"])
    chosen = jax.tree.map(lambda new, old: jnp.where(finite, new, old), updated, current._replace(step=updated.step))
    return chosen, {**metrics, "skipped": 1 - finite.astype(jnp.float32)}


def make_fill(
    method: Method, augment: Augment, *, seed: int, mesh: Mesh | None = None
) -> Callable[[TrainState, Batch, Array], TrainState]:
    """A step without an update, `(state, batch, step) -> state`: `Method.fill_steps` of them come before the first update."""

    def fill(current: TrainState, batch: Batch, step: Array) -> TrainState:
        views_rng, encode_rng, objective_rng = step_keys(seed, step)
        views = make_views(augment, views_rng, batch)
        embeddings, state = method.encode(current.params, current.method_state, views, encode_rng, step)
        _, state, _ = sharded_objective(method, mesh, embeddings, state, rng=objective_rng, step=step)
        _, state = method.after_step(current.params, state, step)
        return current._replace(method_state=state)

    return fill


def make_gauges(method: Method, augment: Augment, *, seed: int) -> Callable[[TrainState, Batch], Metrics]:
    """`training_gauges` of the state before a step and the batch of this step, which a memory has not stored yet.

    The views are those of the step. The state is only read: training is the same at any interval of records.
    """

    def gauges(current: TrainState, batch: Batch) -> Metrics:
        views_rng, encode_rng, _ = step_keys(seed, current.step)
        views = make_views(augment, views_rng, batch)
        params, state, step = current.params, current.method_state, current.step
        embeddings, _ = method.encode(params, state, views, encode_rng, step)
        return training_gauges(embeddings["embedding"], method.watched(params, state, embeddings, batch["index"], step))

    return gauges
