"""A recipe as it runs on other devices and on data that are not there: what a plan assumes."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ssl_jax.data import NAMES
from ssl_jax.data.datasets import EMOJI, folder_of
from ssl_jax.data.drawn.clips import SILENT, SOUNDING
from ssl_jax.data.outline import SIZES, outline
from ssl_jax.errors import UsageError
from ssl_jax.recipes import Recipe
from ssl_jax.settings import settings_of
from ssl_jax.sizes import with_shorter


class Setting(NamedTuple):
    """A recipe's function with all arguments, and sentences about those that were assumed."""

    make: functools.partial[Recipe]
    assumed: tuple[str, ...]


def assume(
    make: Callable[..., Recipe], given: dict[str, Any], *, accelerator: bool, examples: int | None = None
) -> Setting:
    """The recipe's function with these arguments, an outline in place of data that would have to be there, and the precision of
    the devices where it is "auto".

    Args:
      accelerator: whether the step is for one; bfloat16 is then what "auto" means in a run.
      examples: number of training examples, in place of the known one.

    Raises:
      UsageError: the number of examples is neither known nor given.
    """
    settings, assumed = settings_of(make, **given), []
    if accelerator and settings.get("precision") == "auto":
        given = {**given, "precision": "bfloat16"}
        assumed.append("activations are bfloat16, as in a run on an accelerator (--precision)")
    name, size, stored = (settings.get(option) for option in ("data", "image_size", "stored_size"))
    size = with_shorter(size, stored) if size and stored else size
    if isinstance(name, str) and size and (examples is not None or not is_at_hand(name)):
        data = outline(_base(name, examples), size=size, examples=examples)
        if data is None:
            raise UsageError(
                f"examples: the number of training examples of {name} is not known: give --examples N. "
                f"Known are {', '.join(SIZES)}."
            )
        given = {**given, "data": data}
        assumed.append(f"{data.name} has {len(data.train):,} training examples, which are not read (--examples)")
    return Setting(functools.partial(make, **given), tuple(assumed))


def is_at_hand(name: str) -> bool:
    """Whether the data come with the package or are a folder: a plan opens them."""
    own = re.split("[:,]", name)[0]
    return (own in NAMES and own != EMOJI) or folder_of(name) is not None


def _base(name: str, examples: int | None) -> str:
    """The name without version, split and keys; of a part of a data set, the number of examples has to be given."""
    if examples is None and "[" in name:
        raise UsageError(
            f"examples: the number of training examples of {name}, a part, is not known: give --examples N."
        )
    base = re.split("[:,]", name)[0]
    return "kinetics" if base in (SOUNDING, SILENT) else base
