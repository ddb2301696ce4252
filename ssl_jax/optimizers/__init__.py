"""The optimizers of the field, their learning rates over a run, and wrappers that treat some parameters differently."""

from ssl_jax.optimizers.elementwise import adam, adamw, frozen, sgd
from ssl_jax.optimizers.layerwise import clipped_lars, larc, lars
from ssl_jax.optimizers.optimizer import Optimizer, Schedule, weights_only
from ssl_jax.optimizers.schedules import cosine, drop_step, step_decay, warmup_cosine
from ssl_jax.optimizers.wrappers import (
    at_rate,
    freeze_for,
    with_bias_rate,
    with_clipping,
    with_layer_decay,
    with_separate_optimizer,
    with_variable_rate,
)

__all__ = [
    "Optimizer",
    "Schedule",
    "adam",
    "adamw",
    "at_rate",
    "clipped_lars",
    "cosine",
    "drop_step",
    "freeze_for",
    "frozen",
    "larc",
    "lars",
    "sgd",
    "step_decay",
    "warmup_cosine",
    "weights_only",
    "with_bias_rate",
    "with_clipping",
    "with_layer_decay",
    "with_separate_optimizer",
    "with_variable_rate",
]
