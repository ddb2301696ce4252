"""A plugin of pytest (`-p in_float64`): what the package computes in float32, it computes in float64.

The package computes in `jnp.float32` wherever that is the widest type that it uses. With another meaning of this name, set
before the package is imported, the same lines are exact enough to tell a mistake from rounding.
"""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
jnp.float32 = jnp.float64


def pytest_configure():
    """After conftest.py, which forbids promotion: new integers are int64 here, and meet those of the data, which are int32."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
