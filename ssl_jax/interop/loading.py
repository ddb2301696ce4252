"""The lines of Python that load an exported file in another library, and the networks that no library has."""

import math
from collections.abc import Callable
from typing import Any, get_args

from ssl_jax.errors import UsageError, pick
from ssl_jax.interop.names import Layout, names_for
from ssl_jax.networks.functional import Net
from ssl_jax.networks.regnet import STEM_WIDTH
from ssl_jax.sizes import ImageSize

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
TOGETHER = "docs/weights.md says which networks go with which library"
RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
# Channels of the stages -> the names of timm and of torchvision, whose 8GF rounds 168 channels of 56 a group to 224.
REGNETS: dict[tuple[int, ...], dict[Layout, str]] = {
    (48, 104, 208, 440): {"timm": "regnety_004", "torchvision": "regnet_y_400mf"},
    (168, 448, 896, 2016): {"timm": "regnety_080"},
    (232, 696, 1392, 3712): {"timm": "regnety_320", "torchvision": "regnet_y_32gf"},
    (528, 1056, 2904, 7392): {"timm": "regnety_1280", "torchvision": "regnet_y_128gf"},
    (746, 1492, 4103, 10444): {"timm": "regnety_2560"},
}
# Size of a token, blocks, heads -> the name in timm, and the patches with which it has the name.
VITS = {
    (192, 12, 3): ("vit_tiny", (16,)),
    (384, 12, 6): ("vit_small", (8, 16, 32)),
    (768, 12, 12): ("vit_base", (8, 16, 32)),
    (1024, 24, 16): ("vit_large", (14, 16, 32)),
}
LOAD = "model.load_state_dict(safetensors.torch.load_file({file}))"
FILE = "{file}"  # Stands for the quoted path.


def loading_lines(net: Net, layout: str, *, image_size: ImageSize) -> list[str]:
    """Python that makes `model` and its `features` from `images`; `FILE` in it stands for the quoted path of the file.

    Args:
      net: an encoder of `ssl_jax.networks`.
      layout: one of `LAYOUTS`.
      image_size: pixels of a side of the images, or height and width.

    Raises:
      UsageError: an unknown layout, or one that has no such network.

    Example:
      >>> net = encoder("resnet18", image_shape=(64, 64, 3))
      >>> print(loading_lines(net, "timm", image_size=64)[2])
      model = timm.create_model("resnet18", checkpoint_path={file}, num_classes=0)
    """
    pick("layout", layout, LAYOUTS)
    known: Layout = next(each for each in LAYOUTS if each == layout)
    if names_for(net, known) is None:
        what = type(net.module).__name__ if net.module is not None else "place for a network from outside the package"
        raise _refusal(known, what)
    make: dict[str, Callable[..., list[str]]] = {"ResNet": _resnet, "RegNetY": _regnet, "ViT": _vit}
    return make[type(net.module).__name__](net.module, known, image_size)


def _resnet(module: Any, layout: Layout, image_size: ImageSize) -> list[str]:
    depths, bottleneck = module.depths, module.stage1_block1.bottleneck
    _check_norm(module, layout)
    if module.stem_kind == "mnist":
        raise _refusal(layout, "stem for 28 pixels: pre-train at 32 pixels or more")
    channels, width, cifar = _channels(module), module.stem_width, module.stem_kind == "cifar"
    stem = f"torch.nn.Conv2d({channels}, {width}, 3, padding={module.stem_padding}, bias=False)"
    if not cifar and module.stem_padding != 3:
        raise _refusal(layout, f"ResNet with {module.stem_padding} rows of padding before its first convolution")
    name = RESNETS.get((depths, bottleneck)) if width == 64 else None
    if layout == "transformers":
        sizes = tuple(layer for stage, layer in module.layers.items() if stage.startswith("stage"))
        made = {"embedding_size": width, "hidden_sizes": sizes, "depths": depths, "num_channels": channels}
        kind = "bottleneck" if bottleneck else "basic"
        small = [f"model.embedder.embedder.convolution = {stem}", "model.embedder.pooler = torch.nn.Identity()"]
        return _of_transformers("ResNet", made | {"layer_type": kind}, small if cifar else [])
    if name is None:
        raise _refusal(layout, f"ResNet of depths {depths} and width {width}")
    if layout == "timm" and not cifar:
        return _timm(name, {} if channels == 3 else {"in_chans": channels})
    lines = ["import safetensors.torch", "import torch", f"import {layout}", ""]
    lines += _headless(layout, name)
    if cifar:
        lines += [f"model.conv1 = {stem}"]
        lines += ["model.maxpool = torch.nn.Identity()"]
    elif channels != 3:
        lines += [f"model.conv1 = torch.nn.Conv2d({channels}, 64, 7, stride=2, padding=3, bias=False)"]
    return [*lines, LOAD, "features = model.eval()(images)"]


