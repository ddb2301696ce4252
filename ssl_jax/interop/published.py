"""Encoders in files of other libraries and of the authors of methods: under which prefix, in which layout, of which sizes.

A checkpoint of a method holds several networks, each under a prefix: `module.encoder_q.layer1.0.conv1.weight`. An encoder is
found by its first block, whatever its prefix, and its names are then those of a layout of `names.py`, but for `RENAMED`. Heads,
decoders, queues and classifiers are not of the encoder. The names, each from the authors' code:

  MoCo v1, v2   module.encoder_q. and module.encoder_k., head fc: moco/builder.py, main_lincls.py of facebookresearch/moco
  MoCo v3       module.base_encoder. and module.momentum_encoder., head head or fc: moco/builder.py, main_lincls.py of
                facebookresearch/moco-v3; its ViT-Small has 12 heads (vits.py)
  SwAV          module., heads projection_head and prototypes: src/resnet50.py, eval_linear.py of facebookresearch/swav; its
                separate padding and its convolution's (1 and 2) are together torchvision's 3
  Barlow Twins  none, or module.backbone. with projector and bn: main.py of facebookresearch/barlowtwins
  VICReg        none, or module.backbone. with projector: main_vicreg.py, evaluate.py of facebookresearch/vicreg
  BYOL          none, or online_encoder.net., net. and target_encoder.net. with projector, online_predictor: byol_pytorch.py,
                trainer.py of lucidrains/byol-pytorch, a port; the authors' own weights are not of PyTorch
  solo-learn    backbone. and momentum_backbone. with classifier, projector, predictor: methods/base.py of
                vturrisi/solo-learn; its ResNets for CIFAR have a 3x3 stem with a padding of 2, its ViTs for MoCo v3 and MAE 12
                heads
  DINO          none, or teacher.backbone. and student.module.backbone. with head: utils.py, main_dino.py of
                facebookresearch/dino
  iBOT          as DINO; gamma_1, gamma_2: models/vision_transformer.py, main_ibot.py of bytedance/ibot
  DINOv2        none, or teacher.backbone. with dino_head, ibot_head; register_tokens, blocks in chunks, positions without the
                registers': models/vision_transformer.py, train/ssl_meta_arch.py, train/train.py of facebookresearch/dinov2,
                whose teacher_checkpoint.pth it is; model_*.rank_*.pth are shards
  MAE           none, with decoder_: models_mae.py, util/misc.py of facebookresearch/mae
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl_jax.errors import UsageError
from ssl_jax.interop.arrays import COUNT, Flat
from ssl_jax.interop.names import NAMES, Named, Names, block_prefix, their_names
from ssl_jax.interop.positions import grid_of, with_all_positions
from ssl_jax.networks.resnet import ResNet
from ssl_jax.networks.vit import ViT
from ssl_jax.sizes import ImageSize, size_of

# Words in the prefix of those of several encoders in a file that the authors evaluate, and of their copies: `encoder_q`,
# `base_encoder`, `online_network`; `momentum_encoder`, `backbone_momentum`.
EVALUATED = {"q", "base", "teacher", "online"}
COPIES = {"k", "momentum", "student", "target"}
# The modules of version 5 of transformers, as in `state_dict()`; its `save_pretrained` writes the names of version 4.
MODULES = {
    r"\.attention\.q_proj\.": ".attention.attention.query.",
    r"\.attention\.k_proj\.": ".attention.attention.key.",
    r"\.attention\.v_proj\.": ".attention.attention.value.",
    r"\.attention\.o_proj\.": ".attention.output.dense.",
}
RENAMED: dict[Named, dict[str, str]] = {  # Of a ViT.
    "timm": {
        r"(^|\.)register_tokens$": r"\1reg_token",
        r"(^|\.)blocks\.\d+\.(\d+)\.": r"\1blocks.\2.",
        r"\.gamma_([12])$": r".ls\1.gamma",
        r"\.mlp\.w12\.": ".mlp.fc1.",
        r"\.mlp\.w3\.": ".mlp.fc2.",
    },
    "transformers": MODULES
    | {
        r"(^|\.)layers\.(\d+)\.(?=attention|layernorm|mlp)": r"\1encoder.layer.\2.",
        r"\.mlp\.fc1\.": ".intermediate.dense.",
        r"\.mlp\.fc2\.": ".output.dense.",
    },
    "transformers, DINOv2": MODULES | {r"\.mlp\.weights_in\.": ".mlp.fc1.", r"\.mlp\.weights_out\.": ".mlp.fc2."},
}


class Located(NamedTuple):
    """layout, prefix: of the encoder. arrays: of the encoder, by their names in the layout. others: names of other arrays."""

    layout: Named
    prefix: str
    arrays: Flat
    others: list[str]


def locate(
    file: Path,
    arrays: Mapping[str, np.ndarray],
    kind: type,
    *,
    prefix: str | None = None,
    size: ImageSize | None = None,
) -> Located:
    """The encoder of a module's kind in the arrays of a file: that under `prefix`; by default the one its authors evaluate.

    size: of the images whose positions a ViT's file holds, where they are no squares; see `described`.

    Raises:
      UsageError: there is none, none under this prefix, or several of equal rank.

    Example:
      >>> arrays = {f"module.encoder_{which}.layer1.0.conv1.weight": np.zeros((64, 64, 1, 1)) for which in "qk"}
      >>> located = locate(Path("moco.safetensors"), arrays, ResNet)
      >>> print(located.prefix, located.others)
      module.encoder_q. ['module.encoder_k.layer1.0.conv1.weight']
    """
    found: dict[str, Named] = {}
    named = {layout: _renamed(arrays, kind, layout) for of, layout in NAMES if of is kind}
    for layout, by_name in named.items():
        names = NAMES[kind, layout]
        first = re.escape(f"{block_prefix(names, 1, 1)}{next(iter(names.inside.values()))}.")
        for match in filter(None, (re.match(rf"((?:.*\.)?){first}", name) for name in by_name)):
            found.setdefault(match[1], layout)
    chosen = _chosen(file, found, kind.__name__, prefix)
    under = {ours: theirs for ours, theirs in named[found[chosen]].items() if ours.startswith(chosen)}
    inside = {ours.removeprefix(chosen): arrays[theirs] for ours, theirs in under.items()}
    if kind is ViT and found[chosen] == "timm":
        inside = with_all_positions(inside, size)
    return Located(found[chosen], chosen, inside, sorted(arrays.keys() - under.values()))


def described(file: Path, located: Located, kind: type, *, size: ImageSize | None = None) -> dict[str, Any]:
    """The sizes that the arrays of an encoder show, as arguments of the recipe `imported.encoder`, and "channels".

    No file shows the rows and columns of a ViT's positions: they are those of images of `size`, in pixels, where the file has
    as many, else those of a square.

    Raises:
      UsageError: no such encoder, or positions neither of a square nor of images of this size.

    Example:
      >>> names = {"conv1.weight": np.zeros((64, 3, 7, 7)), "layer1.0.conv1.weight": np.zeros((64, 64, 1, 1))}
      >>> file = Path("x.safetensors")
      >>> print(described(file, locate(file, names, ResNet), ResNet))
      {'channels': 3, 'stem': 'imagenet', 'trained_size': 224}
    """
    names = NAMES[kind, located.layout]
    stem = _array(file, located, "embedding/kernel" if kind is ViT else "stem/conv/kernel", names)
    if stem.ndim != 4:
        raise UsageError(
            f"file: {file} has no convolution of images in {located.prefix or 'it'}: choose its --encoder."
        )
    if kind is not ViT:
        cifar = kind is ResNet and stem.shape[-1] == 3
        return {
            "channels": stem.shape[1],
            "stem": "cifar" if cifar else "imagenet",
            "trained_size": 32 if cifar else 224,
        }
    positions = _array(file, located, "positions", names)
    has_token = names.outside["token"] in located.arrays
    registers = located.arrays.get(str(names.outside.get("registers")), np.zeros((1, 0, 1))).shape[1]
    others = has_token + (registers if names.gaps else 0)
    patch = stem.shape[-1]
    grid = grid_of([positions.shape[1] - others], patch, size)
    if grid is None:
        raise UsageError(
            f"file: {file} has {positions.shape[1]} positions, expected those of a square{' and the class token' * has_token}"
            f"{f' and {registers} registers' if registers else ''}: name the height and width of the images it was trained on, "
            f"in patches of {patch} pixels, by --image-size."
        )
    scale = names.inside.get("attention_scale")
    expand, contract = (_array(file, located, f"block1/{part}/kernel", names) for part in ("expand", "contract"))
    return {
        "channels": stem.shape[1],
        "trained_size": size_of(grid[0] * patch, grid[1] * patch),
        "patch_size": patch,
        "pool": "token" if has_token else "mean",
        "registers": registers,
        "layer_scale": scale is not None and f"{block_prefix(names, 1, 1)}{scale}" in located.arrays,
        "gated": expand.shape[0] == 2 * contract.shape[1],
    }


def unused_of(located: Located, used: Mapping[str, Any]) -> list[str]:
    """The names in the file of arrays that are not among those `used`, which are names in the layout."""
    inside = [f"{located.prefix}{name}" for name in located.arrays if name not in used]
    return sorted(name for name in [*inside, *located.others] if not name.endswith(COUNT))


def _renamed(arrays: Mapping[str, Any], kind: type, layout: Named) -> dict[str, str]:
    """Names in the layout -> names in the file."""
    found, patterns = {}, RENAMED.get(layout, {}) if kind is ViT else {}
    for name in arrays:
        ours = name
        for pattern, by in patterns.items():
            ours = re.sub(pattern, by, ours)
        found[ours] = name
    return found


def _chosen(file: Path, found: Mapping[str, Named], kind: str, prefix: str | None) -> str:
    listed = ", ".join(repr(each) for each in sorted(found))
    if not found:
        raise UsageError(
            f"file: {file} has no {kind} by the names of timm, torchvision, transformers or the authors of methods: choose the "
            "--encoder it was written for, see docs/weights.md."
        )
    if prefix is not None:
        if prefix not in found:
            raise UsageError(f"prefix: got {prefix!r}, but the encoders in {file} have {listed}: choose one of these.")
        return prefix

    def rank(each: str) -> int:
        words = set(re.split(r"[._]", each))
        return 0 if words & EVALUATED else 2 if words & COPIES else 1

    best = [each for each in found if rank(each) == min(map(rank, found))]
    if len(best) > 1:
        raise UsageError(f"prefix: {file} has several encoders, with the prefixes {listed}: choose one with --prefix.")
    return best[0]


def _array(file: Path, located: Located, path: str, names: Names) -> np.ndarray:
    name = their_names(path, names)[0]
    if name not in located.arrays:
        raise UsageError(f"file: {file} has no {located.prefix}{name}: choose the --encoder it was written for.")
    return located.arrays[name]
