"""What the commands on a finished run begin with: its recipe, its state, and the data to judge it on."""

import functools
import inspect
import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from ssl_jax.composition.definition import GIVEN
from ssl_jax.composition.recipe import GIVEN_MARK, absolute, in_words
from ssl_jax.data import Data, Source, open_data, open_parts
from ssl_jax.errors import RunError, UsageError, usage_errors
from ssl_jax.evaluate.features import feature_extractor, layer_extractor
from ssl_jax.files import checksum_of, printable
from ssl_jax.prepare import check_extractor, chosen_arguments
from ssl_jax.recipes import Recipe, find, load, methods
from ssl_jax.runs import CHECKPOINTS, read_request
from ssl_jax.runs.circumstances import changed_file
from ssl_jax.settings import current_name
from ssl_jax.sizes import size_of
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.compilation import keep_programs
from ssl_jax.train.log import log_line
from ssl_jax.train.mesh import make_mesh, replicated
from ssl_jax.train.state import TrainState, init_state

# Options that recipes did not always have, with the value by which runs without them were trained.
BEFORE = {"norm_groups": 1}


def restore(run: Path, step: int | None) -> tuple[dict[str, Any], Recipe, TrainState, Mesh]:
    """The request of a run, its recipe, and its state at the checkpoint of `step`, the last one when None."""
    keep_programs()
    request = read_request(run)
    run = run if run.is_dir() else run.parent  # `read_request` takes a run.json, too.
    make = make_again(request)
    with Checkpoints(run / CHECKPOINTS) as checkpoints:
        checkpoints.check_step(step)  # Before the data are opened.
        with usage_errors(chosen_arguments(make)):
            recipe = make()
        like = jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(recipe.steps).transformation, seed=0))
        mesh = make_mesh()
        like = jax.tree.map(lambda leaf: leaf.update(sharding=replicated(mesh)), like)
        restored = checkpoints.restore(like, step=step)
    if restored is None:
        raise RunError(f"run: {run} holds no checkpoint yet: run `ssl-jax pretrain` until it writes the first one.")
    return request, recipe, restored[0], mesh


def make_again(request: dict[str, Any]) -> functools.partial[Recipe]:
    """The recipe of a `run.json`, not yet made; a `UsageError` where it is one of another version.

    A recipe from outside the package is a program, which is run: a line on standard error names it.
    """
    file = request.get("file")
    if file:
        _announce(request)
    try:
        make = load(f"{file}:{request['recipe']}") if file else find(request["method"], request["recipe"])
    except UsageError as fault:
        if file or request["method"] in methods():
            raise
        raise UsageError(
            f"run: its recipe {request['method']}/{request['recipe']} is not the package's ({fault}): where it is a "
            "file's, make it by ssl_jax.recipes.load('FILE.py:NAME'), see docs/extend.md."
        ) from None
    options = inspect.signature(make).parameters
    arguments = {current_name(name, options): value for name, value in request["arguments"].items()}
    arguments = {name: value for name, value in arguments.items() if not _is_object_of_file(name, value, options)}
    given = [name for name, value in arguments.items() if str(value).startswith(GIVEN_MARK)]
    if given:
        raise UsageError(
            f"run: its {' and '.join(given)} came from Python and cannot be read from run.json: repeat the program "
            "that made it, or write a recipe in a file, see docs/extend.md."
        )
    unknown = sorted(arguments.keys() - options.keys())
    if unknown:
        source = f"{file} as it was when the run was started" if file else "the version of ssl_jax that it names"
        raise UsageError(
            f"run: its run.json has {', '.join(unknown)}, which {request['method']}/{request['recipe']} does not take: use "
            f"{source}."
        )
    return functools.partial(make, **arguments)


def _is_object_of_file(name: str, value: Any, options: Mapping[str, inspect.Parameter]) -> bool:
    """Whether an argument of a `run.json` names an object, images or a network, that the recipe has as its default."""
    default = options[name].default if name in options else None
    return isinstance(default, GIVEN.get(name, ())) and in_words(name, default) == value


