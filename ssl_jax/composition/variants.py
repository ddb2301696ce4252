"""Recipes that differ from a method's demo in their defaults alone."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ssl_jax.composition.images import EMOJI
from ssl_jax.composition.recipe import Recipe, recorded
from ssl_jax.composition.training import Laptop


def variant(make: Callable[..., Recipe], *, name: str, about: str, **defaults: Any) -> Callable[..., Recipe]:
    """The recipe `make` with other defaults, of options or of whole groups, under another name.

    about: replaces the first paragraph of its docstring.
    """
    body, of_method, explanations = make.parts  # type: ignore[attr-defined]
    parameters = [*of_method, *inspect.signature(body, eval_str=True).parameters.values()]
    unknown = sorted(set(defaults) - {each.name for each in parameters})
    if unknown:
        raise TypeError(f"{make.__module__}.{make.__name__} has neither an option nor a group called {unknown[0]}.")
    changed = [each.replace(default=defaults.get(each.name, each.default)) for each in parameters]

    @functools.wraps(body)
    def renamed(**named: Any) -> Recipe:
        made: Recipe = body(**named)
        return made

    renamed.__name__ = name
    renamed.__doc__ = "\n\n".join([about, *inspect.cleandoc(body.__doc__ or "").split("\n\n")[1:]])
    renamed.__signature__ = inspect.Signature(changed[len(of_method) :])  # type: ignore[attr-defined]
    return recorded(renamed, changed[: len(of_method)], explanations)


def on_emoji(demo: Callable[..., Recipe], **defaults: Any) -> Callable[..., Recipe]:
    """A method's demo on emoji, with the views that suit them; `defaults` are further ones."""
    about = "Minutes on a laptop, AdamW, on emoji in colour, which `ssl-jax data prepare emoji` prepares."
    return variant(demo, name="emoji", about=about, images=EMOJI, training=Laptop(epochs=10), **defaults)
