"""The names that other libraries give to the arrays of our networks.

A table maps a module of ours, such as "attention/projection", to theirs, "attn.proj"; the names of its arrays follow. It may
also map a single array. Three names share the last axis of ours in equal parts, as queries, keys and values do.

Sources: the modules of timm 1.0.31 and torchvision 0.28.0, and what `save_pretrained` of transformers 5.24.0 writes, which are
the names of the hub's files and of version 4; `tests/golden/layouts.json` lists them.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ssl_jax.networks.functional import Net
from ssl_jax.networks.regnet import RegNetY
from ssl_jax.networks.resnet import ResNet
from ssl_jax.networks.vit import ViT

Layout = Literal["timm", "torchvision", "transformers"]
Table = Mapping[str, str | tuple[str, ...]]
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
BLOCK = re.compile(r"(?:stage(?P<stage>\d+)_)?block(?P<number>\d+)/(?P<rest>.+)")
UNUSED = {"mask_token"}  # Not in the features of whole images; no layout has it.


class Names(NamedTuple):
    """outside: the table outside of blocks; block: the prefix of a block, counted from 0; inside: the table of a block."""

    outside: Table
    block: str
    inside: Table


def _convs(conv: str, norm: str) -> dict[str, str]:
    numbers = (1, 2, 3)
    convs = {f"conv{number}/conv": conv.format(number, "abc"[number - 1]) for number in numbers}
    return convs | {f"conv{number}/norm": norm.format(number, "abc"[number - 1]) for number in numbers}


RESNET = Names(
    {"stem/conv": "conv1", "stem/norm": "bn1"},
    "layer{stage}.{index}.",
    _convs("conv{0}", "bn{0}") | {"shortcut/conv": "downsample.0", "shortcut/norm": "downsample.1"},
)
NAMES: dict[tuple[type, Layout], Names] = {
    (ResNet, "timm"): RESNET,
    (ResNet, "torchvision"): RESNET,
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
    (ViT, "timm"): Names(
        {"token": "cls_token", "registers": "reg_token", "positions": "pos_embed", "embedding": "patch_embed.proj"}
        | {"norm": "norm"},
        "blocks.{index}.",
        {"attention_norm": "norm1", "mlp_norm": "norm2", "attention_scale": "ls1.gamma", "mlp_scale": "ls2.gamma"}
        | {"attention/qkv": "attn.qkv", "attention/projection": "attn.proj"}
        | {"expand": "mlp.fc1", "contract": "mlp.fc2"},
    ),
    (ViT, "torchvision"): Names(
        {"token": "class_token", "positions": "encoder.pos_embedding", "embedding": "conv_proj", "norm": "encoder.ln"},
        "encoder.layers.encoder_layer_{index}.",
        {"attention_norm": "ln_1", "mlp_norm": "ln_2", "attention/qkv/kernel": "self_attention.in_proj_weight"}
        | {"attention/qkv/bias": "self_attention.in_proj_bias", "attention/projection": "self_attention.out_proj"}
        | {"expand": "mlp.0", "contract": "mlp.3"},
    ),
    (ViT, "transformers"): Names(
        {"token": "embeddings.cls_token", "positions": "embeddings.position_embeddings"}
        | {"embedding": "embeddings.patch_embeddings.projection", "norm": "layernorm"},
        "encoder.layer.{index}.",
        {"attention_norm": "layernorm_before", "mlp_norm": "layernorm_after"}
        | {"attention/qkv": tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))}
        | {"attention/projection": "attention.output.dense"}
        | {"expand": "intermediate.dense", "contract": "output.dense"},
    ),
}


def names_for(net: Net, layout: Layout) -> Names | None:
    """The names of a network's kind in a layout; None where the layout has none."""
    return NAMES.get((type(net.module), layout))


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
        prefix = names.block.format(stage=found["stage"], number=found["number"], index=int(found["number"]) - 1)
    module, _, leaf = rest.rpartition("/")
    whole = rest in table
    theirs = table[rest if whole else module]
    ending = "" if whole else f".{LEAVES[leaf]}"
    return tuple(f"{prefix}{name}{ending}" for name in ([theirs] if isinstance(theirs, str) else theirs))
