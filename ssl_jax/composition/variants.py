"""Recipes that differ from a method's demo in their defaults alone."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from ssl_jax.composition.definition import is_group
from ssl_jax.composition.images import EMOJI, PHOTOS, Images
from ssl_jax.composition.recipe import Recipe, recorded
from ssl_jax.composition.training import Album, Laptop
from ssl_jax.errors import UsageError

ALBUM, VIT_ALBUM = Album(), Album(learning_rate=5e-4, weight_decay=0.05)


def variant(
    make: Callable[..., Recipe],
    *,
    name: str | None = None,
    about: str | None = None,
    adapt: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    **defaults: Any,
) -> Callable[..., Recipe]:
    """The recipe `make` with other defaults, under another name.

    Args:
      make: a recipe's function, of the package or decorated with `recipe`.
      name: that of the new recipe; as `make` when not given. In a file, a recipe has the name that the file gives it.
      about: replaces the first paragraph of its docstring, where given.
      adapt: groups and options, as they were given, to those that `make` takes.
      defaults: by the name of an option, of a whole group (`images`, `training`), or of a field of a group that is no option,
        such as `view` of `Images`.

    Raises:
      UsageError: `make` is no recipe, it has nothing of this name, or a default does not fit.

    Example:
      >>> mine = variant(simclr.demo, data="synthetic", image_size=14, temperature=0.2)
      >>> print(mine().method.temperature)
      0.2
    """
    if not hasattr(make, "parts"):
        raise UsageError(f"variant: got {make!r}, expected a recipe, such as simclr.demo, or a function with @recipe.")
    body, of_method, explanations, method = make.parts
    parameters = [*of_method, *inspect.signature(body, eval_str=True).parameters.values()]
    before = {each.name: each.default for each in parameters if each.kind is not each.VAR_KEYWORD}
    after = _with_fields(before | {name: defaults.pop(name) for name in before if name in defaults}, defaults)
    if defaults:
        known = [*before, *(field.name for group in before.values() if is_group(group) for field in fields(group))]
        raise UsageError(
            f"variant: {make.__name__} has neither an option nor a group called {next(iter(defaults))}, expected some of "
            f"{', '.join(known)}."
        )
    changed = [each.replace(default=after.get(each.name, each.default)) for each in parameters]

    @functools.wraps(body)
    def renamed(**named: Any) -> Recipe:
        made: Recipe = body(**adapt(named))
        return made

    renamed.__name__ = name or body.__name__
    first, *rest = inspect.cleandoc(body.__doc__ or "").split("\n\n")
    renamed.__doc__ = "\n\n".join([about or first, *rest])
    renamed.__signature__ = inspect.Signature(changed[len(of_method) :])  # type: ignore[attr-defined]
    return recorded(renamed, changed[: len(of_method)], explanations, method=method)


def _with_fields(groups: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The groups with these values of their fields, which are taken out of `values`."""
    changed = dict(groups)
    for name, group in groups.items():
        own = [field.name for field in fields(group) if field.name in values] if is_group(group) else []
        if own:
            changed[name] = replace(group, **{field: values.pop(field) for field in own})
    return changed


def on_emoji(demo: Callable[..., Recipe], **defaults: Any) -> Callable[..., Recipe]:
    """A method's demo on emoji, with the views that suit them; `defaults` are further ones.

    Example:
      >>> emoji = on_emoji(simclr.demo)
      >>> print(emoji.__name__)
      emoji
    """
    about = "Minutes on a laptop, AdamW, on emoji in colour, which `ssl-jax data prepare emoji` prepares."
    return variant(demo, name="emoji", about=about, images=EMOJI, training=Laptop(epochs=10), **defaults)


def on_photos(
    demo: Callable[..., Recipe], *, images: Images = PHOTOS, training: Album = ALBUM, **defaults: Any
) -> Callable[..., Recipe]:
    """A method's demo on photographs of one's own, in batches and for a length that suit their number.

    Example:
      >>> photos = on_photos(simclr.demo, temperature=0.2)
      >>> print(photos.__name__)
      photos
    """
    about = f"Photographs of your own in colour: {images.image_size} pixels, {images.encoder}, AdamW, 2,000 steps."
    return variant(demo, name="photos", about=about, adapt=_fitted, images=images, training=training, **defaults)


def _fitted(named: dict[str, Any]) -> dict[str, Any]:
    """The data opened, and a schedule for their number."""
    images, training = named["images"], named["training"]
    data = images.read()
    return named | {"images": replace(images, data=data), "training": training.fitted(len(data.train))}