def _announce(request: dict[str, Any]) -> None:
    """Names the program that a `run.json` has run, and says whether it has changed since.

    Refuses a path that would find another file in another folder or home:
    pretrain records absolute paths: only by hand is one made that leads into whatever folder the run was copied to.
    """
    file = request["file"]
    if not os.path.isabs(file):
        raise UsageError(
            f"run: its run.json names the recipe file {file!r}, expected an absolute path: repeat its command instead."
        )
    now = checksum_of(file) if os.path.isfile(file) else None
    changed = ", which has changed since the run was started" if changed_file(request, now) else ""
    log_line(f"running {printable(file)}, the recipe that run.json names{changed}")


def as_recorded_today(names: Container[str], arguments: dict[str, Any]) -> dict[str, Any]:
    """Older runs recorded relative paths, options under older names, and none that recipes did not have."""
    newer = {name: value for name, value in BEFORE.items() if name in names}
    return newer | absolute({current_name(name, names): value for name, value in arguments.items()})


def open_for(
    data: str | None, recipe: Recipe, state: TrainState, *, layer: str, layers: Sequence[str] | None = None
) -> Data:
    """The run's own data, or others of the same kind, with the size and the channels that the run's encoder takes.

    layers: as in `layer_extractor`, where layers are evaluated.
    """
    own = recipe.data
    with usage_errors({"data": data or own.name, "layer": layer}):
        # Before other data are opened: a layer may be mistyped.
        _check_layers(recipe, state, own.train, layer=layer, layers=layers)
        if data is None:
            return own
        opened = open_data(data, **_form(own.train))
        _check_kind(data, opened.train, own.train)
        _check_layers(recipe, state, opened.train, layer=layer, layers=layers)
    return opened


def _check_layers(
    recipe: Recipe, state: TrainState, source: Source, *, layer: str, layers: Sequence[str] | None
) -> None:
    check_extractor(feature_extractor(recipe.method, recipe.prepare, layer=layer), state, source)
    if layers is not None:
        check_extractor(layer_extractor(recipe.method, recipe.prepare, layers=layers), state, source)


def open_parts_for(data: str | None, recipe: Recipe, state: TrainState, *, layer: str) -> dict[str, Source]:
    """As `open_for`, but all parts by name, labelled or not: of a folder, an image file or a data set, see `open_parts`.

    Those of the run's own data, for None, are the images it was trained on and those it was evaluated on.
    """
    own = recipe.data
    with usage_errors({"data": data or own.name, "layer": layer}):
        if data is None:
            parts = {"train": own.train} | ({"test": own.test} if own.test else {})
        else:
            parts = open_parts(data, **_form(own.train), levels=getattr(own.train, "levels", None))
        _check_kind(data, parts["train"], own.train)
        check_extractor(feature_extractor(recipe.method, recipe.prepare, layer=layer), state, parts["train"])
    return parts


def kind_of(source: Source) -> str:
    """What the source holds, in words: images, clips, or clips with sound."""
    return ("clips" if len(source.image_shape) == 4 else "images") + (" with sound" if "audio" in source[0] else "")


def _form(source: Source) -> dict[str, Any]:
    """The size and the channels that the encoder takes, as arguments of `open_data`."""
    height, width, channels = source.image_shape[-3:]
    return {"image_size": size_of(height, width), "channels": channels if channels in (1, 3) else None}


def _check_kind(data: str | None, source: Source, own: Source) -> None:
    kind, expected = kind_of(source), kind_of(own)
    if kind != expected:
        raise UsageError(
            f"data: {data} holds {kind}, but the run was pre-trained on {expected}: choose data that hold {expected}."
        )
    channels, expected_channels = source.image_shape[-1], own.image_shape[-1]
    if channels != expected_channels:
        raise UsageError(
            f"data: {data} holds images of {channels} channels, but the run was pre-trained on {expected_channels}: choose "
            f"images of {expected_channels}."
        )
