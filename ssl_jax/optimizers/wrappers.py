"""Wrappers of optimizers that treat some parameters differently."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssl_jax.ops.normalize import norm_of
from ssl_jax.optimizers.optimizer import Optimizer, configured


@configured
def with_separate_optimizer(optimizer: Optimizer, other: Optimizer, *, network: str) -> Optimizer:
    """`other` for the parameters of one network, such as SimSiam's "predictor", and `optimizer` for the rest.

    Example:
      >>> both = with_separate_optimizer(sgd(lambda step: 0.1), sgd(lambda step: 0.2), network="predictor").transformation
      >>> weights = {"encoder": {"bias": jnp.ones(1)}, "predictor": {"bias": jnp.ones(1)}}
      >>> updates, _ = both.update(weights, both.init(weights), weights)
      >>> print(updates["encoder"]["bias"], updates["predictor"]["bias"])
      [-0.1] [-0.2]
    """

    def label(params: Any) -> Any:
        return {name: jax.tree.map(lambda _: name == network, part) for name, part in params.items()}  # noqa: B023

    both = {False: optimizer.transformation, True: other.transformation}
    return Optimizer(optimizer.learning_rate, optax.partition(both, label))


@configured
def with_bias_rate(optimizer: Optimizer, *, factor: float) -> Optimizer:
    """Biases and norms have `factor` times the learning rate of the weights, which is the rate in the log.

    Barlow Twins: 0.0048 for 0.2, a factor of 0.024 (main.py of facebookresearch/barlowtwins).

    Example:
      >>> optimizer = with_bias_rate(sgd(lambda step: 0.1, weight_decay=0.0), factor=0.5).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[-0.1 -0.1]] [-0.05 -0.05]
    """

    def slower(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.tree.map(lambda update: update if update.ndim > 1 else factor * update, updates), state

    scaled = optax.GradientTransformation(lambda params: optax.EmptyState(), slower)
    return Optimizer(optimizer.learning_rate, optax.chain(optimizer.transformation, scaled))


@configured
def with_clipping(optimizer: Optimizer, *, limit: float, together: bool = False) -> Optimizer:
    """The gradient of each parameter is shortened to a norm of at most `limit` before the optimizer sees it.

    Each parameter by its own norm, not all by the norm of the whole: clip_gradients in utils.py of facebookresearch/dino,
    which trains with a limit of 3.0. `together` shortens each network by the norm of all its parameters, as
    train/train.py of facebookresearch/dinov2 does.

    Example:
      >>> optimizer = with_clipping(sgd(lambda step: 1.0, weight_decay=0.0), limit=0.5).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"].round(3), updates["bias"].round(3))
      [[-0.354 -0.354]] [-0.354 -0.354]
    """

    def shorten(gradient: Any) -> Any:
        factor = jnp.minimum(1, limit / (norm_of(gradient) + 1e-6))
        return jax.tree.map(lambda leaf: leaf * factor, gradient)

    def clip(gradient: Any, params: Any) -> Any:
        if together:
            return {network: shorten(part) for network, part in gradient.items()}
        return jax.tree.map(shorten, gradient)

    return Optimizer(optimizer.learning_rate, optax.chain(optax.stateless(clip), optimizer.transformation))


@configured
def with_layer_decay(optimizer: Optimizer, *, network: str, decay: float, patches: float = 1.0) -> Optimizer:
    """Each layer of a network learns at `decay` times the rate of the next, which is the log's after the last layer.

    Layers are the blocks of a vision transformer, the stages of a ResNet, the convolutions of the small network. What lies
    before them (class token, positions, registers, stem) learns at `decay` times the rate of the first, the patch embedding at
    `patches` times that. Other networks than the named one are left alone.

    Example:
      >>> slower = with_layer_decay(sgd(lambda step: 1.0), network="encoder", decay=0.5).transformation
      >>> weights = {"encoder": {"block1": jnp.ones(1), "block2": jnp.ones(1), "norm": jnp.ones(1)}}
      >>> updates, _ = slower.update(weights, slower.init(weights), weights)
      >>> print(updates["encoder"])
      {'block1': Array([-0.25], dtype=float32), 'block2': Array([-0.5], dtype=float32), 'norm': Array([-1.], dtype=float32)}

    Source: dinov2/utils/param_groups.py of facebookresearch/dinov2, with a decay of 0.9 and 0.2 for the patches; the same rule
    with 0.75 fine-tunes in util/lr_decay.py of facebookresearch/mae.
    """

    def slower(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        parts = updates[network]
        numbers = {name: int(found[1]) for name in parts if (found := re.match(r"(?:block|stage|layer)(\d+)", name))}
        depth = max(numbers.values(), default=0)

        def factor(name: str) -> float:
            layer = numbers.get(name, depth + 1 if name == "norm" else 0)
            return decay ** (depth + 1 - layer) * (patches if name == "embedding" else 1)

        scaled = {name: jax.tree.map(lambda leaf: factor(name) * leaf, part) for name, part in parts.items()}  # noqa: B023
        return {**updates, network: scaled}, state

    scale = optax.GradientTransformation(lambda params: optax.EmptyState(), slower)
    return Optimizer(optimizer.learning_rate, optax.chain(optimizer.transformation, scale))


@configured
def freeze_for(optimizer: Optimizer, *, steps: int, parameter: str) -> Optimizer:
    """Parameters of that name, such as SwAV's "prototypes", are frozen and accumulate no momentum for `steps` steps.

    Example:
      >>> optimizer = freeze_for(sgd(lambda step: 0.1), steps=1, parameter="prototypes").transformation
      >>> weights = {"prototypes": jnp.ones(1), "bias": jnp.ones(1)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates)
      {'bias': Array([-0.1], dtype=float32), 'prototypes': Array([0.], dtype=float32)}
    """

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


@configured
def with_variable_rate(optimizer: Optimizer) -> Optimizer:
    """Updates are multiplied by a number of the state, which `at_rate` sets: one compiled program trains at any rate.

    The log shows the rate without it.

    Example:
      >>> optimizer = with_variable_rate(sgd(lambda step: 1.0)).transformation
      >>> weights = {"bias": jnp.ones(1)}
      >>> state = at_rate(optimizer.init(weights), jnp.float32(0.25))
      >>> print(optimizer.update(weights, state, weights)[0])
      {'bias': Array([-0.25], dtype=float32)}
    """
    scale = optax.inject_hyperparams(optax.scale)(step_size=1.0)
    return Optimizer(optimizer.learning_rate, optax.chain(optimizer.transformation, scale))


def at_rate(state: Any, rate: jax.Array) -> Any:
    """The state of an optimizer `with_variable_rate`, whose updates are those of rate 1 times `rate`.

    Example:
      >>> optimizer = with_variable_rate(sgd(lambda step: 1.0)).transformation
      >>> weights = {"bias": jnp.ones(1)}
      >>> state = at_rate(optimizer.init(weights), jnp.float32(0.5))
      >>> print(optimizer.update(weights, state, weights)[0])
      {'bias': Array([-0.5], dtype=float32)}
    """
    return optax.tree_utils.tree_set(state, step_size=rate)
