"""`ssl-jax import`: an encoder from a file of another library or of a method's authors becomes a run."""

import functools
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.data.fingerprint import fingerprint
from ssl_jax.errors import UsageError, pick, usage_errors
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.files import printable
from ssl_jax.interop import Located, arrays_in, described, locate, read_located
from ssl_jax.networks import ENCODERS, Net
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks.resnet import ResNet
from ssl_jax.prepare import check_extractor, chosen_arguments
from ssl_jax.ranges import check_ranges
from ssl_jax.recipes import IMPORTED, Recipe, find
from ssl_jax.runs import CHECKPOINTS, open_run
from ssl_jax.sizes import ImageSize, in_words, sides_of
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.log import log_line
from ssl_jax.train.state import TrainState, init_state

LARGEST = 2**34  # Bytes of a file, which is read into memory: a checkpoint with heads, a teacher and an optimizer.
SHOWN = 8  # Names of parts on standard error.


def import_weights(
    file: Path,
    *,
    encoder: str,
    run: Path | None = None,
    data: str | None = None,
    prefix: str | None = None,
    image_size: ImageSize | None = None,
    trained_size: ImageSize | None = None,
    stored_size: int | None = None,
    pixels: str | None = None,
    heads: int | None = None,
    position_offset: float = 0.0,
    stem_padding: int | None = None,
) -> dict[str, Any]:
    """Makes a run of one checkpoint, at step 0, of the weights of an encoder; what the file has beside it is listed.

    Example:
      >>> commands.export(run, layout="timm", output=folder / "encoder.safetensors")
      >>> found = import_weights(folder / "encoder.safetensors", encoder="vit_micro", run=folder / "imported", data="synthetic")
      >>> print(found["image_size"], found["unused"])
      14 []
    """
    pixels_of_sides = {"image_size": image_size, "trained_size": trained_size, "stored_size": stored_size}
    check_ranges(**{name: size for name, size in pixels_of_sides.items() if size})
    run = run or Path("runs") / f"{IMPORTED}-{file.stem}"
    located, sizes = encoder_in(file, encoder, prefix=prefix, image_size=image_size, trained_size=trained_size)
    if stem_padding is not None and sizes.get("stem") != "cifar":
        raise UsageError(
            f"stem_padding: {file} has no ResNet with a stem for 32 pixels, others have one padding: leave it out."
        )
    channels = sizes.pop("channels")
    if channels not in (1, 3):
        raise UsageError(f"file: {file} takes images of {channels} channels, expected 1 or 3.")
    arguments = {
        "data": data or "digits",
        "image_size": image_size or sizes["trained_size"],
        "stored_size": stored_size,
        "encoder": encoder,
        "pixels": pixels or ("imagenet" if channels == 3 else "digits"),
        "heads": heads,
        "position_offset": position_offset,
        "stem_padding": stem_padding,
    }
    make = functools.partial(find(IMPORTED, "encoder"), **arguments | sizes)
    with usage_errors(chosen_arguments(make)):
        recipe = make()
        # Its shapes alone: to compile and draw what the file replaces would take most of the time.
        state = jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(recipe.steps).transformation, seed=0))
        check_extractor(feature_extractor(recipe.method, recipe.prepare), state, recipe.data.train)
    backbone = recipe.method.backbone(state.params, state.method_state)
    assert backbone is not None
    read = read_located(file, located, backbone.net)
    params, stats = jax.tree.map(jnp.asarray, (read.backbone.params, read.backbone.stats))
    assert not jax.tree.leaves(state.optimizer)  # It is frozen.
    state = state._replace(step=jnp.zeros((), jnp.int32), params={"encoder": params}, method_state={"encoder": stats})
    _save(run, recipe, state, source_of(file, located))
    unused = [printable(name) for name in read.unused]
    unseen = "".join(f", with {words}, which no file shows" for words in unseen_in(backbone.net).values())
    under = f" under {located.prefix!r}" if located.prefix else ""
    log_line(f"{encoder} in the names of {located.layout}{under}{unseen}")
    log_line(f"not used: {_summary(unused)}" if unused else "every array of the file is used")
    log_line(f"next: ssl-jax evaluate {printable(str(run))}" + ("" if data else " --data NAME"))
    about = {"run": str(run), "encoder": encoder, "image_size": arguments["image_size"], "layout": located.layout}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return about | {"prefix": located.prefix, "parameters": parameters, "unused": unused}


