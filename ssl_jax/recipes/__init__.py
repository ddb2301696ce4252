"""Recipes: the settings of each paper, one function per method and scale. The command line finds them by name with `find`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from ssl_jax import methods as folder
from ssl_jax.composition.explanations import explained
from ssl_jax.composition.outside import is_file_recipe, load
from ssl_jax.composition.recipe import Recipe
from ssl_jax.errors import pick
from ssl_jax.recipes.imported import encoder

IMPORTED = "imported"  # Not a method: the recipe of weights from a file, which `ssl-jax import` makes a run of.


def methods() -> list[str]:
    """Names of the methods that have recipes: modules of this folder with the name of a module of `ssl_jax.methods`."""
    with_recipes, with_methods = (
        {module.name for module in pkgutil.iter_modules(path)} for path in (__path__, folder.__path__)
    )
    return sorted(with_recipes & with_methods)


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
    """The function that makes the recipe; a `UsageError` suggests the most similar method or recipe."""
    if (method, recipe) == (IMPORTED, encoder.__name__):
        return encoder
    found = recipes(method)
    return found[pick(f"recipe of {method}", recipe, found)]


__all__ = ["IMPORTED", "Recipe", "explained", "find", "is_file_recipe", "load", "methods", "recipes"]
