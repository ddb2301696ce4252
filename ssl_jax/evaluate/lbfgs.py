"""L-BFGS for a smooth convex function whose value and gradient come from a pass over data, wherever these are.

The loop runs on the host, since a pass may read a file; directions are computed on the device. A step ends a line search on
the slope, which on a convex function only rises: nearly always the first length is taken, so that a step costs one pass.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

MOST_STEPS = 1000
MOST_LENGTHS = 30  # Of a line search.
# A length is taken where the value has fallen by this part of what the slope promised, and the slope has become less: at most
# 0.9 of it where it still falls, 0.5 where it rises. Values are the same up to rounding, relative.
DECREASE, FALLING, RISING, ROUNDING = 1e-4, 0.9, 0.5, 1e-6
SOLVER = optax.scale_by_lbfgs()

Function = Callable[[Array], tuple[Array, Array]]


class Point(NamedTuple):
    """Where the search is: `weights` and `gradient` are scaled, `length` is that of the gradient in the weights themselves."""

    weights: Array
    gradient: Array
    value: float
    slope: float  # along the direction of the step that led here
    length: float


def minimized(function: Function, start: Array, tolerance: float, *, scale: Array | None = None) -> Array:
    """The weights from `start` on at which the gradient is no longer than `tolerance`, after at most `MOST_STEPS` steps.

    Where rounding hides every further decrease, the search ends before.

    Args:
      function: weights -> value, and gradient in the form of the weights.
      start: `[K, D + 1]`.
      scale: `[D + 1]`, of the columns of the weights: steps are taken in the weights divided by it, in which all directions
        should have the same curvature; 1 when None.

    Source: Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116.
    """
    scales = _row(start, scale)
    weights, nowhere = _scaled(start, scales)
    point = _evaluated(function, weights, nowhere, scales)
    state = fresh = _initial(point.weights)
    for _ in range(MOST_STEPS):
        if point.length <= tolerance:
            break
        direction, slope, following = _direction(point.gradient, state, point.weights)
        found = _searched(function, point, direction, float(jax.device_get(slope)), scales)
        if found is None and state is fresh:
            break
        point, state = (found, following) if found else (point, fresh)  # What a failed search knew may be rounding.
    return _unscaled(point.weights, scales)


def _searched(function: Function, start: Point, direction: Array, slope: float, scales: Array) -> Point | None:
    """A point along the direction that fulfils Wolfe's conditions; None where there is none for rounding."""
    low, high, length = 0.0, math.inf, 1.0
    for _ in range(MOST_LENGTHS if slope < 0 else 0):
        weights = _moved(start.weights, direction, jax.device_put(np.float32(length)))
        found = _evaluated(function, weights, direction, scales)
        most = start.value + DECREASE * length * slope + ROUNDING * abs(start.value)
        if not (found.value <= most and found.slope <= -RISING * slope):
            high = length
        elif found.slope < FALLING * slope:
            low = length
        else:
            return found
        length = 2 * length if high == math.inf else (low + high) / 2
    return None


def _evaluated(function: Function, weights: Array, direction: Array, scales: Array) -> Point:
    value, gradient = function(_unscaled(weights, scales))
    scaled, *numbers = _measured(gradient, direction, scales)
    return Point(weights, scaled, *map(float, jax.device_get((value, *numbers))))


@jax.jit
def _row(start: Array, scale: Array | None) -> Array:
    return (jnp.ones(start.shape[1], start.dtype) if scale is None else scale)[None]


@jax.jit
def _scaled(start: Array, scales: Array) -> tuple[Array, Array]:
    """The scaled weights, and no direction."""
    return start / scales, jnp.zeros_like(start)


@jax.jit
def _unscaled(weights: Array, scales: Array) -> Array:
    return weights * scales


@jax.jit
def _moved(weights: Array, direction: Array, length: Array) -> Array:
    return weights + length * direction


@jax.jit
def _measured(gradient: Array, direction: Array, scales: Array) -> tuple[Array, Array, Array]:
    scaled = gradient * scales
    return scaled, jnp.vdot(scaled, direction), optax.tree.norm(gradient)


@jax.jit
def _initial(weights: Array) -> optax.OptState:
    return SOLVER.init(weights)


@jax.jit
def _direction(gradient: Array, state: optax.OptState, weights: Array) -> tuple[Array, Array, optax.OptState]:
    change, state = SOLVER.update(gradient, state, weights)
    return -change, -jnp.vdot(gradient, change), state
