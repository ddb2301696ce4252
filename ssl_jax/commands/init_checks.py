"""What `ssl-jax pretrain --init` names, checked before the data are opened and the networks made: by names and shapes."""

import contextlib
import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl_jax.commands.importing import LARGEST, encoder_in, network_of
from ssl_jax.errors import UsageError
from ssl_jax.interop import check_located, outlines_in
from ssl_jax.networks import ENCODERS
from ssl_jax.prepare import MakeRecipe
from ssl_jax.runs import CHECKPOINTS, default_folder, read_record, read_request
from ssl_jax.sizes import ImageSize, size_of


def check_init(path: Path, make: MakeRecipe, *, run: Path | None) -> None:
    """Refuses what cannot be the first weights of a recipe that is not made yet; `starting_from` checks the rest.

    A file has to hold an encoder of the recipe's name, whole, and a run a checkpoint of one. A run that is resumed has weights
    of its own, and does not need them.

    Raises:
      UsageError: no run and no file of weights, or one of another encoder.
    """
    arguments: dict[str, Any] = {}
    folder = run
    if isinstance(make, functools.partial):
        parameters = inspect.signature(make.func).parameters
        arguments = {name: each.default for name, each in parameters.items()} | make.keywords
        folder = run or default_folder(make.func.recipe_name)  # type: ignore[attr-defined]
    if folder and recorded_init(path, folder):
        return
    with naming_init():
        if not path.exists():
            raise UsageError(
                f"init: there is no {path}: name the folder of a run, or a safetensors file of an encoder, see docs/weights.md."
            )
        check = _check_run if is_run(path) else _check_file
        check(path, arguments)


def is_run(path: Path) -> bool:
    """Whether a path names a run, by its folder or its run.json; else it names a file."""
    return path.suffix in ("", ".json") or path.is_dir()


def recorded_init(path: Path, run: Path) -> dict[str, Any] | None:
    """What the run.json of a run that has checkpoints says about its first weights, if they came from this path."""
    about = (read_record(run) or {}).get("init")
    return about if _began(run) and isinstance(about, dict) and about.get("path") == str(path.absolute()) else None


@contextlib.contextmanager
def naming_init() -> Iterator[None]:
    """Sentences about a file or a run begin with the option that names it."""
    try:
        yield
    except UsageError as fault:
        raise UsageError(re.sub("^(file|run|image_size): ", "init: ", str(fault))) from fault


def _began(run: Path) -> bool:
    return any(each.name.isdigit() for each in (run / CHECKPOINTS).glob("*"))


def _check_run(path: Path, arguments: Mapping[str, Any]) -> None:
    theirs, ours = (str(each.get("encoder")) for each in (read_request(path)["arguments"], arguments))
    if not _began(path if path.is_dir() else path.parent):
        raise UsageError(f"init: {path} holds no checkpoint yet: run its command until it writes the first one.")
    if {theirs, ours} <= ENCODERS.keys() and ENCODERS[theirs].make is not ENCODERS[ours].make:
        raise UsageError(
            f"init: the encoder of {path} is {theirs}, but that of the recipe {ours}: choose --encoder {theirs}, or another "
            "run."
        )


def _check_file(path: Path, arguments: Mapping[str, Any]) -> None:
    outlines, name = outlines_in(path, at_most=LARGEST), arguments.get("encoder")
    if isinstance(name, str):
        located, sizes = encoder_in(path, name, arrays=outlines, image_size=_image_size(arguments))
        check_located(path, located, network_of(name, sizes))


def _image_size(arguments: Mapping[str, Any]) -> ImageSize | None:
    """None where a recipe has none, or one that it refuses."""
    given = arguments.get("image_size")
    sides = given if isinstance(given, list | tuple) else (given, given)  # run.json has lists.
    whole = len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides)
    return size_of(*sides) if whole else None
