"""An optimizer: a schedule, so that the log can show the learning rate, and the transformation that follows it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeAlias

import jax
import optax

from ssl_jax.settings import settings_of

P = ParamSpec("P")
Schedule: TypeAlias = optax.Schedule  # step -> learning rate, or another value


class Optimizer(NamedTuple):
    """An optimizer, and what the log shows of it.

    learning_rate: `step -> learning rate`.
    transformation: the optax transformation that uses it.
    name, settings: the function of this folder that made it, and its arguments.
    """

    learning_rate: Schedule
    transformation: optax.GradientTransformation
    name: str = "by-hand"
    settings: dict[str, Any] = {}  # noqa: RUF012


def configured(make: Callable[P, Optimizer]) -> Callable[P, Optimizer]:
    """Decorates a function that makes an optimizer, which then records the function's name and arguments."""

    @functools.wraps(make)
    def made(*given: P.args, **named: P.kwargs) -> Optimizer:
        return make(*given, **named)._replace(name=make.__name__, settings=settings_of(make, *given, **named))

    return made


def weights_only(params: Any) -> Any:
    """True for matrices and kernels, False for biases and for the gains of norms (at most one axis).

    Example:
      >>> weights_only({"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)})
      {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
