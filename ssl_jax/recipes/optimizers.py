"""The optimizers of the field, each with warm-up and cosine, and weight decay on weights only.

An optimizer is its schedule, so that the log can show the learning rate, and the optax transformation that follows it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Optimizer(NamedTuple):
    """learning_rate: step -> learning rate. transformation: the optax transformation that uses it."""

    learning_rate: optax.Schedule
    transformation: optax.GradientTransformation


def warmup_cosine(peak: float, *, steps: int, warmup: int, end: float = 0.0) -> optax.Schedule:
    """Linear from 0 to `peak` in `warmup` steps, then half a cosine down to `end` at `steps`."""
    if warmup >= steps:  # A run of a few steps, as in tests, has no room for the paper's warm-up.
        warmup = steps // 10

    def schedule(step: Any) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        progress = jnp.clip((step - warmup) / (steps - warmup), 0, 1)
        cosine = end + (peak - end) * (1 + jnp.cos(jnp.pi * progress)) / 2
        return jnp.where(step < warmup, peak * step / max(warmup, 1), cosine)

    return schedule


def weights_only(params: Any) -> Any:
    """True for matrices and kernels, False for biases and for the gains of norms (anything of one axis or none)."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def lars(
    schedule: optax.Schedule, *, weight_decay: float = 1e-6, momentum: float = 0.9, trust_coefficient: float = 1e-3
) -> Optimizer:
    """Layer-wise adaptive rates (You et al. 2017, https://arxiv.org/abs/1708.03888), as SimCLR and BYOL use them.

    The trust ratio and the decay pass by biases and norms; momentum is taken after the ratio and the learning rate.
    """
    return Optimizer(
        schedule,
        optax.lars(
            schedule,
            weight_decay=weight_decay,
            weight_decay_mask=weights_only,
            trust_coefficient=trust_coefficient,
            trust_ratio_mask=weights_only,
            momentum=momentum,
        ),
    )


def sgd(schedule: optax.Schedule, *, weight_decay: float = 1e-4, momentum: float = 0.9) -> Optimizer:
    """Momentum SGD; the decay is part of the gradient, as in PyTorch's."""
    decay = optax.add_decayed_weights(weight_decay, mask=weights_only)
    return Optimizer(schedule, optax.chain(decay, optax.sgd(schedule, momentum=momentum)))


def adamw(
    schedule: optax.Schedule, *, weight_decay: float = 1e-4, first_decay: float = 0.9, second_decay: float = 0.999
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101)."""
    adam = optax.adamw(schedule, b1=first_decay, b2=second_decay, weight_decay=weight_decay, mask=weights_only)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to the power of its integer count.
            return adam.update(gradient, state, params)

    return Optimizer(schedule, optax.GradientTransformation(adam.init, update))
