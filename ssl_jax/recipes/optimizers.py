"""The optimizers of the field, their learning rates over a run, and wrappers that treat some parameters differently.

An optimizer is its schedule, so that the log can show the learning rate, and the optax transformation that follows it.
Every learning rate of the project is a function of the step; drops are computed in integers, so that no rounding moves them.
"""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
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


def warmup_cosine(peak: float, *, steps: int, warmup: int, end: float = 0.0, start: float = 0.0) -> optax.Schedule:
    """Linear from `start` to `peak` in `warmup` steps, then half a cosine down to `end` at `steps`."""
    if warmup >= steps:  # A run of a few steps, as in tests, has no room for the paper's warm-up.
        warmup = steps // 10

    def schedule(step: Any) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        progress = jnp.clip((step - warmup) / (steps - warmup), 0, 1)
        cosine = end + (peak - end) * (1 + jnp.cos(jnp.pi * progress)) / 2
        return jnp.where(step < warmup, start + (peak - start) * step / max(warmup, 1), cosine)

    return schedule


def scaled_cosine(
    learning_rate: float,
    *,
    batch_size: int,
    epochs: float,
    steps: int,
    warmup_epochs: float = 10,
    end: float = 0.0,
    start: float = 0.0,
) -> optax.Schedule:
    """`warmup_cosine` as papers state it: a peak for 256 images a step, scaled linearly, and a warm-up in epochs.

    `start` and `end` are rates of this batch size, and are not scaled.
    """
    peak = learning_rate * batch_size / 256
    return warmup_cosine(peak, steps=steps, warmup=round(steps * warmup_epochs / epochs), end=end, start=start)


def staircase(
    peak: float,
    *,
    steps: int,
    drops: Sequence[float],
    of: float = 1,
    factor: float = 0.1,
    warmup: float = 0.0,
    start: float = 0.0,
) -> optax.Schedule:
    """`peak`, multiplied by `factor` at each of `drops`; before, linear from `start` to `peak` in the first `warmup`.

    A run of another length drops in proportion: at the first step that has at least the part drop / `of` of all `steps`
    behind it. That step is computed in exact fractions, since progress in float32 is one step late at some lengths.

    Args:
      drops: in the unit of `of`: epochs of a run of `of` epochs, or parts of the run where `of` is 1.
      of: length of the run for which `drops` and `warmup` are stated.

    Example: drops=(30, 60, 90, 100), of=105 drops a run of 2,100 steps at steps 600, 1,200, 1,800 and 2,000, and one of
    1,000 steps at 286, 572, 858 and 953.
    """
    drop_steps = [drop_step(drop, of=of, steps=steps) for drop in drops]
    warmup_steps = warmup / of * steps

    def schedule(step: Any) -> jax.Array:
        step = jnp.asarray(step, jnp.int32)
        passed = sum((step >= drop).astype(jnp.float32) for drop in drop_steps)
        part = jnp.minimum(1, step.astype(jnp.float32) / warmup_steps) if warmup_steps else 1.0
        return (start + (peak - start) * part) * factor**passed

    return schedule


def drop_step(drop: float, *, of: float, steps: int) -> int:
    """The first of `steps` steps with at least the part drop / of of them behind it; 0.1 counts as 1/10, exactly."""
    part, whole = (Fraction(number).limit_denominator(10**6) for number in (drop, of))
    return ceil(part / whole * steps)


