"""`ssl-jax pretrain --init`: training starts from the weights of a run, or of a file, in place of random ones.

The optimizer, the schedule and the step start anew: a run from the weights of another is a new run.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.commands.importing import encoder_in, network_of, source_of, unseen_in
from ssl_jax.commands.init_checks import is_run, naming_init, recorded_init
from ssl_jax.commands.saved_run import restore
from ssl_jax.errors import UsageError
from ssl_jax.interop import read_located
from ssl_jax.methods.method import Backbone, Method
from ssl_jax.networks.functional import Net
from ssl_jax.networks.regnet import RegNetY
from ssl_jax.networks.resnet import ResNet
from ssl_jax.ops.positions import resize_positions
from ssl_jax.recipes import Recipe
from ssl_jax.train.integrity import by_name, checksums
from ssl_jax.train.program import Program
from ssl_jax.train.state import TrainState

Named = dict[str, Any]  # Arrays by their path: "params.encoder.stem.conv.kernel", "state.teacher. ...".
STEMS = {"mnist": "of at most 28", "cifar": "of 29 to 32", "imagenet": "of more than 32"}
OPTIONAL = {"token", "positions", "registers", "mask_token"}  # Not every ViT has them; its blocks fit without.


class Source(NamedTuple):
    """Where weights come from.

    about: path, checksum and the like, for run.json.
    backbone: the encoder that `evaluate` evaluates; None of a method without one.
    arrays: of a run, all by name; empty for a file.
    method: of a run.
    """

    about: dict[str, Any]
    backbone: Backbone | None
    arrays: Named
    method: type | None


def starting_from(path: Path, recipe: Recipe, program: Program, *, run: Path) -> tuple[dict[str, Any], Program, str]:
    """What run.json says about the first weights, the program that starts from them, and a sentence.

    A `run` that is resumed has weights of its own: the first ones are not read again, so that they need not be there.

    Raises:
      UsageError: no run and no file of weights, or an encoder that does not fit the recipe's.
    """
    if recorded := recorded_init(path, run):
        return recorded, program, f"started from {path}"
    with naming_init():
        source = _of_run(path) if is_run(path) else _of_file(path, recipe)
    shapes = _named(program.like)
    found = first_arrays(source, recipe.method, program.like, path)

    def init() -> TrainState:
        state = program.init()
        # Copies: where two leaves hold the same weights, as student and teacher, each needs a buffer of its own.
        made = {name: jax.device_put(np.array(array), shapes[name].sharding) for name, array in found.items()}
        tree = {"params": state.params, "state": state.method_state}
        leaves = [made.get(name, leaf) for name, leaf in by_name(tree).items()]
        tree = jax.tree.unflatten(jax.tree.structure(tree), leaves)
        return state._replace(params=tree["params"], method_state=tree["state"])

    return source.about, program._replace(init=init), f"starting from {path}: {_parts(found, shapes)}"


def first_arrays(source: Source, method: Method, like: TrainState, path: Path) -> Named:
    """The arrays of a method's first state that a source has, by name.

    All of the same name and shape are taken, heads and teacher too, but for what the loss carries from batch to batch (queues,
    banks, centres). Where the run was one of another method, and from a file, every copy of the encoder is the one that
    `evaluate` evaluates, and a teacher's head is the student's. Positions of another grid are interpolated.
    """
    shapes, net = _named(like), _net_of(method, like)
    theirs = source.backbone.net if source.backbone else None
    carried = tuple(f"state.{name}" for name in method.objective_state)
    found: Named = {}
    for name, leaf in shapes.items():
        if name in source.arrays and not name.startswith(carried):
            array = fitted(source.arrays[name], leaf, name, theirs=theirs, ours=net)
            found |= {} if array is None else {name: array}
    if net is not None and source.backbone is not None and source.method is not type(method):
        found |= _copies_of(source.backbone, net, shapes)
    for name in shapes.keys() - found.keys():
        of_student = name.replace("state.teacher.params.", "params.").replace("state.teacher.stats.", "state.")
        if of_student != name and of_student in found:
            found[name] = found[of_student]
    _check_encoder(source, method, like, found, path)
    return found


def fitted(array: Any, leaf: Any, name: str, *, theirs: Net | None, ours: Net | None) -> Any:
    """An array in the shape of `leaf`: as it is, or interpolated where it is positions of another grid; None where it has
    another shape."""
    if array.shape == leaf.shape and array.dtype == leaf.dtype:
        return array
    if (
        name.rpartition(".")[2] != "positions"
        or theirs is None
        or ours is None
        or not (theirs.patch_size and ours.patch_size)
    ):
        return None
    (before, width), grid = array.shape, theirs.module.grid
    patches = array[before - math.prod(grid) :].reshape(*grid, width)
    resized = resize_positions(jnp.asarray(patches), ours.module.grid, offset=ours.module.position_offset)
    # The class token's, where ours has one.
    first = array[: before - math.prod(grid)][: leaf.shape[0] - math.prod(ours.module.grid)]
    made = np.concatenate([np.asarray(first), np.asarray(resized).reshape(-1, width)])
    return made if made.shape == leaf.shape else None


def _copies_of(backbone: Backbone, net: Net, shapes: Named) -> Named:
    """The arrays of an encoder under every name that this network has in a state, such as those of student and teacher."""
    found: Named = {}
    for ours, theirs in zip(
        jax.eval_shape(net.init, jax.random.key(0)), (backbone.params, backbone.stats), strict=True
    ):
        arrays, needed = by_name(theirs), [name for name in by_name(ours) if name not in OPTIONAL]
        for place in _places(shapes, needed):
            for name, array in arrays.items():
                leaf = shapes.get(place + name)
                made = None if leaf is None else fitted(array, leaf, name, theirs=backbone.net, ours=net)
                found |= {} if made is None else {place + name: made}
    return found


def _places(names: Iterable[str], inside: list[str]) -> list[str]:
    """The prefixes under which all of the names `inside` are."""
    known = set(names)
    starts = [name.removesuffix(inside[0]) for name in known if inside and name.endswith(f".{inside[0]}")]
    return [start for start in starts if all(start + name in known for name in inside)]


def _check_encoder(source: Source, method: Method, like: TrainState, found: Named, path: Path) -> None:
    """A `UsageError` where the encoder of the method starts with random weights, all of them or some."""
    tree = _tree(like)
    names = dict(zip(map(id, jax.tree.leaves(tree)), by_name(tree), strict=True))
    backbone = method.backbone(tree["params"], tree["state"])
    if backbone is None and found:
        return
    ours = by_name(tuple(backbone[1:])) if backbone else {}
    theirs = by_name(tuple(source.backbone[1:])) if source.backbone else {}
    # Their network would be another one without arrays of its own that ours has no place for, such as gains of its branches.
    missing = sorted(name for name, leaf in ours.items() if names[id(leaf)] not in found)
    unfit, extra = (
        [name for name in each if name.rpartition(".")[2] not in OPTIONAL]
        for each in (missing, sorted(theirs.keys() - ours.keys()))
    )
    shown = [
        f"{name.partition('.')[2]} is {_shape(theirs.get(name))}, expected {_shape(ours.get(name))}"
        for name in unfit or extra
    ]
    if not shown and backbone and source.backbone:
        shown = _unseen(source.backbone.net, backbone.net)
    if shown or not found:
        why = f" ({shown[0]}{f', and {len(shown) - 1} more' if len(shown) > 1 else ''})" if shown else ""
        raise UsageError(
            f"init: the encoder of {path} does not fit that of the recipe{why}: {_remedy(source.backbone, backbone)}."
        )


def _unseen(theirs: Net, ours: Net) -> list[str]:
    """In what two networks differ that may have the same arrays."""
    found, expected = unseen_in(theirs), unseen_in(ours)
    both = found.keys() & expected.keys()
    return [f"its {found[name]}, expected {expected[name]}" for name in both if found[name] != expected[name]]


def _remedy(theirs: Backbone | None, ours: Backbone | None) -> str:
    """What makes the recipe's encoder the other: its patches and its stem follow from the size of the images by default."""
    nets = [each.net for each in (theirs, ours) if each]
    patches = [net.patch_size for net in nets if net.patch_size]
    if len(patches) == 2 and patches[0] != patches[1]:
        return f"choose its --encoder with patches of {patches[0]} pixels, as in vit_small/16"
    stems = [net.module.stem_kind for net in nets if isinstance(net.module, ResNet | RegNetY)]
    if len(stems) == 2 and stems[0] != stems[1]:
        return f"its stem is for images {STEMS[stems[0]]} pixels, choose such an --image-size"
    if theirs and ours and theirs.net.layers == ours.net.layers and _unseen(theirs.net, ours.net):
        return "recipes have those of an encoder's name, but finetune, embed and evaluate take it as it is"
    return "choose its --encoder"


