"""Rotation matrices parametrised by unconstrained square matrices."""

import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays


def rotation_matrix(free: Array) -> Array:
    """Cayley transform of the skew-symmetric part of `free`: `(I - A)^-1 (I + A)`, `A = (free - free^T) / 4`.

    Orthogonal with determinant 1 for any `free`, so norms and angles are preserved, to about 1e-6 in float32. Zeros
    (and every symmetric matrix) give the identity; near it the matrix is the identity plus `(free - free^T) / 2`, so
    that in the plane `[[0, -t], [t, 0]]` rotates by `2 atan(t / 2)`, t radians when t is small.

    Cayley rather than the matrix exponential: one linear solve, and one more for the gradient, instead of a series with
    squarings whose rounding grows with the angles; no input is singular, because A has imaginary eigenvalues. It
    reaches every rotation without an angle of exactly 180 degrees, and approximates the others arbitrarily well.

    Args:
      free: `[..., D, D]`, one matrix per head for instance.

    Returns:
      `[..., D, D]` float32.

    Raises:
      ValueError: `free` is not square, or not an array of real numbers.

    Example:
      >>> print(np.asarray(rotation_matrix(jnp.array([[0.0, -2.0], [2.0, 0.0]]))).round(3))  # by 2 atan(2 / 2), a quarter turn
      [[ 0. -1.]
       [ 1.  0.]]

    Source: Cayley 1846; Helfrich et al. 2018, https://arxiv.org/abs/1707.09520, section 3.
    """
    check_arrays("rotation_matrix", free=free)
    if free.ndim < 2 or free.shape[-1] != free.shape[-2]:
        raise ValueError(f"rotation_matrix: free must be [..., D, D], got {free.shape}")
    free = free.astype(jnp.float32)
    skew = (free - jnp.swapaxes(free, -1, -2)) / 4
    identity = jnp.broadcast_to(jnp.eye(free.shape[-1], dtype=free.dtype), free.shape)
    # jaxlib's CPU solver splits a batch among the threads and waits in one of them: several layers at once deadlock.
    return lax.platform_dependent(identity - skew, identity + skew, cpu=_one_by_one, default=jnp.linalg.solve)


def _one_by_one(matrices: Array, right: Array) -> Array:
    size = matrices.shape[-1]
    flat = (array.reshape(-1, size, size) for array in (matrices, right))
    return lax.map(lambda pair: jnp.linalg.solve(*pair), tuple(flat)).reshape(right.shape)
