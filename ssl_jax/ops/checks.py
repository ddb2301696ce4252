"""Checks of the arguments of public functions: a ValueError of one sentence names the argument and its value.

Shapes and types are always checked, values only where they are concrete, which they are not under `jit`.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def check_arrays(function: str, **arrays: Any) -> None:
    """Each is an array, NumPy's or JAX's, of real numbers."""
    for name, array in arrays.items():
        if not isinstance(array, Array | np.ndarray):
            raise ValueError(f"{function}: {name} must be an array, got {_kind(array)}: convert it with jnp.asarray")
        if not _real(array.dtype):
            raise ValueError(f"{function}: {name} must hold real numbers, got {array.dtype}: pass the parts one by one")


def check_integers(function: str, **arrays: Any) -> None:
    """Each is an array of integers."""
    check_arrays(function, **arrays)
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise ValueError(f"{function}: {name} must be integers, got {array.dtype}")


def given(**arrays: Any) -> dict[str, Any]:
    """The optional ones that are not None."""
    return {name: array for name, array in arrays.items() if array is not None}


def check_labels(function: str, classes: int, *, least: int | None = 0, **arrays: Array) -> None:
    """The integers of each are from `least`, if there is one, to `classes` - 1, where values are concrete."""
    for name, array in arrays.items():
        if isinstance(array, jax.core.Tracer) or not array.size:
            continue
        host = np.asarray(array)  # JAX's functions would be traced if the caller is
        low, high = int(host.min()), int(host.max())
        if high >= classes or (least is not None and low < least):
            expected = f"below {classes}" if least is None else f"from {least} to {classes - 1}"
            raise ValueError(f"{function}: {name} must be {expected}, got {low} to {high}")


def check_not_negative(function: str, **arrays: Array) -> None:
    """No entry is NaN or below 0, where values are concrete."""
    for name, array in arrays.items():
        if not isinstance(array, jax.core.Tracer) and not (np.asarray(array) >= 0).all():
            raise ValueError(f"{function}: {name} must not be negative, got {np.asarray(array).min()}")


def check_finite(function: str, **arrays: Array) -> None:
    """No entry is NaN or infinite, where values are concrete."""
    for name, array in arrays.items():
        if not isinstance(array, jax.core.Tracer) and not np.isfinite(np.asarray(array, np.float32)).all():
            raise ValueError(f"{function}: {name} must be finite, got NaN or infinity")


def check_positive(function: str, **values: float | Array | None) -> None:
    """Each is a finite number above 0, or None."""
    for name, value in values.items():
        number = 1 if value is None else _number(function, name, value, "a number above 0")
        if not number > 0 or number == math.inf:
            raise ValueError(f"{function}: {name} must be above 0{' and finite' * (number > 0)}, got {value}")


def check_all_positive(function: str, **values: Sequence[float]) -> None:
    """Each is a sequence of one or more finite numbers above 0."""
    for name, value in values.items():
        if np.ndim(value) != 1 or len(value) == 0:
            raise ValueError(f"{function}: {name} must be one or more numbers above 0, got {value}.")
        for number in value:
            check_positive(function, **{name: number})


def check_range(function: str, low: float, high: float = math.inf, **values: float | Array) -> None:
    """Each is a finite number from `low` to `high`, both included."""
    interval = f"in [{low}, {high}]" if high < math.inf else f"finite and at least {low}"
    for name, value in values.items():
        number = _number(function, name, value, f"a number {interval}", traced=low)
        if not (low <= number <= high and number < math.inf):
            raise ValueError(f"{function}: {name} must be {interval}, got {value}")


def check_count(function: str, *, least: int = 1, **counts: int | None) -> None:
    """Each is a whole number of at least `least`, or None."""
    for name, count in counts.items():
        whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
        if count is not None and not (whole and count >= least):
            shown = count if isinstance(count, numbers.Real) else _kind(count)
            raise ValueError(f"{function}: {name} must be a whole number of at least {least}, got {shown}")


def _number(function: str, name: str, value: Any, expected: str, traced: float = 1) -> float:
    """The value of a real scalar; `traced` if it is not concrete."""
    scalar = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if isinstance(value, Array | np.ndarray):
        scalar = value.ndim == 0 and _real(value.dtype)
    if not scalar:
        raise ValueError(f"{function}: {name} must be {expected}, got {_kind(value)}")
    return traced if isinstance(value, jax.core.Tracer) else float(value)


def _real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _kind(value: Any) -> str:
    if isinstance(value, Array | np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"{value!r}" if isinstance(value, str | bool) else f"a {type(value).__name__}"
