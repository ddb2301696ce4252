"""The lines of Python that load an exported file in another library, and the networks that no library has."""

from collections.abc import Callable
from typing import Any, get_args

from ssl_jax.errors import UsageError, pick
from ssl_jax.interop.names import Layout, names_for
from ssl_jax.networks.functional import Net

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
TOGETHER = (
    "ResNets and RegNetY go with timm and torchvision, vision transformers with timm, torchvision and transformers, see "
    "docs/weights.md"
)
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


def loading_lines(net: Net, layout: str, *, image_size: int) -> list[str]:
    """Python that makes `model` and its `features` from `images`; `FILE` in it stands for the quoted path of the file.

    Args:
      net: an encoder of `ssl_jax.networks`.
      layout: one of `LAYOUTS`.
      image_size: pixels of a side of the images.

    Raises:
      UsageError: an unknown layout, or one that has no such network.
    """
    pick("layout", layout, LAYOUTS)
    known: Layout = next(each for each in LAYOUTS if each == layout)
    if names_for(net, known) is None:
        what = type(net.module).__name__ if net.module is not None else "place for a network from outside the package"
        raise _refusal(known, what)
    make: dict[str, Callable[..., list[str]]] = {"ResNet": _resnet, "RegNetY": _regnet, "ViT": _vit}
    return make[type(net.module).__name__](net.module, known, image_size)


def _resnet(module: Any, layout: Layout, image_size: int) -> list[str]:
    name = RESNETS.get((module.depths, module.stage1_block1.bottleneck))
    _check_norm(module, layout)
    if module.stem_kind == "mnist":
        raise _refusal(layout, "stem for 28 pixels: pre-train at 32 pixels or more")
    if name is None or module.stem_width != 64:
        raise _refusal(layout, f"ResNet of depths {module.depths} and width {module.stem_width}")
    channels, cifar = _channels(module), module.stem_kind == "cifar"
    if layout == "timm" and not cifar:
        return _timm(name, {} if channels == 3 else {"in_chans": channels})
    lines = ["import safetensors.torch", "import torch", f"import {layout}", ""]
    lines += _headless(layout, name)
    if cifar:
        lines += [f"model.conv1 = torch.nn.Conv2d({channels}, 64, 3, padding=1, bias=False)"]
        lines += ["model.maxpool = torch.nn.Identity()"]
    elif channels != 3:
        lines += [f"model.conv1 = torch.nn.Conv2d({channels}, 64, 7, stride=2, padding=3, bias=False)"]
    return [*lines, LOAD, "features = model.eval()(images)"]


def _regnet(module: Any, layout: Layout, image_size: int) -> list[str]:
    name = REGNETS.get(module.stages.widths, {}).get(layout)
    _check_norm(module, layout)
    if module.stem_kind != "imagenet":
        raise _refusal(layout, f"RegNetY with the stem {module.stem_kind!r}: pre-train at more than 32 pixels")
    if name is None:
        raise _refusal(layout, f"RegNetY of {module.stages.widths} channels")
    channels = _channels(module)
    if layout == "timm":
        return _timm(name, {} if channels == 3 else {"in_chans": channels})
    lines = ["import safetensors.torch", "import torch", "import torchvision", "", *_headless(layout, name)]
    if channels != 3:
        lines += [f"model.stem[0] = torch.nn.Conv2d({channels}, 32, 3, stride=2, padding=1, bias=False)"]
    return [*lines, LOAD, "features = model.eval()(images)"]


def _vit(module: Any, layout: Layout, image_size: int) -> list[str]:
    block = module.block1
    sizes = (module.width, module.depth, block.attention.heads)
    hidden, channels = block.contract.in_features, module.embedding.in_features // module.patch_size**2
    if block.activation == "swiglu":
        raise _refusal(layout, "file for gated hidden units (swiglu)")
    if layout == "timm":
        return _timm(*_timm_vit(module, sizes, hidden=hidden, channels=channels, image_size=image_size))
    for has, what in (
        (module.token is None, "vision transformer without a class token"),
        (module.registers is not None, "registers"),
        (block.attention_scale is not None, "layer scale"),
        (layout == "torchvision" and channels != 3, f"vision transformer of {channels} channels"),
        (layout == "torchvision" and block.activation != "gelu", f"vision transformer with {block.activation}"),
    ):
        if has:
            raise _refusal(layout, f"{what}: timm has")
    patch = module.patch_size
    if layout == "torchvision":
        made = f"image_size={image_size}, patch_size={patch}, num_layers={sizes[1]}, num_heads={sizes[2]}"
        lines = ["import safetensors.torch", "import torch", "import torchvision", ""]
        lines += [f"model = torchvision.models.VisionTransformer({made}, hidden_dim={sizes[0]}, mlp_dim={hidden})"]
        return [*lines, "model.heads = torch.nn.Identity()", LOAD, "features = model.eval()(images)"]
    made = f"hidden_size={sizes[0]}, num_hidden_layers={sizes[1]}, num_attention_heads={sizes[2]}"
    return [
        "import safetensors.torch",
        "import transformers",
        "",
        "config = transformers.ViTConfig(",
        f"    {made}, intermediate_size={hidden},",
        f"    image_size={image_size}, patch_size={patch}, num_channels={channels},",
        f'    hidden_act="{block.activation}", layer_norm_eps=1e-6,',
        ")",
        f"weights = safetensors.torch.load_file({FILE})",
        "model = transformers.ViTModel.from_pretrained(None, config=config, state_dict=weights, add_pooling_layer=False)",
        "features = model.eval()(images).last_hidden_state[:, 0]",
    ]


def _timm_vit(
    module: Any, sizes: tuple[int, int, int], *, hidden: int, channels: int, image_size: int
) -> tuple[str, dict[str, Any]]:
    """The name of a vision transformer in timm, and the options in which ours differs from it."""
    family, patches = VITS.get(sizes, ("vit_tiny", (16,)))
    patch = module.patch_size if module.patch_size in patches else 16
    options: dict[str, Any] = {}
    if sizes not in VITS:
        options |= dict(zip(("embed_dim", "depth", "num_heads"), sizes, strict=True))
    if hidden != 4 * sizes[0]:
        options["mlp_ratio"] = hidden / sizes[0]
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
        options["act_layer"] = module.block1.activation
    return f"{family}_patch{patch}_224", options


def _timm(name: str, options: dict[str, Any]) -> list[str]:
    given = "".join(f", {key}={value!r}" for key, value in options.items()).replace("'", '"')
    made = f'model = timm.create_model("{name}", checkpoint_path={FILE}, num_classes=0{given})'
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
