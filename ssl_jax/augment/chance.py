"""What random augmentations do with a uniform draw from [0, 1), and the types that they share."""

import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError

Range = tuple[float, float]  # (low, high)
Size = tuple[int, ...]  # (height, width)


def between(limits: Range, uniform: Array) -> Array:
    """The draws, moved from [0, 1) to `limits`."""
    low, high = limits
    return low + (high - low) * uniform


def chosen(name: str, uniform: Array, *, probability: float, changed: Array, image: Array) -> Array:
    """`changed` with `probability`, else `image`. A `UsageError` speaks in the name of the augmentation `name`."""
    if not 0 <= probability <= 1:
        raise UsageError(f"{name}: probability must be in [0, 1], got {probability}.")
    if probability == 1:
        # `image` is then used once and XLA fuses what made it: digit_views take a third of the time.
        return changed
    return jnp.where(uniform < probability, changed, image)
