"""What functions on arrays say about their arguments, in one sentence."""

import jax
from jax import Array


def check_positive(function: str, **numbers: float | Array | None) -> None:
    """A ValueError about the first of the named numbers that is not above 0; traced ones, and None, are taken on trust."""
    for name, number in numbers.items():
        if number is not None and not isinstance(number, jax.core.Tracer) and not number > 0:
            raise ValueError(f"{function}: {name} must be above 0, got {number}")
