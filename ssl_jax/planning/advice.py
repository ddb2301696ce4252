"""What to change where a step does not fit into the devices: options of `ssl-jax pretrain`, the one that gains most first."""

from typing import Any

from ssl_jax.planning.step import CompiledStep
from ssl_jax.train.execution import Execution

SHARE = 0.3  # Of the memory: state above it is worth sharding.


def advice(step: CompiledStep, execution: Execution, arguments: dict[str, Any], *, limit: float) -> list[str]:
    """Sentences, none where the step fits.

    Args:
      step: the step, compiled or refused.
      execution: how it is executed.
      arguments: the recipe's.
      limit: bytes of a device.
    """
    if step.refused is None and (step.needed is None or step.needed <= limit):
        return []
    given = []
    state = step.memory.arguments if step.memory else None
    if not execution.shard_parameters and (state is None or state > SHARE * limit):
        given.append("--shard-parameters (FSDP): parameters, moments and teachers take 1/n on each of n devices")
    parts = _microbatches(step, execution, limit=limit)
    if parts:
        given.append(
            f"--microbatches {parts}: activations of one part at a time, a second pass of the encoder; batch norms use the "
            "statistics of a part"
        )
    if not execution.rematerialize:
        given.append("--rematerialize: keep products and convolutions only, and recompute the rest")
    if arguments.get("precision") == "float32":
        given.append("--precision bfloat16: half of the activations' bytes")
    if execution.comparison.keys == "gather":
        given.append("--keys ring: keys of other devices pass from device to device instead of being copied to each")
    return [*given, "more chips, a chip with more memory, or a smaller --batch-size"]


def _microbatches(step: CompiledStep, execution: Execution, *, limit: float) -> int | None:
    """The fewest parts, a power of two times those there are, whose activations would fit if they took all of the need."""
    share, parts = step.batch_size // step.devices // execution.microbatches, execution.microbatches
    need = step.needed or 2 * limit
    while need > limit and share % 2 == 0:
        need, share, parts = need / 2, share // 2, parts * 2
    return parts if parts > execution.microbatches else None
