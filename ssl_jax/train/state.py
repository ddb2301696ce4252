"""The state of a run between steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ssl_jax.methods.method import Method, Params, State


class TrainState(NamedTuple):
    """step: number of updates made, int32. The other three are nested containers of arrays."""

    step: Array
    params: Params
    method_state: State
    optimizer: Any


def init_state(method: Method, optimizer: optax.GradientTransformation, *, seed: int) -> TrainState:
    """The state before the first step. Run it under `jit`: leaves then have separate buffers, and can be donated."""
    params, state = method.init(jax.random.key(seed))
    return TrainState(jnp.zeros((), jnp.int32), params, state, optimizer.init(params))
