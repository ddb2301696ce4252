"""The precision in which the tests run: float32 as users do, or float64 under the plugin `in_float64`."""

import jax.numpy as jnp

UNIT = float(jnp.finfo(jnp.float32).eps) / 2**-23  # Relative to float32: 1, or 2e-9.
EXACT = UNIT < 1
