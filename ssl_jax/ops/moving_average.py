"""Exponential moving averages of trees (teachers, target networks, centres) and the schedule of their momentum."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.blocks import accumulation_dtype
from ssl_jax.ops.checks import check_count, check_leaf, check_range


def moving_average(average: Any, value: Any, *, momentum: float | Array) -> Any:
    """`momentum * average + (1 - momentum) * value`, leaf by leaf.

    Computed in float32 or wider, returned in the dtype of `average`; use float32, because bfloat16 rounds relative changes
    below 1/256 to zero. Leaves that are not floating point (counters) are taken from `value`.

    Args:
      average, value: trees of one structure and shape.
      momentum: in [0, 1]; may be traced, as the result of `cosine_momentum`.

    Raises:
      ValueError: the trees differ in structure or in a leaf's shape, or the momentum is outside [0, 1].

    Example:
      >>> print(moving_average({"kernel": jnp.zeros(2)}, {"kernel": jnp.ones(2)}, momentum=0.75))
      {'kernel': Array([0.25, 0.25], dtype=float32)}
    """
    check_range("moving_average", 0, 1, momentum=momentum)
    old_structure, new_structure = str(jax.tree.structure(average)), str(jax.tree.structure(value))
    if old_structure != new_structure:
        raise ValueError(
            f"moving_average: average and value must be trees of one structure, got {old_structure} and {new_structure}"
        )

    def mix(old, new):
        check_leaf("moving_average", average=old, value=new)
        old, new = jnp.asarray(old), jnp.asarray(new)
        if old.shape != new.shape:
            raise ValueError(f"moving_average: average and value must have one shape, got {old.shape} and {new.shape}")
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return new
        dtype = accumulation_dtype(old.dtype)
        weight = jnp.asarray(momentum, dtype)
        return (weight * old.astype(dtype) + (1 - weight) * new.astype(dtype)).astype(old.dtype)

    return jax.tree.map(mix, average, value)


def cosine_momentum(step: int | Array, *, steps: int, start: float = 0.996, end: float = 1.0) -> Array:
    """Momentum that rises from `start` at step 0 to `end` at `steps` along half a cosine, and is constant afterwards.

    It counts steps, not epochs; half-way it is the mean of both ends. 0.996 is BYOL's start (0.99 for short runs) and
    DINO's.

    Raises:
      ValueError: steps is not positive, the step is negative, or an end is outside [0, 1].

    Example:
      >>> print([round(float(cosine_momentum(step, steps=100, start=0.9)), 3) for step in (0, 50, 100)])
      [0.9, 0.95, 1.0]

    Source: Grill et al. 2020, https://arxiv.org/abs/2006.07733, section 3.3.
    """
    check_count("cosine_momentum", steps=steps)
    check_range("cosine_momentum", 0, step=step)
    check_range("cosine_momentum", 0, 1, start=start, end=end)
    progress = jnp.clip(jnp.asarray(step, jnp.float32) / steps, 0, 1)
    return end - (end - start) * (1 + jnp.cos(jnp.pi * progress)) / 2
