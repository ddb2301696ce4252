"""Features with mean 0 and deviation 1, by statistics of the training features, in whole or in parts.

N: features; D: their dimension.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.ops.normalize import power_of_two

VARIES = 1e-5  # Deviation of a feature, relative to its mean, below which it is constant up to rounding.


@jax.jit
def moments(features: Array) -> tuple[Array, Array]:
    """Mean `[D]`, and the inverse of the deviation `[D]`: 0 for a feature that is constant up to rounding."""
    mean, deviation, size = _mean_and_deviation(features)
    varies = deviation > VARIES * jnp.abs(mean)
    return mean * size, jnp.where(varies, 1 / jnp.where(varies, deviation, 1), 0) / size


def moments_of_parts(parts: Iterable[Array]) -> tuple[Array, Array]:
    """`moments` of the parts `[n, D]` of features together, one of them at a time on the device.

    Means and variances of the parts are added up in float64, which has room for the squares of all of float32.
    """
    counts, means, variances = list[int](), list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for part in parts:
        mean, deviation, size = (each.astype(np.float64) for each in jax.device_get(_mean_and_deviation(part)))
        counts.append(len(part))
        means.append(mean * size)
        variances.append((deviation * size) ** 2)
    whole = np.average(means, axis=0, weights=counts)
    between = (np.stack(means) - whole) ** 2
    deviation = np.sqrt(np.average(np.stack(variances) + between, axis=0, weights=counts))
    varies = deviation > VARIES * np.abs(whole)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return jax.device_put((whole.astype(np.float32), scale.astype(np.float32)))


@jax.jit
def standardized(features: Array, mean: Array, scale: Array) -> Array:
    """`[N, D]` -> `[N, D + 1]`, the last column 1."""
    features = (features.astype(jnp.float32) - mean[None]) * scale[None]
    return jnp.pad(features, ((0, 0), (0, 1)), constant_values=1)


@jax.jit
def _mean_and_deviation(features: Array) -> tuple[Array, Array, Array]:
    """Both `[D]`, and their unit: values are divided by a power of two before squaring, which might over- or underflow."""
    features = features.astype(jnp.float32)
    size = power_of_two(jnp.abs(features).max(axis=0))
    size = jnp.where(size > 0, size, 1)
    scaled = features / size[None]
    mean = scaled.mean(axis=0)
    return mean, jnp.sqrt(jnp.mean((scaled - mean[None]) ** 2, axis=0)), size
