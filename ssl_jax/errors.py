"""The two ways a run ends early in one sentence instead of a traceback. Below every floor: imports nothing of ours."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """What was asked for cannot be done: names the argument, what came, what was expected, what to do. Exit code 2."""


class RunError(RuntimeError):
    """The request was sound but the run cannot go on (NaN loss, damaged files, full disk). Exit code 1."""


def pick(what: str, name: str, options: Iterable[str]) -> str:
    """`name` if it is one of `options`, else a `UsageError` that names the nearest right one."""
    options = sorted(options)
    if name in options:
        return name
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(options)}."
    raise UsageError(f"unknown {what} {name!r}: {hint}")


def above_zero(**values: float) -> None:
    """A `UsageError` about the first of the named values that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name}: got {value}, expected a number above 0.")
