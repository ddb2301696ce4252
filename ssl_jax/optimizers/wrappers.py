"""Wrappers of optimizers that treat some parameters differently."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssl_jax.ops.normalize import norm_of
from ssl_jax.optimizers.optimizer import Optimizer, configured


@configured
def with_separate_optimizer(optimizer: Optimizer, other: Optimizer, *, network: str) -> Optimizer:
    """`other` for the parameters of one network, such as SimSiam's "predictor", and `optimizer` for the rest."""

    def label(params: Any) -> Any:
        return {name: jax.tree.map(lambda _: name == network, part) for name, part in params.items()}  # noqa: B023

    both = {False: optimizer.transformation, True: other.transformation}
    return Optimizer(optimizer.learning_rate, optax.partition(both, label))


@configured
def with_bias_rate(optimizer: Optimizer, *, factor: float) -> Optimizer:
    """Biases and norms have `factor` times the learning rate of the weights, which is the rate in the log.

    Barlow Twins: 0.0048 for 0.2, a factor of 0.024 (main.py of facebookresearch/barlowtwins).
    """

    def slower(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.tree.map(lambda update: update if update.ndim > 1 else factor * update, updates), state

    scaled = optax.GradientTransformation(lambda params: optax.EmptyState(), slower)
    return Optimizer(optimizer.learning_rate, optax.chain(optimizer.transformation, scaled))


@configured
def with_clipping(optimizer: Optimizer, *, limit: float) -> Optimizer:
    """The gradient of each parameter is clipped to a norm of at most `limit` before the optimizer.

    Each parameter by its own norm, not by the global norm: clip_gradients in utils.py of facebookresearch/dino,
    which trains with a limit of 3.0.
    """

    def shorten(gradient: jax.Array) -> jax.Array:
        return gradient * jnp.minimum(1, limit / (norm_of(gradient) + 1e-6))

    clip = optax.stateless(lambda gradient, params: jax.tree.map(shorten, gradient))
    return Optimizer(optimizer.learning_rate, optax.chain(clip, optimizer.transformation))


@configured
def freeze_for(optimizer: Optimizer, *, steps: int, parameter: str) -> Optimizer:
    """Parameters of that name, such as SwAV's "prototypes", are frozen and accumulate no momentum for `steps` steps."""

    def hold(count: jax.Array, tree: Any) -> Any:
        def zero(path: Any, leaf: jax.Array) -> jax.Array:
            named = any(getattr(key, "key", None) == parameter for key in path)
            return jnp.where(count < steps, 0, leaf).astype(leaf.dtype) if named else leaf

        return jax.tree_util.tree_map_with_path(zero, tree)

    def init(params: Any) -> tuple[Any, jax.Array]:
        return optimizer.transformation.init(params), jnp.int32(0)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        inner, count = state  # A parameter of zero has no decay that could accumulate in the momentum.
        updates, inner = optimizer.transformation.update(hold(count, gradient), inner, hold(count, params))
        return hold(count, updates), (inner, count + 1)

    return Optimizer(optimizer.learning_rate, optax.GradientTransformation(init, update))
