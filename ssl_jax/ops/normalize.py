"""Rows at unit length, columns at unit variance: normalisation of embeddings before losses compare them.

B: rows of this shard; N: rows of the whole batch; D: size of a row. Results are float32 for any input type, and
computed in float32 or wider. Squares of float32 overflow above 1.8e19 and underflow below 1e-19: values are divided by a
power of two of their size before squaring, which is exact. With `axis_name=None` the rows are the whole batch; with
a name they are one shard of it under that mapped axis.
"""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ssl_jax.ops.blocks import accumulation_dtype
from ssl_jax.ops.checks import check_arrays, check_positive
from ssl_jax.ops.collectives import mean_over_shards

Rows = Array | np.ndarray


def unit_length(rows: Rows) -> Array:
    """Divides each row of `[..., D]` by its Euclidean length, of any size.

    A row with all entries below 1.2e-38, the smallest normal float32, has no direction: it becomes zero, and its gradient
    is zero. All other gradients are orthogonal to their row and at most 1 / length times as long as the incoming gradient.

    Raises:
      ValueError: the rows are not an array of real numbers, or have no axis.

    Example:
      >>> print(unit_length(jnp.array([[3.0, 4.0], [0.0, 0.0]])))
      [[0.6 0.8]
       [0.  0. ]]
    """
    check_arrays("unit_length", rows=rows)
    if rows.ndim == 0:
        raise ValueError("unit_length: rows must be [..., D], got ()")
    rows = _wide(rows)
    size = power_of_two(jnp.abs(rows).max(axis=-1, keepdims=True, initial=0))
    has_direction = size > 0
    scaled = rows / jnp.where(has_direction, size, 1)
    square = jnp.sum(scaled**2, axis=-1, keepdims=True)
    # Both branches of a `where` are differentiated: the square root must not get a zero even where it is not used.
    unit = scaled * jnp.where(has_direction, lax.rsqrt(jnp.where(has_direction, square, 1)), 0)
    return unit.astype(jnp.float32)


def standardize(rows: Rows, *, axis_name: str | None = None, epsilon: float = 1e-5) -> Array:
    """Subtracts from each column of `[B, D]` its mean and divides by its population deviation, both over all N rows.

    `epsilon` is added to the variance: a column that is constant becomes zero, with a finite gradient.

    Raises:
      ValueError: the rows are not a matrix of real numbers with at least one row, or epsilon is not positive.

    Example:
      >>> print(standardize(jnp.array([[1.0], [3.0]]))[:, 0].round(2))
      [-1.  1.]
    """
    check_arrays("standardize", rows=rows)
    check_positive("standardize", epsilon=epsilon)
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"standardize: rows must be [B, D] with at least one row, got {rows.shape}")
    rows = _wide(rows)
    moments = rows.mean(axis=0, keepdims=True), jnp.abs(lax.stop_gradient(rows)).mean(axis=0, keepdims=True)
    mean, size = mean_over_shards(moments, axis_name)
    size = jnp.maximum(power_of_two(size), 1)
    # Variance from the centred rows: the mean of squares less the square of the mean would cancel far from the origin.
    centred = (rows - mean) / size
    variance = mean_over_shards(jnp.mean(centred**2, axis=0, keepdims=True), axis_name)
    return (centred * lax.rsqrt(variance + scaled_epsilon(epsilon, size))).astype(jnp.float32)


def layer_norm(rows: Rows, *, epsilon: float = 1e-5) -> Array:
    """Each row of `[..., D]` with mean 0 and population deviation 1; no gain, no offset.

    Raises:
      ValueError: the rows are not an array of real numbers, have no axis, or epsilon is not positive.

    Example:
      >>> print(layer_norm(jnp.array([[1.0, 3.0]])).round(2))
      [[-1.  1.]]
    """
    check_arrays("layer_norm", rows=rows)
    check_positive("layer_norm", epsilon=epsilon)
    if rows.ndim == 0:
        raise ValueError("layer_norm: rows must be [..., D], got ()")
    rows = _wide(rows)
    size = jnp.maximum(power_of_two(jnp.abs(rows).max(axis=-1, keepdims=True, initial=0)), 1)
    rows = rows / size
    centred = rows - rows.mean(axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return (centred * lax.rsqrt(variance + scaled_epsilon(epsilon, size))).astype(jnp.float32)


def norm_of(tree: Any) -> Array:
    """Euclidean norm of all elements of an array, or of a tree of arrays of one floating-point type, of any size.

    Example:
      >>> print(norm_of({"kernel": jnp.array([[3.0]]), "bias": jnp.array([4.0])}))
      5.0
    """
    leaves = jax.tree.leaves(tree)
    size = power_of_two(reduce(jnp.maximum, (jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves)))
    size = jnp.where(size > 0, size, 1)
    return size * jnp.sqrt(sum(jnp.sum((leaf / size) ** 2) for leaf in leaves))


def power_of_two(sizes: Array) -> Array:
    """The largest power of two that is not above each element, without gradient; 0 below the smallest normal number.

    At most a quarter of the overflow limit, so that its inverse is normal too: a division may be computed as a product.

    Example:
      >>> print(power_of_two(jnp.array([0.3, 1.0, 5.0])))
      [0.25 1.   4.  ]
    """
    kind = jnp.finfo(sizes.dtype)
    whole = jnp.dtype(f"int{kind.bits}")
    exponent = whole.type(((1 << kind.nexp) - 1) << kind.nmant)
    bits = lax.bitcast_convert_type(lax.stop_gradient(sizes), whole) & exponent
    return jnp.minimum(lax.bitcast_convert_type(bits, sizes.dtype), 2.0 ** (kind.maxexp - 2))


def scaled_epsilon(epsilon: float, size: Array) -> Array:
    """`epsilon` for the variance of values that were divided by `size`, which is at least 1.

    At least the square of float32's resolution, since a constant of that size may differ from its own mean by as much.

    Example:
      >>> print(scaled_epsilon(1e-4, jnp.array([1.0, 2.0])))
      [1.0e-04 2.5e-05]
    """
    return jnp.maximum(epsilon / size**2, float(jnp.finfo(jnp.float32).eps) ** 2)


def _wide(rows: Rows) -> Array:
    return jnp.asarray(rows, accumulation_dtype(rows.dtype))
