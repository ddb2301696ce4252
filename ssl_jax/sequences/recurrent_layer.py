"""The layers that recurrent networks are stacks of: a state of fixed size summarises the tokens before a position.

B: examples; T: tokens; D: size of a token; N: units of a layer. A state is a tuple of `[B, N]` float32: the hidden state, which
is the layer's output, and of an LSTM also the cell state. Gates are in PyTorch's order: reset, update and candidate in a GRU;
input, forget, candidate and output in an LSTM. The "tanh" cell has none.

Sources: Elman 1990, "Finding Structure in Time"; Cho et al. 2014, https://arxiv.org/abs/1406.1078; Hochreiter and Schmidhuber
1997, "Long Short-Term Memory"; both directions: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks".
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike

from ssl_jax.networks.transformer_layer import drop
from ssl_jax.ops.blocks import mixed_precision_einsum

Cell = Literal["tanh", "gru", "lstm"]
State = tuple[Array, ...]
PARTS = {"tanh": 1, "gru": 3, "lstm": 4}  # Of what a token contributes: the gates and the candidate.


def tanh(inputs: Sequence[Array], state: State, kernel: Array) -> State:
    """One step of a network without gates, `tanh(input + hidden @ kernel)`.

    Args:
      inputs: contribution of the token, one `[B, N]`.
      state: the hidden state, `[B, N]`.
      kernel: `[N, N]`.

    Example:
      >>> print(tanh([jnp.zeros((2, 4))], (jnp.ones((2, 4)),), jnp.zeros((4, 4)))[0].shape)
      (2, 4)
    """
    (hidden,) = state
    return (jnp.tanh(inputs[0].astype(hidden.dtype) + mixed_precision_einsum("bn,nm->bm", hidden, kernel)),)


def gru(inputs: Sequence[Array], state: State, kernel: Array, bias: Array) -> State:
    """One step of a gated recurrent unit; as in PyTorch and cuDNN the reset gate acts after the matrix product.

    Args:
      inputs: contributions of the token to each of the 3 gates, `[B, N]`.
      state: the hidden state, `[B, N]`.
      kernel: `[N, 3N]`.
      bias: of the candidate, `[N]`.

    Example:
      >>> state = gru([jnp.zeros((2, 4))] * 3, (jnp.ones((2, 4)),), jnp.zeros((4, 12)), jnp.zeros(4))
      >>> print(state[0][0])
      [0.5 0.5 0.5 0.5]
    """
    (hidden,) = state
    of_state = jnp.split(mixed_precision_einsum("bn,nm->bm", hidden, kernel), 3, axis=1)
    reset, update = (
        jax.nn.sigmoid(new.astype(hidden.dtype) + old) for new, old in zip(inputs[:2], of_state, strict=False)
    )
    candidate = jnp.tanh(inputs[2].astype(hidden.dtype) + reset * (of_state[2] + bias[None]))
    return ((1 - update) * candidate + update * hidden,)


def lstm(inputs: Sequence[Array], state: State, kernel: Array) -> State:
    """One step of a long short-term memory.

    Args:
      inputs: contributions of the token to each of the 4 gates, `[B, N]`.
      state: the hidden and the cell state, each `[B, N]`.
      kernel: `[N, 4N]`.

    Example:
      >>> hidden, cell = lstm([jnp.zeros((2, 4))] * 4, (jnp.zeros((2, 4)), jnp.ones((2, 4))), jnp.zeros((4, 16)))
      >>> print(cell[0])
      [0.5 0.5 0.5 0.5]
    """
    hidden, cell = state
    of_state = jnp.split(mixed_precision_einsum("bn,nm->bm", hidden, kernel), 4, axis=1)
    enter, forget, candidate, leave = (
        new.astype(hidden.dtype) + old for new, old in zip(inputs, of_state, strict=True)
    )
    cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
    return jax.nn.sigmoid(leave) * jnp.tanh(cell), cell


class Recurrence(nnx.Module):
    """One layer in one direction: `[B, T, D]` -> its outputs `[B, T, N]` in `dtype`, and its last state."""

    def __init__(self, dim: int, units: int, *, cell: Cell, dtype: DTypeLike, rngs: nnx.Rngs):
        # The forget gate is open initially, as in Gers et al. 2000, "Learning to Forget".
        starts = [0.0, 1.0, 0.0, 0.0] if cell == "lstm" else [0.0] * PARTS[cell]
        self.read = nnx.Linear(
            dim,
            len(starts) * units,
            kernel_init=nnx.initializers.variance_scaling(1.0, "fan_in", "uniform"),
            bias_init=lambda key, shape, dtype: jnp.repeat(jnp.array(starts, dtype), units),
            dtype=dtype,
            rngs=rngs,
        )
        # Not under vmap: see `ops.rotation` on batches in jaxlib's CPU solvers.
        square = partial(nnx.initializers.orthogonal(), shape=(units, units))
        self.kernel = nnx.Param(
            jnp.concatenate([square(key) for key in jax.random.split(rngs.params(), len(starts))], axis=1)
        )
        self.bias = nnx.Param(jnp.zeros(units, jnp.float32)) if cell == "gru" else None
        self.cell, self.units, self.dtype = cell, units, dtype

    def __call__(
        self, tokens: Array, state: State | None = None, visible: Array | None = None, *, reverse: bool = False
    ) -> tuple[Array, State]:
        """From `state`, or zeros; where `visible` `[B, T]` is False the state is kept. `reverse` begins with the last token."""
        step, start = self.step(), self.zeros(len(tokens)) if state is None else state

        def move(state: State, position: tuple[list[Array], Array | None]) -> tuple[State, Array]:
            inputs, counted = position
            new = step(inputs, state)
            if counted is not None:
                new = tuple(jnp.where(counted, after, before) for after, before in zip(new, state, strict=True))
            return new, new[0].astype(self.dtype)

        # One matrix product for all positions; the loop computes only the product with the state.
        inputs = self.gates(tokens.swapaxes(0, 1))
        last, outputs = lax.scan(
            move, start, (inputs, None if visible is None else visible.T[:, :, None]), reverse=reverse
        )
        return outputs.swapaxes(0, 1), last

    def decode_step(self, token: Array, state: State) -> tuple[Array, State]:
        """One token of each example, `[B, D]` -> `[B, N]`."""
        state = self.step()(self.gates(token), state)
        return state[0].astype(self.dtype), state

    def gates(self, tokens: Array) -> list[Array]:
        # Split before the loop: a step that splits takes up to twice as long on CPU in the forward pass.
        return jnp.split(self.read(tokens), PARTS[self.cell], axis=-1)

    def step(self) -> Callable[[Sequence[Array], State], State]:
        kernel = self.kernel[...].astype(self.dtype)
        if self.bias is not None:
            return partial(gru, kernel=kernel, bias=self.bias[...])
        return partial(lstm if self.cell == "lstm" else tanh, kernel=kernel)

    def zeros(self, batch: int) -> State:
        return (jnp.zeros((batch, self.units), jnp.float32),) * (2 if self.cell == "lstm" else 1)


class Bidirectional(nnx.Module):
    """In each layer half of the units read from the first token on, the other half backwards from the last one before padding.

    dropout: probability of a value of a layer's output to be zeroed in training.
    """

    def __init__(self, dim: int, *, depth: int, cell: Cell, dropout: float, dtype: DTypeLike, rngs: nnx.Rngs):
        for number in range(1, depth + 1):
            for way in ("forward", "backward"):
                setattr(self, f"{way}{number}", Recurrence(dim, dim // 2, cell=cell, dtype=dtype, rngs=rngs))
        self.depth, self.dropout, self.width = depth, dropout, dim
        self.deterministic = False  # The name that `Module.train` and `Module.eval` set.

    def __call__(self, tokens: Array, visible: Array, *, rngs: nnx.Rngs | None = None) -> tuple[Array, list[State]]:
        """`[B, T, D]` -> same, and the state of each layer after all tokens, both halves concatenated."""
        states: list[State] = []
        for number in range(1, self.depth + 1):
            onward, last = getattr(self, f"forward{number}")(tokens, visible=visible)
            back, first = getattr(self, f"backward{number}")(tokens, visible=visible, reverse=True)
            tokens = jnp.concatenate([onward, back], axis=2)
            tokens = tokens if self.deterministic else drop("dropout", tokens, self.dropout, rngs)
            states.append(tuple(jnp.concatenate(halves, axis=1) for halves in zip(last, first, strict=True)))
        return tokens, states
