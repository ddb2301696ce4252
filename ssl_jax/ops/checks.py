"""Checks of the arguments of public functions: a ValueError of one sentence names the argument and its value.

Shapes and types are always checked, values only where they are concrete, which they are not under `jit`.
"""

import math
import numbers
from collections.abc import Iterable, Sequence
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


def check_one_shape(function: str, axes: str, **arrays: Any) -> None:
    """Each is an array of real numbers, not empty, all of one shape, which has the axes named in "[B, D]"."""
    check_arrays(function, **arrays)
    first, *rest = shapes = [array.shape for array in arrays.values()]
    if len(first) != axes.count(",") + 1 or 0 in first or any(shape != first for shape in rest):
        names, got = (" and ".join(map(str, each)) for each in (arrays, shapes))
        one = " of one shape" if rest else ""
        raise ValueError(f"{function}: {names} must be {axes}{one}, not empty, got {got}")


def check_integers(function: str, **arrays: Any) -> None:
    """Each is an array of integers."""
    check_arrays(function, **arrays)
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise ValueError(f"{function}: {name} must be integers, got {array.dtype}")


def check_mask(function: str, **arrays: Any) -> None:
    """Each is an array of booleans, or of numbers that are 0 or 1 where values are concrete."""
    check_arrays(function, **arrays)
    for name, array in arrays.items():
        if array.dtype == bool or isinstance(array, jax.core.Tracer):
            continue
        wrong = np.asarray(array)[~np.isin(np.asarray(array), (0, 1))]
        if wrong.size:
            raise ValueError(f"{function}: {name} must be booleans, or 0 and 1, got {wrong[0]}")


def given(**arrays: Any) -> dict[str, Any]:
    """Those that are not None, of arguments that may be left out."""
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


def check_positive(function: str, **values: float | Array) -> None:
    """Each is a finite number above 0."""
    for name, value in values.items():
        number = _number(function, name, value, "a number above 0")
        if not number > 0 or number == math.inf:
            raise ValueError(f"{function}: {name} must be above 0{' and finite' * (number > 0)}, got {value}")


def check_all_positive(function: str, **values: Sequence[float]) -> None:
    """Each is a sequence of one or more finite numbers above 0."""
    for name, value in values.items():
        for number in _items(function, name, value, "numbers above 0"):
            check_positive(function, **{name: number})


def check_counts(function: str, *, least: int = 1, **values: Sequence[int]) -> None:
    """Each is a sequence of one or more whole numbers of at least `least`."""
    for name, value in values.items():
        for number in _items(function, name, value, f"whole numbers of at least {least}"):
            check_count(function, least=least, **{name: number})


def _items(function: str, name: str, value: Any, expected: str) -> Iterable[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or len(value) == 0:
        raise ValueError(f"{function}: {name} must be one or more {expected}, got {value!r}.")
    return value


def check_range(function: str, low: float, high: float = math.inf, **values: float | Array) -> None:
    """Each is a finite number from `low` to `high`, both included."""
    interval = f"in [{low}, {high}]" if high < math.inf else f"finite and at least {low}"
    for name, value in values.items():
        number = _number(function, name, value, f"a number {interval}", traced=low)
        if not (low <= number <= high and number < math.inf):
            raise ValueError(f"{function}: {name} must be {interval}, got {value}")


def check_count(function: str, *, least: int = 1, **counts: int) -> None:
    """Each is a whole number of at least `least`."""
    for name, count in counts.items():
        whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
        if not (whole and count >= least):
            shown = count if isinstance(count, numbers.Real) else _kind(count)
            raise ValueError(f"{function}: {name} must be a whole number of at least {least}, got {shown}")


def check_flags(function: str, **flags: bool) -> None:
    """Each is True or False, known when the function is traced."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{function}: {name} must be True or False, got {_kind(flag)}")


def check_choice(function: str, options: Iterable[str], **choices: str) -> None:
    """Each is one of the options."""
    for name, choice in choices.items():
        if not isinstance(choice, str) or choice not in options:
            raise ValueError(f"{function}: {name} must be one of {', '.join(options)}, got {_kind(choice)}")


def check_key(function: str, **keys: Any) -> None:
    """Each is a single random key, of `jax.random.key` or `jax.random.PRNGKey`."""
    for name, key in keys.items():
        typed = isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        raw = isinstance(key, Array | np.ndarray) and key.dtype == jnp.uint32 and key.ndim == 1
        if not (raw or (typed and key.ndim == 0)):
            raise ValueError(f"{function}: {name} must be a random key, got {_kind(key)}: take jax.random.key(0)")


def check_leaf(function: str, **leaves: Any) -> None:
    """Each is a number, an array of JAX's, or one of NumPy's of real numbers: a leaf of a tree of parameters."""
    for name, leaf in leaves.items():
        if not isinstance(leaf, Array | numbers.Real):
            check_arrays(function, **{name: leaf})


def check_function(function: str, **functions: Any) -> None:
    """Each can be called."""
    for name, argument in functions.items():
        if not callable(argument):
            raise ValueError(f"{function}: {name} must be a function, got {_kind(argument)}")


def check_type(function: str, kind: type, **values: Any) -> None:
    """Each is an instance of a type."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise ValueError(f"{function}: {name} must be a {kind.__name__}, got {_kind(value)}")


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
    return f"{value!r}" if isinstance(value, str | bool | None) else f"a {type(value).__name__}"