def _regnet(module: Any, layout: Layout, image_size: ImageSize) -> list[str]:
    stages, channels = module.stages, _channels(module)
    _check_norm(module, layout)
    if module.stem_kind != "imagenet":
        raise _refusal(layout, f"RegNetY with the stem {module.stem_kind!r}: pre-train at more than 32 pixels")
    if layout == "transformers":
        group = min(stages.group_widths)
        if any(
            width // each != max(1, width // group)
            for width, each in zip(stages.widths, stages.group_widths, strict=True)
        ):
            raise _refusal(layout, f"RegNetY with groups of {stages.group_widths} channels")
        made = {"embedding_size": STEM_WIDTH, "hidden_sizes": stages.widths, "depths": stages.depths}
        return _of_transformers(
            "RegNet", made | {"groups_width": group, "num_channels": channels, "layer_type": "y"}, []
        )
    name = REGNETS.get(stages.widths, {}).get(layout)
    if name is None:
        raise _refusal(layout, f"RegNetY of {stages.widths} channels")
    if layout == "timm":
        return _timm(name, {} if channels == 3 else {"in_chans": channels})
    lines = ["import safetensors.torch", "import torch", "import torchvision", "", *_headless(layout, name)]
    if channels != 3:
        lines += [f"model.stem[0] = torch.nn.Conv2d({channels}, 32, 3, stride=2, padding=1, bias=False)"]
    return [*lines, LOAD, "features = model.eval()(images)"]


def _of_transformers(kind: str, options: dict[str, Any], more: list[str]) -> list[str]:
    """A convolutional network of transformers; more: lines that change it before it is loaded."""
    given = ", ".join(f"{key}={list(value) if isinstance(value, tuple) else value!r}" for key, value in options.items())
    imports = ["import safetensors.torch", *(["import torch"] if more else []), "import transformers", ""]
    made = f"transformers.{kind}Config({given})".replace("'", '"')
    if not more:
        weights = f"state_dict=safetensors.torch.load_file({FILE})"
        lines = [
            f"config = {made}",
            f"model = transformers.{kind}Model.from_pretrained(None, config=config, {weights})",
        ]
    else:
        lines = [f"model = transformers.{kind}Model({made})", *more, LOAD]
    return [*imports, *lines, "features = model.eval()(images).pooler_output.flatten(1)"]


def _vit(module: Any, layout: Layout, image_size: ImageSize) -> list[str]:
    block = module.block1
    sizes = (module.width, module.depth, block.attention.heads)
    hidden, channels = block.contract.in_features, module.embedding.in_features // module.patch_size**2
    if layout == "timm":
        return _timm_vit(module, sizes, hidden=hidden, channels=channels, image_size=image_size)
    scaled, gated = block.attention_scale is not None, block.activation == "swiglu"
    _check_vit(module, layout, channels=channels, whole=hidden % sizes[0] == 0, square=isinstance(image_size, int))
    patch = module.patch_size
    if layout == "torchvision":
        made = f"image_size={image_size}, patch_size={patch}, num_layers={sizes[1]}, num_heads={sizes[2]}"
        lines = ["import safetensors.torch", "import torch", "import torchvision", ""]
        lines += [f"model = torchvision.models.VisionTransformer({made}, hidden_dim={sizes[0]}, mlp_dim={hidden})"]
        return [*lines, "model.heads = torch.nn.Identity()", LOAD, "features = model.eval()(images)"]
    registers = module.registers is not None
    name = f"Dinov2{'WithRegisters' * registers}" if scaled else "ViT" if module.token is not None else "IJepa"
    made = f"hidden_size={sizes[0]}, num_hidden_layers={sizes[1]}, num_attention_heads={sizes[2]}"
    if scaled:
        units = f"mlp_ratio={4 if gated else hidden // sizes[0]}, use_swiglu_ffn={gated}"
        units += ", use_mask_token=False" if not registers else f", num_register_tokens={module.registers.shape[0]}"
    else:
        units = f"intermediate_size={hidden}"
    return [
        "import safetensors.torch",
        "import transformers",
        "",
        f"config = transformers.{name}Config(",
        f"    {made}, {units},",
        f"    image_size={image_size}, patch_size={patch}, num_channels={channels},",
        f'    hidden_act="{"gelu" if gated else block.activation}", layer_norm_eps=1e-6,',
        ")",
        f"weights = safetensors.torch.load_file({FILE})",
        f"model = transformers.{name}Model.from_pretrained(None, config=config, state_dict=weights"
        f"{'' if scaled else ', add_pooling_layer=False'})",
        f"features = model.eval()(images).last_hidden_state{'[:, 0]' if module.token is not None else '.mean(1)'}",
    ]


