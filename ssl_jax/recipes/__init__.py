"""What each paper used, one function per method and scale; `find` is how the command line reaches them by name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from ssl_jax.errors import pick
from ssl_jax.recipes.recipe import Recipe
from ssl_jax.recipes.scales import COMMON_OPTIONS


def methods() -> list[str]:
    """Names of the methods that have recipes: the modules of this folder that define one."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in names if name not in ("recipe", "scales")]


def recipes(method: str) -> dict[str, Callable[..., Recipe]]:
    """The recipes of a method, by name: the functions of its module that return a `Recipe`."""
    module = importlib.import_module(f"{__name__}.{pick('method', method, methods())}")
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if function.__module__ == module.__name__ and inspect.signature(function).return_annotation is Recipe
    }


def find(method: str, recipe: str) -> Callable[..., Recipe]:
    """The function that makes the recipe; a `UsageError` names the nearest right method or recipe."""
    found = recipes(method)
    return found[pick(f"recipe of {method}", recipe, found)]


def explained(make: Callable[..., Recipe]) -> str:
    """The docstring of a recipe, with the common options explained that it leaves out."""
    text = inspect.getdoc(make) or ""
    left_out = [name for name in inspect.signature(make).parameters if f"\n  {name}: " not in text]
    lines = [f"  {name}: {COMMON_OPTIONS[name]}" for name in left_out]
    return "\n".join([text if "\nArgs:\n" in text else f"{text}\n\nArgs:", *lines])


__all__ = ["Recipe", "explained", "find", "methods", "recipes"]