def _of_run(path: Path) -> Source:
    _, recipe, state, _ = restore(path, None)
    tree = _tree(state)
    digest = hashlib.blake2b(json.dumps(checksums(tree)).encode(), digest_size=8).hexdigest()
    about = {"path": str(path.absolute()), "step": int(state.step), "checksum": digest}
    arrays = {name: jax.device_get(leaf) for name, leaf in by_name(tree).items()}
    backbone = recipe.method.backbone(*jax.device_get((state.params, state.method_state)))
    return Source(about, backbone, arrays, type(recipe.method))


def _of_file(path: Path, recipe: Recipe) -> Source:
    name = recipe.arguments.get("encoder")
    if not isinstance(name, str):
        raise UsageError(f"init: {recipe.name} names no encoder to read {path} into: start from a run instead.")
    located, sizes = encoder_in(path, name, image_size=recipe.arguments.get("image_size"))
    return Source(source_of(path, located), read_located(path, located, network_of(name, sizes)).backbone, {}, None)


def _net_of(method: Method, like: TrainState) -> Net | None:
    backbone = method.backbone(like.params, like.method_state)
    return backbone.net if backbone else None


def _tree(state: TrainState) -> dict[str, Any]:
    return {"params": state.params, "state": state.method_state}


def _named(state: TrainState) -> Named:
    return by_name(_tree(state))


def _parts(found: Named, shapes: Mapping[str, Any]) -> str:
    """The parts of a state that are taken from a source, and those that are not: "encoder, head; new: predictor"."""

    def part(name: str) -> str:
        return name.split(".")[1]

    all_of, taken = Counter(map(part, shapes)), Counter(map(part, found))
    some = [
        f"{name} ({taken[name]} of {count} arrays)" if taken[name] < count else name
        for name, count in all_of.items()
        if taken[name]
    ]
    new = [name for name in all_of if not taken[name]]
    return ", ".join(some) + (f"; new: {', '.join(new)}" if new else "")


def _shape(leaf: Any) -> str:
    return "absent" if leaf is None else "x".join(map(str, leaf.shape))