def encoder_in(
    file: Path,
    encoder: str,
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
    prefix: str | None = None,
    image_size: ImageSize | None = None,
    trained_size: ImageSize | None = None,
) -> tuple[Located, dict[str, Any]]:
    """The arrays of an encoder in a file, and the sizes that they show, see `described`.

    arrays: of the file, which is read where they are not given.
    image_size: of the images that the encoder gets; positions that are not those of a square are theirs.
    trained_size: of the images whose positions the file holds, where they are known.
    """
    pick("encoder", encoder, ENCODERS)
    kind = type(make_encoder(encoder, image_shape=(224, 224, 3)).module)
    size = trained_size or image_size
    arrays = arrays_in(file, at_most=LARGEST) if arrays is None else arrays
    located = locate(file, arrays, kind, prefix=prefix, size=size)
    sizes = described(file, located, kind, size=size)
    if trained_size and trained_size != sizes["trained_size"]:
        has = f"those of {in_words(sizes['trained_size'])} pixels" if "patch_size" in sizes else "none"
        raise UsageError(
            f"trained_size: got {in_words(trained_size)}, but the positions in {file} are {has}: leave it out."
        )
    if not trained_size:
        _check_unambiguous(file, sizes)
    named = encoder.partition("/")[2]
    if named and int(named) != sizes["patch_size"]:
        raise UsageError(f"encoder: {file} has patches of {sizes['patch_size']} pixels, got {encoder}: choose another.")
    return located, sizes


def _check_unambiguous(file: Path, sizes: Mapping[str, Any]) -> None:
    """Refuses positions that may be those of a square as well as those of the images that the encoder gets."""
    size, patch = sizes["trained_size"], sizes.get("patch_size", 1)
    side = math.isqrt(math.prod(sides_of(size)))
    if side**2 == math.prod(sides_of(size)) and not isinstance(size, int):
        raise UsageError(
            f"image_size: {file} has {(side // patch) ** 2} positions of patches, as many as images of {in_words(side)} and of "
            f"{in_words(size)} pixels have: say whose they are by `ssl-jax import --trained-size`."
        )


def network_of(encoder: str, sizes: Mapping[str, Any]) -> Net:
    """The network of these sizes, see `described`."""
    channels = sizes["channels"]
    options = {name: size for name, size in sizes.items() if name not in ("trained_size", "channels")}
    if "layer_scale" in options:
        options["layer_scale"] = 1.0 if options["layer_scale"] else None
        options |= {"activation": "swiglu"} if options.pop("gated") else {}
    return make_encoder(encoder, image_shape=(*sides_of(sizes["trained_size"]), channels), **options)


def source_of(file: Path, located: Located) -> dict[str, str]:
    """Which arrays of which file, for run.json: a checksum of the encoder's arrays beside its path, layout and prefix."""
    digest = hashlib.blake2b(digest_size=8)
    for name, array in sorted(located.arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    about = {"path": str(file.absolute()), "layout": located.layout, "prefix": located.prefix}
    return about | {"checksum": digest.hexdigest()}


def unseen_in(net: Net) -> dict[str, str]:
    """What no file shows of a network, and in words: with another value it is another function of the same arrays."""
    if net.patch_size:  # ViTs alone have patches.
        return {"heads": f"{net.module.block1.attention.heads} attention heads"}
    if isinstance(net.module, ResNet) and net.module.stem_kind != "imagenet":
        return {"stem_padding": f"padding of {net.module.stem_padding} before the first convolution"}
    return {}


def _summary(names: Sequence[str]) -> str:
    """Names, those with the same first parts as one: "module.encoder_k (265 arrays), module.queue".

    Two parts, or one more than all of them share: the line that converts a checkpoint adds its "state_dict".
    """
    above = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, above))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(".".join(name.split(".")[: max(2, shared + 1)]), []).append(name)
    parts = [f"{start} ({len(of)} arrays)" if len(of) > 1 else of[0] for start, of in groups.items()]
    return ", ".join(parts[:SHOWN]) + (f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else "")


def _save(run: Path, recipe: Recipe, state: TrainState, source: dict[str, str]) -> None:
    """Writes run.json and the checkpoint, as `ssl-jax pretrain` writes them."""
    request = {"method": IMPORTED, "recipe": "encoder", "arguments": recipe.arguments, "seed": 0}
    request |= {"init": source, "examples": fingerprint(recipe.data)}
    with open_run(run, request, resume=True), Checkpoints(run / CHECKPOINTS) as checkpoints:
        checkpoints.save(state, input_state={}, score=None)
