"""Optimizers that update each element of a parameter by the same rule: SGD with momentum, Adam and AdamW."""

from typing import Any

import jax
import optax

from ssl_jax.optimizers.optimizer import Optimizer, configured, weights_only


@configured
def frozen() -> Optimizer:
    """No change of any parameter, and no state: for networks that are not trained.

    Example:
      >>> optimizer = frozen().transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[0. 0.]] [0. 0.]
    """
    return Optimizer(lambda step: 0.0, optax.set_to_zero())


@configured
def sgd(
    schedule: optax.Schedule,
    *,
    weight_decay: float = 1e-4,
    momentum: float = 0.9,
    nesterov: bool = False,
    decay_all: bool = False,
) -> Optimizer:
    """Momentum SGD, or Nesterov's; the decay is part of the gradient, as in PyTorch's.

    decay_all: decay biases and norms, too, as torch.optim.SGD does where all parameters are in one group.

    Example:
      >>> optimizer = sgd(lambda step: 0.1, weight_decay=0.5).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[-0.15 -0.15]] [-0.1 -0.1]
    """
    decay = optax.add_decayed_weights(weight_decay, mask=None if decay_all else weights_only)
    return Optimizer(schedule, optax.chain(decay, optax.sgd(schedule, momentum=momentum, nesterov=nesterov)))


@configured
def adamw(
    schedule: optax.Schedule,
    *,
    weight_decay: float | optax.Schedule = 1e-4,
    first_decay: float = 0.9,
    second_decay: float = 0.999,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).

    The decay may be a schedule, too, as in DINO.

    Example:
      >>> optimizer = adamw(lambda step: 0.1, weight_decay=0.5).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"].round(3), updates["bias"].round(3))
      [[-0.15 -0.15]] [-0.1 -0.1]
    """
    adam = optax.chain(
        optax.scale_by_adam(b1=first_decay, b2=second_decay),
        optax.add_decayed_weights(weight_decay, mask=weights_only),
        optax.scale_by_learning_rate(schedule),
    )

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to the power of its integer count.
            return adam.update(gradient, state, params)

    return Optimizer(schedule, optax.GradientTransformation(adam.init, update))


@configured
def adam(
    schedule: optax.Schedule,
    *,
    weight_decay: float = 0.0,
    first_decay: float = 0.9,
    second_decay: float = 0.999,
    decay_all: bool = False,
) -> Optimizer:
    """Adam whose decay is part of the gradient (L2), as torch.optim.Adam's and Caffe's; `adamw` decouples it.

    decay_all: decay biases and norms, too, as torch.optim.Adam does where all parameters are in one group.

    Example:
      >>> optimizer = adam(lambda step: 0.1).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"].round(3), updates["bias"].round(3))
      [[-0.1 -0.1]] [-0.1 -0.1]
    """
    decay = optax.add_decayed_weights(weight_decay, mask=None if decay_all else weights_only)
    inner = adamw(schedule, weight_decay=0.0, first_decay=first_decay, second_decay=second_decay)
    return Optimizer(schedule, optax.chain(decay, inner.transformation))
