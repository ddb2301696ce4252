"""A recipe: everything that a paper, or a finding of ours, fixes about one pre-training run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec

from jax import Array

from ssl_jax.data import Data
from ssl_jax.errors import above_zero
from ssl_jax.methods.method import Method
from ssl_jax.recipes.optimizers import Optimizer
from ssl_jax.settings import settings_of

P = ParamSpec("P")


@dataclass(frozen=True)
class Recipe:
    """What `pretrain` runs. Made by the functions of `ssl_jax.recipes`, or by hand.

    augment: `(rng, uint8 image [H, W, C]) -> views`, for one example.
    prepare: `uint8 image [H, W, C] -> float32 image` as the frozen encoder takes it in evaluation.
    optimizer: total number of steps -> optimizer.
    epochs: passes over `data.train`; need not be whole.
    name: "method/recipe", as `ssl-jax pretrain METHOD --recipe RECIPE` has it.
    arguments: what the recipe's function was called with, defaults included: enough to make the recipe again.
    """

    data: Data
    method: Method
    augment: Callable[[Array, Array], Any]
    prepare: Callable[[Array], Array]
    optimizer: Callable[[int], Optimizer]
    batch_size: int
    epochs: float
    name: str = "by-hand"
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above_zero(batch_size=self.batch_size, epochs=self.epochs)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run, at least one."""
        return count_steps(self.data, epochs=self.epochs, batch_size=self.batch_size)


def count_steps(data: Data, *, epochs: float, batch_size: int) -> int:
    """Optimizer steps of a run, which schedules inside a method (momentum, temperature) have to know."""
    above_zero(batch_size=batch_size, epochs=epochs)
    return max(1, round(epochs * len(data.train) / batch_size))


def recipe(make: Callable[P, Recipe]) -> Callable[P, Recipe]:
    """Notes on the recipe that a function makes what it is called and what it was called with."""

    @functools.wraps(make)
    def noted(*given: P.args, **named: P.kwargs) -> Recipe:
        name, arguments = f"{make.__module__.rpartition('.')[2]}/{make.__name__}", settings_of(make, *given, **named)
        return replace(make(*given, **named), name=name, arguments=arguments)

    return noted
