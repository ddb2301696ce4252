"""Functions of uniform draws from [0, 1) for random augmentations, and the types that they share."""

import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError

Range = tuple[float, float]  # (low, high)
Size = tuple[int, ...]  # (height, width)


def between(limits: Range, uniform: Array) -> Array:
    """The draws, scaled from [0, 1) to `limits`.

    Example:
      >>> print(between((2.0, 4.0), jnp.array([0.0, 0.5])))
      [2. 3.]
    """
    low, high = limits
    return low + (high - low) * uniform


def chosen(name: str, uniform: Array, *, probability: float, changed: Array, image: Array) -> Array:
    """`changed` with `probability`, else `image`. `name` is the augmentation in the `UsageError`.

    Example:
      >>> image = jnp.zeros(2)
      >>> print(chosen("flip", jnp.array(0.3), probability=0.5, changed=image + 1, image=image))
      [1. 1.]
    """
    if not 0 <= probability <= 1:
        raise UsageError(f"{name}: probability must be in [0, 1], got {probability}.")
    if probability == 1:
        # `image` is then used once, so that XLA fuses its computation: digit_views take a third of the time.
        return changed
    return jnp.where(uniform < probability, changed, image)
