"""A recipe: everything that a paper, or a finding of ours, fixes about one pre-training run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.data import Data
from ssl_jax.errors import above_zero
from ssl_jax.methods.method import Method
from ssl_jax.recipes.optimizers import Optimizer

Precision = Literal["auto", "float32", "bfloat16"]

# Means and standard deviations of the training pixels, in [0, 1], a channel: what images are standardised by.
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
DIGIT_STATISTICS: Statistics = (0.1307,), (0.3081,)
CIFAR_STATISTICS: Statistics = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_STATISTICS: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Recipe:
    """What `pretrain` runs. Made by the functions of `ssl_jax.recipes`, or by hand.

    name: "method/recipe", as `ssl-jax pretrain METHOD --recipe RECIPE` has it.
    arguments: what the recipe's function was called with, defaults included: enough to make the recipe again.
    augment: `(rng, uint8 image [H, W, C]) -> views`, for one example.
    prepare: `uint8 image [H, W, C] -> float32 image` as the frozen encoder takes it in evaluation.
    optimizer: total number of steps -> optimizer.
    epochs: passes over `data.train`; need not be whole.
    """

    name: str
    arguments: dict[str, Any]
    data: Data
    method: Method
    augment: Callable[[Array, Array], Any]
    prepare: Callable[[Array], Array]
    optimizer: Callable[[int], Optimizer]
    batch_size: int
    epochs: float

    def __post_init__(self) -> None:
        above_zero(batch_size=self.batch_size, epochs=self.epochs)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run, at least one."""
        return max(1, round(self.epochs * len(self.data.train) / self.batch_size))


def compute_dtype(precision: Precision) -> jnp.dtype:
    """Type of activations: "auto" is bfloat16 on accelerators and float32 on CPU. Parameters stay float32."""
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(precision)
