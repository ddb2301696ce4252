"""What each paper used, one function per method and scale; `find` is how the command line reaches them by name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from ssl_jax import methods as folder
from ssl_jax.errors import pick
from ssl_jax.recipes.explanations import explained
from ssl_jax.recipes.outside import is_place, load
from ssl_jax.recipes.recipe import Recipe


def methods() -> list[str]:
    """Names of the methods that have recipes: the modules of this folder that are named as one of `ssl_jax.methods`."""
    here, there = ({module.name for module in pkgutil.iter_modules(path)} for path in (__path__, folder.__path__))
    return sorted(here & there)


def recipes(method: str) -> dict[str, Callable[..., Recipe]]:
    """The recipes of a method, by name: the public functions of its module that return a `Recipe`."""
    module = importlib.import_module(f"{__name__}.{pick('method', method, methods())}")
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if function.__module__ == module.__name__
        and name[0] != "_"
        and inspect.signature(function).return_annotation is Recipe
    }


def find(method: str, recipe: str) -> Callable[..., Recipe]:
    """The function that makes the recipe; a `UsageError` names the nearest right method or recipe."""
    found = recipes(method)
    return found[pick(f"recipe of {method}", recipe, found)]


__all__ = ["Recipe", "explained", "find", "is_place", "load", "methods", "recipes"]
