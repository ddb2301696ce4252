"""The optimizers of the field, each with warm-up and cosine, and weight decay on weights only.

An optimizer is its schedule, so that the log can show the learning rate, and the optax transformation that follows it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
import optax

from ssl_jax.settings import settings_of

P = ParamSpec("P")


class Optimizer(NamedTuple):
    """learning_rate: step -> learning rate. transformation: the optax transformation that uses it.

    name, settings: the function of this module that made it, and its arguments.
    """

    learning_rate: optax.Schedule
    transformation: optax.GradientTransformation
    name: str = "by-hand"
    settings: dict[str, Any] = {}  # noqa: RUF012


def configured(make: Callable[P, Optimizer]) -> Callable[P, Optimizer]:
    """Decorates a function that makes an optimizer, which then carries the function's name and arguments."""

    @functools.wraps(make)
    def made(*given: P.args, **named: P.kwargs) -> Optimizer:
        return make(*given, **named)._replace(name=make.__name__, settings=settings_of(make, *given, **named))

    return made


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


def scaled_cosine(
    learning_rate: float, *, batch_size: int, epochs: float, steps: int, warmup_epochs: float = 10, end: float = 0.0
) -> optax.Schedule:
    """`warmup_cosine` as papers state it: a peak for 256 images a step, scaled linearly, and a warm-up in epochs."""
    peak = learning_rate * batch_size / 256
    return warmup_cosine(peak, steps=steps, warmup=round(steps * warmup_epochs / epochs), end=end)


def staircase(
    peak: float, *, steps: int, drops: Sequence[float], factor: float = 0.1, warmup: float = 0.0
) -> optax.Schedule:
    """`peak`, multiplied by `factor` at each of `drops`, parts of the run in (0, 1); `warmup`, a part of it, is linear."""

    def schedule(step: Any) -> jax.Array:
        progress = jnp.asarray(step, jnp.float32) / steps
        passed = sum((progress >= drop).astype(jnp.float32) for drop in drops)
        return peak * factor**passed * jnp.minimum(1, progress / warmup if warmup else 1)

    return schedule


def weights_only(params: Any) -> Any:
    """True for matrices and kernels, False for biases and for the gains of norms (anything of one axis or none)."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


@configured
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


@configured
def clipped_lars(
    schedule: optax.Schedule, *, weight_decay: float = 1e-4, momentum: float = 0.9, trust_coefficient: float = 0.02
) -> Optimizer:
    """LARS whose rate of a layer never exceeds the schedule's, as solo-learn's CIFAR-10 recipes have it.

    The trust ratio over the learning rate is clipped at 1; momentum is taken before the learning rate.
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        if weight.ndim <= 1:
            return gradient
        length, slope = jnp.linalg.norm(weight.ravel()), jnp.linalg.norm(gradient.ravel())
        ratio = trust_coefficient * length / (slope + weight_decay * length + 1e-8)
        ratio = jnp.where((length > 0) & (slope > 0), ratio, jnp.inf)
        rate = jnp.maximum(schedule(step), 1e-12)
        return jnp.minimum(ratio / rate, 1) * (gradient + weight_decay * weight)

    def update(gradient: Any, step: jax.Array, params: Any = None) -> tuple[Any, jax.Array]:
        return jax.tree.map(lambda slope, weight: scale(step, slope, weight), gradient, params), step + 1

    clipped = optax.GradientTransformation(lambda params: jnp.int32(0), update)
    return Optimizer(schedule, optax.chain(clipped, optax.sgd(schedule, momentum=momentum)))


@configured
def sgd(schedule: optax.Schedule, *, weight_decay: float = 1e-4, momentum: float = 0.9) -> Optimizer:
    """Momentum SGD; the decay is part of the gradient, as in PyTorch's."""
    decay = optax.add_decayed_weights(weight_decay, mask=weights_only)
    return Optimizer(schedule, optax.chain(decay, optax.sgd(schedule, momentum=momentum)))


@configured
def adamw(
    schedule: optax.Schedule,
    *,
    weight_decay: float | optax.Schedule = 1e-4,
    first_decay: float = 0.9,
    second_decay: float = 0.999,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).

    The decay may be a schedule, too, as DINO has it.
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


def cosine(start: float, end: float, *, steps: int) -> optax.Schedule:
    """Half a cosine from `start` at step 0 to `end` at `steps`."""

    def schedule(step: Any) -> jax.Array:
        progress = jnp.clip(jnp.asarray(step, jnp.float32) / steps, 0, 1)
        return end + (start - end) * (1 + jnp.cos(jnp.pi * progress)) / 2

    return schedule


@configured
def with_other(optimizer: Optimizer, other: Optimizer, *, network: str) -> Optimizer:
    """`other` for the parameters of one network, such as SimSiam's "predictor", and `optimizer` for the rest."""

    def label(params: Any) -> Any:
        return {name: jax.tree.map(lambda _: name == network, part) for name, part in params.items()}  # noqa: B023

    both = {False: optimizer.transformation, True: other.transformation}
    return Optimizer(optimizer.learning_rate, optax.partition(both, label))


@configured
def frozen_at_first(optimizer: Optimizer, *, steps: int, parameter: str) -> Optimizer:
    """Parameters of that name, such as SwAV's "prototypes", stand still and gather no momentum for `steps` steps."""

    def hold(count: jax.Array, updates: Any) -> Any:
        def still(path: Any, update: jax.Array) -> jax.Array:
            named = any(getattr(key, "key", None) == parameter for key in path)
            return jnp.where(count < steps, 0, update).astype(update.dtype) if named else update

        return jax.tree_util.tree_map_with_path(still, updates)

    def init(params: Any) -> tuple[Any, jax.Array]:
        return optimizer.transformation.init(params), jnp.int32(0)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        inner, count = state
        updates, inner = optimizer.transformation.update(hold(count, gradient), inner, params)
        return hold(count, updates), (inner, count + 1)

    return Optimizer(optimizer.learning_rate, optax.GradientTransformation(init, update))