def _check_vit(module: Any, layout: Layout, *, channels: int, whole: bool, square: bool) -> None:
    """The `UsageError`s about what torchvision or transformers have not; whole: whether the ratio of hidden units
    is; square: whether images are."""
    block, torchvision = module.block1, layout == "torchvision"
    scaled, gated = block.attention_scale is not None, block.activation == "swiglu"
    for has, what in (
        (torchvision and module.token is None, "vision transformer without a class token"),
        (torchvision and module.registers is not None, "registers"),
        (torchvision and scaled, "layer scale"),
        (torchvision and gated, "gated hidden units (swiglu)"),
        (not scaled and module.registers is not None, "registers without layer scale"),
        (not scaled and gated, "gated hidden units (swiglu) without layer scale"),
        (scaled and module.token is None, "layer scale without a class token"),
        # Its DINOv2 takes the positions in a file to be of a square, whatever the configuration says, and resizes them.
        (scaled and not square, "layer scale with images that are no squares"),
        (scaled and not gated and not whole, "layer scale with such a number of hidden units"),
        (torchvision and not square, "vision transformer of images that are no squares"),
        (torchvision and channels != 3, f"vision transformer of {channels} channels"),
        (torchvision and block.activation == "relu", "vision transformer with relu"),
    ):
        if has:
            raise _refusal(layout, f"{what}: timm has")


def _timm_vit(
    module: Any, sizes: tuple[int, int, int], *, hidden: int, channels: int, image_size: ImageSize
) -> list[str]:
    """The name of a vision transformer in timm, with the options in which ours differs from it."""
    family, patches = VITS.get(sizes, ("vit_tiny", (16,)))
    patch = module.patch_size if module.patch_size in patches else 16
    options: dict[str, Any] = {}
    if sizes not in VITS:
        options |= dict(zip(("embed_dim", "depth", "num_heads"), sizes, strict=True))
    gated = module.block1.activation == "swiglu"
    expanded = 2 * hidden if gated else hidden
    if expanded != 4 * sizes[0]:
        options["mlp_ratio"] = _ratio(expanded, sizes[0])
    if module.patch_size != patch:
        options["patch_size"] = module.patch_size
    if image_size != 224:
        options["img_size"] = image_size
    if channels != 3:
        options["in_chans"] = channels
    if module.token is None:
        options |= {"class_token": False, "global_pool": "avg", "fc_norm": False}
    if module.registers is not None:
        options["reg_tokens"] = module.registers.shape[0]
    if module.block1.attention_scale is not None:
        options["init_values"] = 1e-5
    if module.block1.activation != "gelu":
        options["act_layer"] = "silu" if gated else module.block1.activation
    more = ", mlp_layer=timm.layers.SwiGLUPacked" if gated else ""
    return _timm(f"{family}_patch{patch}_224", options, more)


def _ratio(units: int, dim: int) -> float:
    """units / dim, such that `int(dim * ratio)`, which timm computes, is units again."""
    ratio = units / dim
    return ratio if int(dim * ratio) == units else math.nextafter(ratio, math.inf)


def _timm(name: str, options: dict[str, Any], more: str = "") -> list[str]:
    given = "".join(f", {key}={value!r}" for key, value in options.items()).replace("'", '"')
    made = f'model = timm.create_model("{name}", checkpoint_path={FILE}, num_classes=0{given}{more})'
    return ["import timm", "", made, "features = model.eval()(images)"]


def _headless(layout: Layout, name: str) -> list[str]:
    """The network without its classifier."""
    if layout == "timm":
        return [f'model = timm.create_model("{name}", num_classes=0)']
    return [f"model = torchvision.models.{name}()", "model.fc = torch.nn.Identity()"]


def _channels(module: Any) -> int:
    return module.stem.conv.in_features


def _check_norm(module: Any, layout: Layout) -> None:
    if module.norm_kind != "batch":
        raise _refusal(layout, f"{type(module).__name__} with layer normalisation")


def _refusal(layout: Layout, what: str) -> UsageError:
    return UsageError(f"layout: {layout} has no {what}; {TOGETHER}.")
