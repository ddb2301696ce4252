"""Energies with a latent variable: what is free is minimised, or averaged, out of the energy.

B: examples; K: values of the latent variable z; Z: size of z. One input x has several right outputs y where z tells them apart:
`F(x, y) = min_z E(x, y, z)` is low at each of them. The minimum is exact over K given values, `latent_free_energy`, or a local
one by gradient descent, `descend_latent`.

Source: LeCun et al. 2006, "A Tutorial on Energy-Based Learning", section 2; figure 1 of
https://atcold.github.io/NYU-DLSP21/en/week10/10-3/.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.blocks import floats
from ssl_jax.ops.checks import check_arrays, check_count, check_function, check_positive, given


def latent_free_energy(energies: Array, *, inverse_temperature: float | Array | None = None) -> Array:
    """`min_z E(x, y, z)`, or at inverse temperature b `-1/b log mean_z exp(-b E(x, y, z))`, over the last axis.

    As b grows the second tends to the first, from above; as b falls, to the mean over z. Equal energies are returned unchanged
    by both. Its gradient is that of the energy at the best z, or of the mean of energies under the softmax of -b E.

    Args:
      energies: `[..., K]`, those of one x and y with each value of z.
      inverse_temperature: b, above 0; None for the minimum.

    Returns:
      `[...]`, float32 (float64 if the energies are).

    Raises:
      ValueError: the energies are not real numbers or there are none, or b is not positive.

    Example:
      >>> energies = jnp.array([[4.0, 1.0, 9.0]])
      >>> print(latent_free_energy(energies), latent_free_energy(energies, inverse_temperature=1.0).round(2))
      [1.] [2.05]
    """
    check_arrays("latent_free_energy", energies=energies)
    check_positive("latent_free_energy", **given(inverse_temperature=inverse_temperature))
    if energies.ndim < 1 or not energies.size:
        raise ValueError(f"latent_free_energy: needs energies [..., K], not empty, got {energies.shape}")
    (energies,) = floats(energies)
    if inverse_temperature is None:
        return energies.min(axis=-1)
    b = jnp.asarray(inverse_temperature, energies.dtype)
    least = lax.stop_gradient(energies.min(axis=-1, keepdims=True))
    least = jnp.where(jnp.isfinite(least), least, 0)
    # Not log K less a log-sum-exp: for small b their difference would cancel, and is divided by b.
    return least[..., 0] - jnp.log1p(jnp.expm1(-b * (energies - least)).mean(axis=-1)) / b


def descend_latent(
    energy: Callable[[Array], Array], start: Array, *, steps: int, learning_rate: float
) -> tuple[Array, Array]:
    """Gradient descent on z from `start`: inference of a latent variable that has no list of values.

    Args:
      energy: z `[B, Z]` -> energies `[B]`, each of its own row, such as `lambda z: squared_distance(y, decode(h, z))`.
      start: `[B, Z]`; take several starts, and the best, where the energy has several minima.
      steps: number of steps, at least 1.
      learning_rate: step over gradient, above 0.

    Returns:
      z `[B, Z]`, without a gradient to what made it, and its energies `[B]`, of which the gradient is that at fixed z (the
      minimum does not move to first order).

    Raises:
      ValueError: `start` is not `[B, Z]`, `energy` does not return `[B]`, or a number is out of range.

    Example:
      >>> latent, energies = descend_latent(lambda z: ((z - 3.0) ** 2).sum(1), jnp.zeros((2, 1)), steps=100, learning_rate=0.1)
      >>> print(f"{latent[0, 0]:.3f} {energies[0]:.3f}")
      3.000 0.000
    """
    check_function("descend_latent", energy=energy)
    check_arrays("descend_latent", start=start)
    check_count("descend_latent", steps=steps)
    check_positive("descend_latent", learning_rate=learning_rate)
    (start,) = floats(start)
    if start.ndim != 2 or not start.size or jax.eval_shape(energy, start).shape != start.shape[:1]:
        raise ValueError(
            f"descend_latent: needs start [B, Z], not empty, and an energy that returns [B], got {start.shape} and "
            f"{jax.eval_shape(energy, start).shape}"
        )
    slope = jax.grad(lambda latent: energy(latent).sum())
    rate = jnp.asarray(learning_rate, start.dtype)
    latent = lax.fori_loop(0, steps, lambda _, latent: latent - rate * slope(latent), lax.stop_gradient(start))
    latent = lax.stop_gradient(latent)
    return latent, energy(latent)
