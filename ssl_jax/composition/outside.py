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

from ssl_jax.composition.recipe import Recipe, recipe
from ssl_jax.errors import UsageError, pick


def is_file_recipe(word: str) -> bool:
    """Whether an argument names a recipe in a file rather than a method of the package."""
    return word.partition(":")[0].endswith(".py")


def load(location: str) -> Callable[..., Recipe]:
    """The recipe of `FILE.py:NAME`: a function that returns a `Recipe`, decorated with `recipe` or not, or a `Recipe`.

    The file is imported as `python FILE.py` would find it, its folder first on the path. The name may be left out where the
    file has one recipe.

    Raises:
      UsageError: there is no such file, or no such recipe in it.
    """
    file, _, name = location.partition(":")
    path = Path(file).expanduser().absolute()
    found = {each: value for each, value in vars(_import(path)).items() if _is_recipe(value, path)}
    if not found:
        raise UsageError(
            f"recipe: {path} has none: write a function that is annotated to return a ssl_jax.recipes.Recipe."
        )
    name = name or (next(iter(found)) if len(found) == 1 else "")
    value = found[pick(f"recipe of {path.name}", name, found)]
    if isinstance(value, Recipe):
        make = recipe(lambda: value)
    else:
        make = value if hasattr(value, "explanations") else recipe(value)

    @functools.wraps(make)
    def with_place(**named: object) -> Recipe:
        return replace(make(**named), name=f"{path.stem}/{name}", file=str(path))

    return with_place


def _is_recipe(value: object, path: Path) -> bool:
    if isinstance(value, Recipe):
        return True
    if not inspect.isfunction(value) or inspect.unwrap(value).__code__.co_filename != str(path):
        return False
    return inspect.signature(value, eval_str=True).return_annotation is Recipe


def _import(path: Path) -> ModuleType:
    """The module of a file, imported once."""
    if not path.is_file():
        raise UsageError(f"recipe: there is no file {path}: name it as FILE.py:NAME.")
    if path.suffix != ".py":
        raise UsageError(f"recipe: {path} does not end in .py: name the file of a recipe as FILE.py:NAME.")
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
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module
