"""Recipes from outside the package: `FILE.py:NAME` on the command line, and in the run.json of their runs."""

import functools
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ssl_jax.composition.recipe import Recipe, recipe
from ssl_jax.errors import UsageError, own_place, pick, reason_of
from ssl_jax.files import checksum_of


def is_file_recipe(word: str) -> bool:
    """Whether an argument names a recipe in a file rather than a method of the package."""
    return word.partition(":")[0].endswith(".py")


def load(location: str) -> Callable[..., Recipe]:
    """The recipe of `FILE.py:NAME`: a function that returns a `Recipe`, decorated with `recipe` or not, or a `Recipe`.

    The file is imported as `python FILE.py` would find it, its folder first on the path. The name may be left out where the
    file has one recipe.

    Raises:
      UsageError: there is no such file, its code raises an error, or there is no such recipe in it.
    """
    file, _, name = location.partition(":")
    path = Path(file).expanduser().absolute()
    _check_file(path)
    checksum = checksum_of(path)
    module = _import(path)
    found = {each: value for each, value in vars(module).items() if _is_recipe(value, module)}
    if name and name not in found and name in vars(module):
        raise UsageError(_no_recipe(name, vars(module)[name], path))
    if not found:
        raise UsageError(
            f"recipe: {path} has none: write a function that is annotated to return a ssl_jax.recipes.Recipe."
        )
    name = name or (next(iter(found)) if len(found) == 1 else "")
    make = _decorated(found[pick(f"recipe of {path.name}", name, found)], path)

    @functools.wraps(make)
    def with_place(**named: object) -> Recipe:
        return replace(make(**named), name=with_place.recipe_name, file=str(path), file_checksum=checksum)  # type: ignore[attr-defined]

    with_place.recipe_name = f"{path.stem}/{name}"  # type: ignore[attr-defined]
    return with_place


def _decorated(value: Any, path: Path) -> Callable[..., Recipe]:
    if isinstance(value, Recipe):
        return recipe(lambda: value)
    if hasattr(value, "parts"):
        return value
    try:
        return recipe(value)
    except Exception as fault:
        raise _mistake(f"{path}, line {value.__code__.co_firstlineno}", fault) from fault


def _is_recipe(value: object, module: ModuleType) -> bool:
    """Whether the value is a recipe that this file makes, rather than one that it imports."""
    if isinstance(value, Recipe):
        return True
    if not inspect.isfunction(value):
        return False
    home = sys.modules.get(value.__module__)
    if home is not module and getattr(home, value.__name__, None) is value:
        return False
    returned = value.__annotations__.get("return")  # A string, where annotations are not evaluated.
    return (
        hasattr(value, "parts")
        or returned is Recipe
        or (isinstance(returned, str) and returned.split(".")[-1] == "Recipe")
    )


def _no_recipe(name: str, value: object, path: Path) -> str:
    """Why a name of a file is no recipe, as a sentence."""
    if inspect.isfunction(value) and value.__module__ == path.stem:
        return (
            f"recipe: {name} of {path}, line {value.__code__.co_firstlineno}, is not annotated to return a Recipe: write "
            f"`def {name}(...) -> Recipe:`."
        )
    return (
        f"recipe: {name} of {path} is of type {type(value).__name__}, or imported, expected a function of this file that "
        "returns a Recipe: ssl_jax.composition.variant makes one of another recipe."
    )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"recipe: there is no file {path}: name it as FILE.py:NAME.")
    if path.suffix != ".py":
        raise UsageError(f"recipe: {path} does not end in .py: name the file of a recipe as FILE.py:NAME.")


def _import(path: Path) -> ModuleType:
    """The module of a file, imported once."""
    module = sys.modules.get(path.stem)
    if module is not None:
        if not os.path.isfile(module.__file__ or "") or not os.path.samefile(module.__file__ or "", path):
            raise UsageError(f"recipe: {path.name} has the name of a module of Python that is in use: rename the file.")
        return module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as fault:
        del sys.modules[path.stem]
        if isinstance(fault, KeyboardInterrupt):
            raise
        raise _mistake(own_place(fault) or str(path), fault) from fault
    return module


def _mistake(place: str, fault: BaseException) -> UsageError:
    """The sentence about an error in a file, without the traceback, which is that of the package and of Python's import."""
    if isinstance(fault, UsageError):
        return UsageError(f"recipe: {place}: {fault}")
    if isinstance(fault, SystemExit):
        return UsageError(
            f'recipe: {place}: it ends the program when it is imported: move this below `if __name__ == "__main__":`.'
        )
    return UsageError(f"recipe: {place}: {type(fault).__name__}: {reason_of(fault)}.")
