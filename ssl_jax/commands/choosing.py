"""Which recipe `ssl-jax pretrain METHOD` takes for the images that it is given."""

import shlex

from ssl_jax.data.looking import photo_size
from ssl_jax.errors import UsageError
from ssl_jax.recipes import recipes
from ssl_jax.train.log import log_line


def chosen_recipe(method: str, name: str | None, *, data: str | None) -> str:
    """The name of the recipe: "photos" for photographs and "demo" otherwise, where none is given.

    Args:
      name: as it was given, None where it was not.
      data: name of the data, None for those of the recipe.

    Raises:
      UsageError: photographs are given to a demo, which is for images such as digits.

    Example:
      >>> print(chosen_recipe("simclr", None, data="digits"))
      demo
    """
    found = recipes(method)
    size = photo_size(data) if data and name in (None, "demo") else None
    if size is None:
        return name or "demo"
    images = f"colour images of about {size[0]} x {size[1]} pixels"
    if "photos" in found and name is None:
        log_line(f"{data}: {images}: recipe photos")
        return "photos"
    if "photos" in found:
        again = shlex.join(["ssl-jax", "pretrain", method, "--recipe", "photos", "--data", str(data)])
        raise UsageError(f"recipe: demo is for small images, and {data} holds {images}: use `{again}`.")
    if "imagenet" in found:
        raise UsageError(
            f"recipe: {method} has none for a collection of photographs, and {data} holds {images}: choose --recipe imagenet, "
            "or a method with a recipe photos, such as simclr, dino or mae."
        )
    return "demo"  # Methods of clips, which say themselves that they take no images.
