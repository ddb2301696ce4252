"""The names that other libraries give to the arrays of our networks.

A table maps a module of ours, such as "attention/projection", to theirs, "attn.proj"; the names of its arrays follow. It may
also map a single array. Three names share the last axis of ours in equal parts, as queries, keys and values do.

Sources: the modules of timm 1.0.31 and torchvision 0.29.1, and what `save_pretrained` of transformers 5.24.0 writes, which are
the names of the hub's files and of version 4; `tests/golden/layouts.json` lists them. transformers has a network for vision
transformers with layer scale, DINOv2's, whose names are a table of their own.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ssl_jax.networks.functional import Net
from ssl_jax.networks.regnet import RegNetY
from ssl_jax.networks.resnet import ResNet
from ssl_jax.networks.vit import ViT

Layout = Literal["timm", "torchvision", "transformers"]
Named = Literal[Layout, "transformers, DINOv2", "torch.nn.Sequential"]
Table = Mapping[str, str | tuple[str, ...]]
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
BLOCK = re.compile(r"(?:stage(?P<stage>\d+)_)?block(?P<number>\d+)/(?P<rest>.+)")
UNUSED = {"mask_token"}  # Not in the features of whole images; no layout has it.


class Names(NamedTuple):
    """outside: the table outside of blocks; block: the prefix of a block; inside: the table of a block, its first part first.

    In the prefix stage and number count from 1, stage_index and index from 0, and child, that of a stage, from 4.
    gaps: whether registers have positions, of zeros.
    """

    outside: Table
    block: str
    inside: Table
    gaps: bool = False


def _convs(conv: str, norm: str) -> dict[str, str]:
    numbers = (1, 2, 3)
    convs = {f"conv{number}/conv": conv.format(number, "abc"[number - 1]) for number in numbers}
    return convs | {f"conv{number}/norm": norm.format(number, "abc"[number - 1]) for number in numbers}


PARTS = {"conv": "convolution", "norm": "normalization"}  # In transformers.
RESNET = Names(
    {"stem/conv": "conv1", "stem/norm": "bn1"},
    "layer{stage}.{index}.",
    _convs("conv{0}", "bn{0}") | {"shortcut/conv": "downsample.0", "shortcut/norm": "downsample.1"},
)
SPLIT = {"attention/qkv": tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))}
TRANSFORMERS = {"attention/projection": "attention.output.dense"} | SPLIT
EMBEDDINGS = {
    "token": "embeddings.cls_token", "positions": "embeddings.position_embeddings", "norm": "layernorm",
    "embedding": "embeddings.patch_embeddings.projection",
}  # fmt: skip
STEM = {"stem/conv": "embedder.embedder.convolution", "stem/norm": "embedder.embedder.normalization"}
SHORTCUT = {"shortcut/conv": "shortcut.convolution", "shortcut/norm": "shortcut.normalization"}
GATED = {"expand": "mlp.weights_in", "contract": "mlp.weights_out"}  # In DINOv2's network with gated hidden units.
NAMES: dict[tuple[type, Named], Names] = {
    (ResNet, "timm"): RESNET,
    (ResNet, "torchvision"): RESNET,
    # `torch.nn.Sequential` of torchvision's children without the last, as lightly makes a backbone: convolution, norm,
    # relu and pool come before the stages.
    (ResNet, "torch.nn.Sequential"): RESNET._replace(
        outside={"stem/conv": "0", "stem/norm": "1"}, block="{child}.{index}."
    ),
    (ResNet, "transformers"): Names(
        STEM,
        "encoder.stages.{stage_index}.layers.{index}.",
        {
            f"conv{number}/{ours}": f"layer.{number - 1}.{theirs}"
            for number in (1, 2, 3)
            for ours, theirs in PARTS.items()
        }
        | SHORTCUT,
    ),
    (RegNetY, "timm"): Names(
        {"stem/conv": "stem.conv", "stem/norm": "stem.bn"},
        "s{stage}.b{number}.",
        _convs("conv{0}.conv", "conv{0}.bn")
        | {"gate/squeeze": "se.fc1", "gate/excite": "se.fc2"}
        | {"shortcut/conv": "downsample.conv", "shortcut/norm": "downsample.bn"},
    ),
    (RegNetY, "torchvision"): Names(
        {"stem/conv": "stem.0", "stem/norm": "stem.1"},
        "trunk_output.block{stage}.block{stage}-{index}.",
        _convs("f.{1}.0", "f.{1}.1")
        | {"gate/squeeze": "f.se.fc1", "gate/excite": "f.se.fc2"}
        | {"shortcut/conv": "proj.0", "shortcut/norm": "proj.1"},
    ),
    (RegNetY, "transformers"): Names(
        STEM,
        "encoder.stages.{stage_index}.layers.{index}.",
        {
            f"conv{number}/{ours}": f"layer.{place}.{theirs}"
            for number, place in ((1, 0), (2, 1), (3, 3))
            for ours, theirs in PARTS.items()
        }
        | {"gate/squeeze": "layer.2.attention.0", "gate/excite": "layer.2.attention.2"}
        | SHORTCUT,
    ),
    (ViT, "timm"): Names(
        {"token": "cls_token", "registers": "reg_token", "positions": "pos_embed", "embedding": "patch_embed.proj"}
        | {"norm": "norm"},
        "blocks.{index}.",
        {"attention_norm": "norm1", "mlp_norm": "norm2", "attention_scale": "ls1.gamma", "mlp_scale": "ls2.gamma"}
        | {"attention/qkv": "attn.qkv", "attention/projection": "attn.proj"}
        | {"expand": "mlp.fc1", "contract": "mlp.fc2"},
        gaps=True,
    ),
    (ViT, "torchvision"): Names(
        {"token": "class_token", "positions": "encoder.pos_embedding", "embedding": "conv_proj", "norm": "encoder.ln"},
        "encoder.layers.encoder_layer_{index}.",
        {"attention_norm": "ln_1", "mlp_norm": "ln_2", "attention/qkv/kernel": "self_attention.in_proj_weight"}
        | {"attention/qkv/bias": "self_attention.in_proj_bias", "attention/projection": "self_attention.out_proj"}
        | {"expand": "mlp.0", "contract": "mlp.3"},
    ),
    (ViT, "transformers"): Names(
        EMBEDDINGS,
        "encoder.layer.{index}.",
        {"attention_norm": "layernorm_before", "mlp_norm": "layernorm_after", "expand": "intermediate.dense"}
        | {"contract": "output.dense"}
        | TRANSFORMERS,
    ),
    (ViT, "transformers, DINOv2"): Names(
        EMBEDDINGS | {"registers": "embeddings.register_tokens"},
        "encoder.layer.{index}.",
        {"attention_norm": "norm1", "mlp_norm": "norm2", "expand": "mlp.fc1", "contract": "mlp.fc2"}
        | {"attention_scale": "layer_scale1.lambda1", "mlp_scale": "layer_scale2.lambda1"}
        | TRANSFORMERS,
    ),
}


def names_for(net: Net, layout: Layout) -> Names | None:
    """The names of a network's kind in a layout; None where the layout has none."""
    module: Any = net.module
    block = module.blocks()["block1"] if type(module) is ViT and layout == "transformers" else None
    if block is None or block.attention_scale is None:
        return NAMES.get((type(module), layout))
    names = NAMES[ViT, "transformers, DINOv2"]
    return names._replace(inside={**names.inside, **GATED}) if block.activation == "swiglu" else names


def block_prefix(names: Names, stage: int, number: int) -> str:
    """What the names of a block begin with; stages and blocks count from 1."""
    return names.block.format(stage=stage, number=number, stage_index=stage - 1, index=number - 1, child=stage + 3)


def in_block(name: str, names: Names) -> bool:
    """Whether a name in a layout is that of an array of a block, of any number."""
    return re.match(re.sub(r"\\\{\w+\\\}", r"\\d+", re.escape(names.block)), name) is not None


def their_names(path: str, names: Names) -> tuple[str, ...]:
    """The names of our array at "stage1_block1/conv1/conv/kernel"; several where its last axis is divided.

    Raises:
      KeyError: the layout has no such array.
    """
    found = BLOCK.fullmatch(path)
    table, rest = (names.inside, found["rest"]) if found else (names.outside, path)
    prefix = ""
    if found:
        prefix = block_prefix(names, int(found["stage"] or 1), int(found["number"]))
    module, _, leaf = rest.rpartition("/")
    whole = rest in table
    theirs = table[rest if whole else module]
    ending = "" if whole else f".{LEAVES[leaf]}"
    return tuple(f"{prefix}{name}{ending}" for name in ([theirs] if isinstance(theirs, str) else theirs))