def weights_only(params: Any) -> Any:
    """True for matrices and kernels, False for biases and for the gains of norms (anything of one axis or none)."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


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

    The gradient g of a weight w becomes h = g + decay * w, times trust_coefficient * |w| / |h|. The decay and the ratio
    pass by biases and norms. Where g is zero the ratio is 1: it would otherwise turn the decay alone, however weak, into
    a step of a full rate * trust_coefficient * |w|, as it does in the authors' code.

    Args:
      rate_last: False multiplies by the learning rate before the momentum, as SimCLR does; True after it, as BYOL,
        Barlow Twins, VICReg and MoCo v3 do. The two differ where the rate changes from step to step.

    Source: lars_optimizer.py of google-research/simclr; byol/utils/optimizers.py of google-deepmind/deepmind-research,
    main.py of facebookresearch/barlowtwins, main_vicreg.py of facebookresearch/vicreg, moco/optimizer.py of
    facebookresearch/moco-v3.
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        if weight.ndim <= 1:
            return gradient
        decayed = gradient + weight_decay * weight
        length, slope = _norm(weight), _norm(decayed)
        ratio = trust_coefficient * length / jnp.where(slope > 0, slope, 1)
        return jnp.where((length > 0) & (slope > 0) & (_norm(gradient) > 0), ratio, 1) * decayed

    trace, rate = optax.trace(momentum), optax.scale_by_learning_rate(schedule)
    ends = (trace, rate) if rate_last else (rate, trace)
    return Optimizer(schedule, optax.chain(_by_layer(scale), *ends))


@configured
def larc(
    schedule: optax.Schedule, *, weight_decay: float = 1e-6, momentum: float = 0.9, trust_coefficient: float = 1e-3
) -> Optimizer:
    """LARS as NVIDIA's apex has it and SwAV uses it: `LARC(SGD, clip=False)`.

    The gradient g of a parameter w becomes trust_coefficient * |w| / (|g| + decay * |w| + 1e-8) * (g + decay * w), for
    biases and norms, too. Where g or w is zero, neither ratio nor decay is applied. Momentum is gathered before the rate.

    Source: apex/parallel/LARC.py of NVIDIA/apex, main_swav.py of facebookresearch/swav.
    """

    def scale(step: jax.Array, gradient: jax.Array, weight: jax.Array) -> jax.Array:
        return _larc(gradient, weight, weight_decay=weight_decay, trust_coefficient=trust_coefficient)

    return Optimizer(schedule, optax.chain(_by_layer(scale), optax.sgd(schedule, momentum=momentum)))


@configured
def clipped_lars(
    schedule: optax.Schedule, *, weight_decay: float = 1e-4, momentum: float = 0.9, trust_coefficient: float = 0.02
) -> Optimizer:
    """`larc` of weights only, and with a rate of a layer that never exceeds the schedule's, as solo-learn's recipes have it.

    The trust ratio over the learning rate is clipped at 1. Source: solo/utils/lars.py of vturrisi/solo-learn.
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
    length, slope = _norm(weight), _norm(gradient)
    ratio = trust_coefficient * length / (slope + weight_decay * length + 1e-8)
    if clip is not None:
        ratio = jnp.minimum(ratio / clip, 1)
    return jnp.where((length > 0) & (slope > 0), ratio * (gradient + weight_decay * weight), gradient)


def _by_layer(scale: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]) -> optax.GradientTransformation:
    """`scale(step, gradient, parameter)` of each parameter by itself."""

    def update(gradient: Any, step: jax.Array, params: Any = None) -> tuple[Any, jax.Array]:
        return jax.tree.map(lambda slope, weight: scale(step, slope, weight), gradient, params), step + 1

    return optax.GradientTransformation(lambda params: jnp.int32(0), update)


def _norm(array: jax.Array) -> jax.Array:
    """Euclidean norm; divided by the largest entry first, since the square of 1e20 is infinite in float32."""
    largest = jnp.max(jnp.abs(array), initial=0)
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.sum((array / scale) ** 2))


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
    """
    decay = optax.add_decayed_weights(weight_decay, mask=None if decay_all else weights_only)
    inner = adamw(schedule, weight_decay=0.0, first_decay=first_decay, second_decay=second_decay)
    return Optimizer(schedule, optax.chain(decay, inner.transformation))


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
def with_bias_rate(optimizer: Optimizer, *, factor: float) -> Optimizer:
    """Biases and norms learn at `factor` times the rate of the weights, which is the rate that the log shows.

    Barlow Twins: 0.0048 for 0.2, a factor of 0.024 (main.py of facebookresearch/barlowtwins).
    """

    def slower(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.tree.map(lambda update: update if update.ndim > 1 else factor * update, updates), state

    scaled = optax.GradientTransformation(lambda params: optax.EmptyState(), slower)
    return Optimizer(optimizer.learning_rate, optax.chain(optimizer.transformation, scaled))


@configured
def with_clipping(optimizer: Optimizer, *, limit: float) -> Optimizer:
    """The gradient of each parameter is shortened to a norm of at most `limit` before the optimizer sees it.

    Each parameter by its own norm, not all by the norm of the whole: clip_gradients in utils.py of facebookresearch/dino,
    which trains with a limit of 3.0.
    """

    def shorten(gradient: jax.Array) -> jax.Array:
        return gradient * jnp.minimum(1, limit / (_norm(gradient) + 1e-6))

    clip = optax.stateless(lambda gradient, params: jax.tree.map(shorten, gradient))
    return Optimizer(optimizer.learning_rate, optax.chain(clip, optimizer.transformation))


@configured
def frozen_at_first(optimizer: Optimizer, *, steps: int, parameter: str) -> Optimizer:
    """Parameters of that name, such as SwAV's "prototypes", stand still and gather no momentum for `steps` steps."""

    def hold(count: jax.Array, tree: Any) -> Any:
        def zero(path: Any, leaf: jax.Array) -> jax.Array:
            named = any(getattr(key, "key", None) == parameter for key in path)
            return jnp.where(count < steps, 0, leaf).astype(leaf.dtype) if named else leaf

        return jax.tree_util.tree_map_with_path(zero, tree)

    def init(params: Any) -> tuple[Any, jax.Array]:
        return optimizer.transformation.init(params), jnp.int32(0)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        inner, count = state  # A parameter of zero has no decay that could gather in the momentum.
        updates, inner = optimizer.transformation.update(hold(count, gradient), inner, hold(count, params))
        return hold(count, updates), (inner, count + 1)

    return Optimizer(optimizer.learning_rate, optax.GradientTransformation(init, update))
