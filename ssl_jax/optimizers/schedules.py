"""Schedules of learning rates and other values: functions of the step.

Steps of drops are computed in exact arithmetic, without rounding.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp

from ssl_jax.optimizers.optimizer import Schedule


def warmup_cosine(peak: float, *, steps: int, warmup: int, end: float = 0.0, start: float = 0.0) -> Schedule:
    """Linear from `start` to `peak` in `warmup` steps, then half a cosine down to `end` at `steps`.

    Example:
      >>> rate = warmup_cosine(0.1, steps=110, warmup=10)
      >>> print([round(float(rate(step)), 3) for step in (0, 5, 10, 60, 110)])
      [0.0, 0.05, 0.1, 0.05, 0.0]
    """
    if warmup >= steps:  # A run of a few steps, as in tests, is shorter than the paper's warm-up.
        warmup = steps // 10

    def schedule(step: Any) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        progress = jnp.clip((step - warmup) / (steps - warmup), 0, 1)
        cosine = end + (peak - end) * (1 + jnp.cos(jnp.pi * progress)) / 2
        return jnp.where(step < warmup, start + (peak - start) * step / max(warmup, 1), cosine)

    return schedule


def cosine(start: float, end: float, *, steps: int) -> Schedule:
    """Half a cosine from `start` at step 0 to `end` at `steps`.

    Example:
      >>> momentum = cosine(0.99, 1.0, steps=100)
      >>> print([round(float(momentum(step)), 3) for step in (0, 50, 100)])
      [0.99, 0.995, 1.0]
    """

    def schedule(step: Any) -> jax.Array:
        progress = jnp.clip(jnp.asarray(step, jnp.float32) / steps, 0, 1)
        return end + (start - end) * (1 + jnp.cos(jnp.pi * progress)) / 2

    return schedule


def step_decay(
    peak: float,
    *,
    steps: int,
    drops: Sequence[float],
    of: float = 1,
    factor: float = 0.1,
    warmup: float = 0.0,
    start: float = 0.0,
) -> Schedule:
    """`peak`, multiplied by `factor` at each of `drops`; before, linear from `start` to `peak` in the first `warmup`.

    A run of another length drops in proportion: at the first step after at least the fraction drop / `of` of all
    `steps`. That step is computed in exact fractions, since progress in float32 is one step late at some lengths.

    Args:
      drops: in the unit of `of`: epochs of a run of `of` epochs, or fractions of the run where `of` is 1.
      of: length of the run for which `drops` and `warmup` are stated.

    Example: drops=(30, 60, 90, 100), of=105 drops a run of 2,100 steps at steps 600, 1,200, 1,800 and 2,000, and one of
    1,000 steps at 286, 572, 858 and 953.

    Example:
      >>> rate = step_decay(1.0, steps=2100, drops=(30, 60, 90, 100), of=105)
      >>> print([round(float(rate(step)), 4) for step in (0, 599, 600, 2000)])
      [1.0, 1.0, 0.1, 0.0001]
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
    """The first of `steps` steps after at least the fraction drop / of of them; 0.1 counts as 1/10, exactly.

    Example:
      >>> drop_step(30, of=105, steps=2100)
      600
    """
    part, whole = (Fraction(number).limit_denominator(10**6) for number in (drop, of))
    return ceil(part / whole * steps)
