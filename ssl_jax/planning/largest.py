"""The largest batch whose step fits into the devices."""

from collections.abc import Callable
from dataclasses import dataclass

from ssl_jax.planning.step import CompiledStep

ROUNDS = 2  # Compilations at most after the estimate, each for a batch that the ones before it predict to fit.


@dataclass(frozen=True)
class Largest:
    """batch_size: None where not even the smallest one fits. how: by what it was found. needed: bytes a device, predicted or
    compiled. verified: whether the step with this batch was compiled."""

    batch_size: int | None
    how: str
    needed: float | None = None
    verified: bool = False


def largest_batch(
    compile_at: Callable[[int], CompiledStep], first: CompiledStep, *, limit: float, unit: int, most: int, verify: bool
) -> Largest | None:
    """The largest batch, by a line through the memory of two compiled steps, and where `verify` by compiling it.

    The line holds as long as the compiler makes the same program: near the limit XLA recomputes instead of storing, and a
    larger batch may fit.

    Args:
      compile_at: compiles the step for a batch.
      first: a compiled step, or a refused one whose need is known.
      limit: bytes of a device.
      unit: the batch is a multiple of it, devices times microbatches.
      most: largest batch, the number of examples.
      verify: compile the step for the batch found, and a smaller one where it does not fit.

    Returns:
      None where a line cannot be drawn: the compiler did not say what it needs, or memory does not grow with the batch.
    """
    second = compile_at(_other(first.batch_size, unit))
    points = [step for step in (first, second) if step.needed is not None]
    found = _on_line(points, limit=limit, unit=unit, most=most)
    if found is None or not verify or found.batch_size is None:
        return found
    for _ in range(ROUNDS):
        assert found.batch_size is not None
        step = next((each for each in points if each.batch_size == found.batch_size), None) or compile_at(
            found.batch_size
        )
        if step.refused is None and step.needed is not None and step.needed <= limit:
            return Largest(step.batch_size, f"{found.how}, compiled", step.needed, verified=True)
        if step.needed is None or step.batch_size <= unit:
            return Largest(None, "does not fit when compiled")
        points = [min(points, key=lambda each: each.batch_size), step]
        below = _on_line(points, limit=limit, unit=unit, most=step.batch_size - unit)
        if below is None or below.batch_size is None:
            return below
        found = below
    return found


def _other(batch_size: int, unit: int) -> int:
    """Half of the batch in whole units, or two units where it is one."""
    return max(unit, batch_size // unit // 2 * unit) if batch_size > unit else 2 * unit


def _on_line(points: list[CompiledStep], *, limit: float, unit: int, most: int) -> Largest | None:
    if len(points) < 2:
        return None
    (small, low), (large, high) = sorted((step.batch_size, step.needed or 0.0) for step in points)
    slope = (high - low) / (large - small) if large > small else 0.0
    if slope <= 0:
        return None
    batch = min(int((limit - low) / slope + small), most) // unit * unit
    how = f"by a line through the memory of batches of {small:,} and {large:,}"
    return Largest(batch, how, low + slope * (batch - small)) if batch >= unit else Largest(None, how)
