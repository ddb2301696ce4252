"""Optimizers whose rate is scaled layer by layer: LARS, in the three forms of the field."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ssl_jax.ops.normalize import norm_of
from ssl_jax.optimizers.optimizer import Optimizer, configured


@configured
def lars(
    schedule: optax.Schedule,
    *,
    weight_decay: float = 1e-6,
    momentum: float = 0.9,
    trust_coefficient: float = 1e-3,
    rate_last: bool = False,
) -> Optimizer:
    """Layer-wise adaptive rates (You et al. 2017, https://arxiv.org/abs/1708.03888): decay, trust ratio, momentum.

    The gradient `g` of a weight `w` becomes `h = g + decay * w`, times `trust_coefficient * |w| / |h|`. The decay and the ratio
    exclude biases and norms. Where g is zero the ratio is 1: otherwise the decay alone, however weak, would give
    a step of `rate * trust_coefficient * |w|`, as in the authors' code.

    Args:
      rate_last: False multiplies by the learning rate before the momentum, as SimCLR does; True after it, as BYOL,
        Barlow Twins, VICReg and MoCo v3 do. The two differ where the rate changes from step to step.

    Example:
      >>> optimizer = lars(lambda step: 1.0, weight_decay=0.0).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[-0.001 -0.001]] [-1. -1.]

    Source: lars_optimizer.py of google-research/simclr; byol/utils/optimizers.py of google-deepmind/deepmind-research,
    main.py of facebookresearch/barlowtwins, main_vicreg.py of facebookresearch/vicreg, moco/optimizer.py of
    facebookresearch/moco-v3.
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        if weight.ndim <= 1:
            return gradient
        decayed = gradient + weight_decay * weight
        length, slope = norm_of(weight), norm_of(decayed)
        ratio = trust_coefficient * length / jnp.where(slope > 0, slope, 1)
        return jnp.where((length > 0) & (slope > 0) & (norm_of(gradient) > 0), ratio, 1) * decayed

    trace, rate = optax.trace(momentum), optax.scale_by_learning_rate(schedule)
    ends = (trace, rate) if rate_last else (rate, trace)
    return Optimizer(schedule, optax.chain(_by_layer(scale), *ends))


@configured
def larc(
    schedule: optax.Schedule, *, weight_decay: float = 1e-6, momentum: float = 0.9, trust_coefficient: float = 1e-3
) -> Optimizer:
    """LARS as in NVIDIA's apex, which SwAV uses: `LARC(SGD, clip=False)`.

    The gradient `g` of a parameter `w` becomes `trust_coefficient * |w| / (|g| + decay * |w| + 1e-8) * (g + decay * w)`, for
    biases and norms, too. Where g or w is zero, neither ratio nor decay is applied. The momentum is accumulated before the rate
    is applied.

    Example:
      >>> optimizer = larc(lambda step: 1.0, weight_decay=0.0).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[-0.001 -0.001]] [-0.001 -0.001]

    Source: apex/parallel/LARC.py of NVIDIA/apex, main_swav.py of facebookresearch/swav.
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        return _larc(gradient, weight, weight_decay=weight_decay, trust_coefficient=trust_coefficient)

    return Optimizer(schedule, optax.chain(_by_layer(scale), optax.sgd(schedule, momentum=momentum)))


@configured
def clipped_lars(
    schedule: optax.Schedule, *, weight_decay: float = 1e-4, momentum: float = 0.9, trust_coefficient: float = 0.02
) -> Optimizer:
    """`larc` of weights only, and with a rate of a layer that never exceeds the schedule's, as in solo-learn's recipes.

    The trust ratio over the learning rate is clipped at 1. Source: solo/utils/lars.py of vturrisi/solo-learn.

    Example:
      >>> optimizer = clipped_lars(lambda step: 1.0, weight_decay=0.0).transformation
      >>> weights = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
      >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
      >>> print(updates["kernel"], updates["bias"])
      [[-0.02 -0.02]] [-1. -1.]
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        if weight.ndim <= 1:
            return gradient
        rate = jnp.maximum(schedule(step), 1e-12)
        return _larc(gradient, weight, weight_decay=weight_decay, trust_coefficient=trust_coefficient, clip=rate)

    return Optimizer(schedule, optax.chain(_by_layer(scale), optax.sgd(schedule, momentum=momentum)))


def _larc(
    gradient: jax.Array,
    weight: jax.Array,
    *,
    weight_decay: float,
    trust_coefficient: float,
    clip: jax.Array | None = None,
) -> jax.Array:
    length, slope = norm_of(weight), norm_of(gradient)
    ratio = trust_coefficient * length / (slope + weight_decay * length + 1e-8)
    if clip is not None:
        ratio = jnp.minimum(ratio / clip, 1)
    return jnp.where((length > 0) & (slope > 0), ratio * (gradient + weight_decay * weight), gradient)


def _by_layer(scale: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]) -> optax.GradientTransformation:
    """`scale(step, gradient, parameter)` for each parameter separately."""

    def update(gradient: Any, step: jax.Array, params: Any = None) -> tuple[Any, jax.Array]:
        return jax.tree.map(lambda slope, weight: scale(step, slope, weight), gradient, params), step + 1

    return optax.GradientTransformation(lambda params: jnp.int32(0), update)
