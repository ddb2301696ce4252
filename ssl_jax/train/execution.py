"""How a training step is executed: what trades time, memory and communication, and what is done about NaN."""

from dataclasses import dataclass

from ssl_jax.ops.comparison import BY_SIZE, Comparison

# Options of a run that its `Comparison` is made of, and its names for them.
COMPARISON = {"keys": "keys", "block_size": "block_size", "loss_precision": "precision"}


@dataclass(frozen=True)
class Execution:
    """Execution of a step on the devices of a mesh.

    shard_parameters: shard parameters and optimizer moments over the devices (FSDP) instead of replicating them.
    comparison: how the objective compares rows, of one device or several.
    microbatches: m, divides the batch. With m > 1 the encoder runs twice, on a part of the batch at a time; the loss is that
      of the whole batch, but batch norms use the statistics of a part.
    rematerialize: keep only products and convolutions for the gradient, and recompute norms and other element-wise
      operations.
    skip_nonfinite: the number of steps whose loss or gradient may be infinite or NaN: such a step leaves parameters, state and
      optimizer as they are. 0 stops the run at the first one. The compiled program with it rounds otherwise than that without.
    debug_nans: search the operation that gives NaN first. A step takes longer, and the memory of two states.
    """

    shard_parameters: bool = False
    comparison: Comparison = BY_SIZE
    microbatches: int = 1
    rematerialize: bool = False
    skip_nonfinite: int = 0
    debug_nans: bool = False


PLAIN = Execution()
