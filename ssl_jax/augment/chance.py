"""Functions of uniform draws from [0, 1) for random augmentations, and the types that they share."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

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


def chosen(
    name: str,
    uniform: Array,
    change: Callable[[Array], Array],
    image: Array,
    *,
    probability: float,
    branches: bool = False,
) -> Array:
    """`change(image)` with `probability`, else `image`. `name` is the augmentation in the `UsageError`.

    Args:
      branches: whether the program branches, and computes only what is chosen. This saves time where images are computed one at
        a time; else both are computed, and one is chosen for each image.

    Example:
      >>> print(chosen("flip", jnp.array(0.3), lambda image: image + 1, jnp.zeros(2), probability=0.5))
      [1. 1.]
    """
    if not 0 <= probability <= 1:
        raise UsageError(f"{name}: probability must be in [0, 1], got {probability}.")
    if probability == 1:
        # `image` is then used once, so that XLA fuses its computation: digit_views take a third of the time.
        return change(image)
    if branches:
        return lax.cond(uniform < probability, change, lambda image: image, image)
    return jnp.where(uniform < probability, change(image), image)
