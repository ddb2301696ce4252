"""The trainer: one jitted step over a mesh, checkpoints, logs."""

from ssl_jax.train.execution import Execution
from ssl_jax.train.loop import fit

__all__ = ["Execution", "fit"]
