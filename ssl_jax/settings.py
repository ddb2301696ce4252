"""Recorded arguments of function calls, so that recipes, views and optimizers can be compared with papers."""

import functools
import inspect
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

RENAMED = {"rows": "prediction_steps"}  # Old names of options, which are accepted until the next release.

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


def current_name(name: str, names: Container[str]) -> str:
    """The current name of an option, with a line on standard error where `name` is the old name of one of `names`."""
    new = RENAMED.get(name)
    if new is None or name in names or new not in names:
        return name
    _mention(name, new)
    return new


@functools.cache
def _mention(name: str, new: str) -> None:
    """Says it once in a process, although an option may be looked up several times."""
    print(f"{name} is now called {new}: the old name is accepted until the next release", file=sys.stderr)


def settings_of(function: Callable[..., Any], *given: Any, **named: Any) -> dict[str, Any]:
    """The arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*given, **named)
    bound.apply_defaults()
    return dict(bound.arguments)


@dataclass(frozen=True, eq=False)
class Configured:
    """A function with the name and the arguments of its maker: `photo_views(size=32, ...).settings["blur"]` is 0.5."""

    function: Callable[..., Any]
    name: str
    settings: dict[str, Any]

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.function(*given, **named)


def configured(make: Callable[P, F]) -> Callable[P, F]:
    """Decorates a function that returns functions: each returned function becomes `Configured`."""

    @functools.wraps(make)
    def made(*given: P.args, **named: P.kwargs) -> F:
        settings = settings_of(make, *given, **named)
        return cast(F, Configured(make(*given, **named), make.__name__, settings))

    return made
