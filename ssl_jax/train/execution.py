"""How a training step is executed: what trades time, memory and communication, and changes nothing that is learned."""

from dataclasses import dataclass

from ssl_jax.ops.exchange import BY_SIZE, Exchange


@dataclass(frozen=True)
class Execution:
    """Execution of a step on the devices of a mesh.

    shard_parameters: shard parameters and optimizer moments over the devices (FSDP) instead of replicating them.
    exchange: how the objective compares rows of several devices.
    microbatches: m, divides the batch. With m > 1 the encoder runs twice, on a part of the batch at a time; the loss is that
      of the whole batch, but batch norms use the statistics of a part.
    rematerialize: keep only products and convolutions for the gradient, and recompute norms and other element-wise
      operations.
    """

    shard_parameters: bool = False
    exchange: Exchange = BY_SIZE
    microbatches: int = 1
    rematerialize: bool = False


PLAIN = Execution()
