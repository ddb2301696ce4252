"""Recipes that differ from a method's demo in their defaults alone."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ssl_jax.composition.images import EMOJI, PHOTOS, Images
from ssl_jax.composition.recipe import Recipe, recorded
from ssl_jax.composition.training import Album, Laptop

ALBUM, VIT_ALBUM = Album(), Album(learning_rate=5e-4, weight_decay=0.05)


def variant(
    make: Callable[..., Recipe],
    *,
    name: str,
    about: str,
    adapt: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    **defaults: Any,
) -> Callable[..., Recipe]:
    """The recipe `make` with other defaults, of options or of whole groups, under another name.

    about: replaces the first paragraph of its docstring.
    adapt: groups and options, as they were given, to those that `make` takes.
    """
    body, of_method, explanations = make.parts  # type: ignore[attr-defined]
    parameters = [*of_method, *inspect.signature(body, eval_str=True).parameters.values()]
    unknown = sorted(set(defaults) - {each.name for each in parameters})
    if unknown:
        raise TypeError(f"{make.__module__}.{make.__name__} has neither an option nor a group called {unknown[0]}.")
    changed = [each.replace(default=defaults.get(each.name, each.default)) for each in parameters]

    @functools.wraps(body)
    def renamed(**named: Any) -> Recipe:
        made: Recipe = body(**adapt(named))
        return made

    renamed.__name__ = name
    renamed.__doc__ = "\n\n".join([about, *inspect.cleandoc(body.__doc__ or "").split("\n\n")[1:]])
    renamed.__signature__ = inspect.Signature(changed[len(of_method) :])  # type: ignore[attr-defined]
    return recorded(renamed, changed[: len(of_method)], explanations)


def on_emoji(demo: Callable[..., Recipe], **defaults: Any) -> Callable[..., Recipe]:
    """A method's demo on emoji, with the views that suit them; `defaults` are further ones."""
    about = "Minutes on a laptop, AdamW, on emoji in colour, which `ssl-jax data prepare emoji` prepares."
    return variant(demo, name="emoji", about=about, images=EMOJI, training=Laptop(epochs=10), **defaults)


def on_photos(
    demo: Callable[..., Recipe], *, images: Images = PHOTOS, training: Album = ALBUM, **defaults: Any
) -> Callable[..., Recipe]:
    """A method's demo on photographs of one's own, in batches and for a length that suit their number."""
    about = f"Photographs of your own in colour: {images.image_size} pixels, {images.encoder}, AdamW, 2,000 steps."
    return variant(demo, name="photos", about=about, adapt=_fitted, images=images, training=training, **defaults)


def _fitted(named: dict[str, Any]) -> dict[str, Any]:
    """The data opened, and a schedule for their number."""
    images, training = named["images"], named["training"]
    data = images.read()
    return named | {"images": replace(images, data=data), "training": training.fitted(len(data.train))}
