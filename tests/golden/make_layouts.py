"""Writes layouts.json, names and shapes of the encoders of other libraries, and layouts.npz, features of some of them.

    pip install torch==2.14.1 torchvision==0.29.1 timm==1.0.31 transformers==5.24.0
    python tests/golden/make_layouts.py

The tests read the files and need none of these packages. Weights follow from their names (`drawn.py`).
"""

import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
import torchvision
import transformers
from drawn import drawn, drawn_images

HERE = Path(__file__).parent
VIT = {"embed_dim": 32, "depth": 3, "num_heads": 2, "img_size": 16, "patch_size": 4}
SMALL = {
    "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 16, "patch_size": 4,
    "layer_norm_eps": 1e-6,
}  # fmt: skip
DINOV2 = {"mlp_ratio": 2} | {name: value for name, value in SMALL.items() if name != "intermediate_size"}
LISTED = {
    "timm": ["resnet18", "resnet34", "resnet50", "regnety_004", "regnety_080", "vit_tiny_patch16_224"],
    "torchvision": ["resnet18", "resnet50", "regnet_y_400mf", "vit_b_16"],
    "transformers": [(192, 3, 16), (768, 12, 16)],
}


def of_transformers(dim, heads, patch):
    return {"hidden_size": dim, "num_attention_heads": heads, "intermediate_size": 4 * dim, "patch_size": patch}


def vit_model(**options):
    return transformers.ViTModel(transformers.ViTConfig(**options), add_pooling_layer=False)


def of_dinov2(**options):
    config, model = (
        getattr(transformers, f"Dinov2{'WithRegisters' * ('num_register_tokens' in options)}{end}")
        for end in ("Config", "Model")
    )
    return model(config(hidden_size=32, **{**DINOV2, **options}))


def made_of(kind, **options):
    return getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**options))


def file_of(model):
    """The arrays as a file has them: `save_pretrained` of transformers writes other names than the modules have."""
    if not isinstance(model, transformers.PreTrainedModel):
        return model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return safetensors.torch.load_file(f"{folder}/model.safetensors")


def shapes(model):
    """Without the mask token, which is not in the features of whole images."""
    return {name: list(array.shape) for name, array in file_of(model).items() if not name.endswith("mask_token")}


def made(library, name):
    if library == "timm":
        return timm.create_model(name, num_classes=0)
    if library == "transformers":
        return vit_model(**of_transformers(*name))
    model = torchvision.models.get_model(name)
    setattr(model, "heads" if "vit" in name else "fc", torch.nn.Identity())
    return model


def small_torchvision_vit():
    model = torchvision.models.VisionTransformer(16, 4, 3, 2, 32, 64)
    model.heads = torch.nn.Identity()
    return model


RANDOM = {  # Case: the model, and the side of its images.
    "timm resnet18": (partial(made, "timm", "resnet18"), 64),
    "torchvision resnet50": (partial(made, "torchvision", "resnet50"), 64),
    "timm regnety_004": (partial(made, "timm", "regnety_004"), 64),
    "torchvision regnet_y_400mf": (partial(made, "torchvision", "regnet_y_400mf"), 64),
    "timm vit": (partial(timm.create_model, "vit_tiny_patch16_224", num_classes=0, mlp_ratio=2, **VIT), 16),
    "timm vit registers": (
        partial(
            timm.create_model, "vit_tiny_patch16_224", num_classes=0, mlp_ratio=2, reg_tokens=2, init_values=1.0, **VIT
        ),
        16,
    ),
    "timm vit mean": (
        partial(
            timm.create_model, "vit_tiny_patch16_224", num_classes=0, mlp_ratio=2, class_token=False, global_pool="avg",
            fc_norm=False, **VIT,
        ),
        16,
    ),
    "torchvision vit": (small_torchvision_vit, 16),
    "timm vit gated": (
        partial(
            timm.create_model, "vit_tiny_patch16_224", num_classes=0, mlp_ratio=3, mlp_layer=timm.layers.SwiGLUPacked,
            act_layer="silu", **VIT,
        ),
        16,
    ),
    "transformers vit": (partial(vit_model, hidden_size=32, **SMALL), 16),
    "transformers vit mean": (partial(made_of, "IJepa", hidden_size=32, **SMALL), 16),
    "transformers vit layer scale": (of_dinov2, 16),
    "transformers vit registers": (partial(of_dinov2, num_register_tokens=2), 16),
    "transformers vit gated": (partial(of_dinov2, use_swiglu_ffn=True, mlp_ratio=4), 16),
    "transformers resnet18": (
        partial(made_of, "ResNet", hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"), 64
    ),
    "transformers regnety_400mf": (
        partial(made_of, "RegNet", hidden_sizes=[48, 104, 208, 440], depths=[1, 3, 6, 6], groups_width=8), 64
    ),
}  # fmt: skip


def features(make, side):
    """Of a model with drawn weights, and the names and shapes of these."""
    model = make().eval()
    listed = shapes(model)
    weights = {name: torch.from_numpy(drawn(name, shape)) for name, shape in listed.items()}
    if "pos_embed" in weights and "reg_token" in weights:
        registers = weights["reg_token"].shape[1]
        weights["pos_embed"][:, 1 : 1 + registers] = 0  # Ours have no position.
    images = torch.from_numpy(drawn_images(side))
    with torch.no_grad():
        if not isinstance(model, transformers.PreTrainedModel):
            model.load_state_dict(weights)
            return model(images).numpy(), listed
        found = type(model).from_pretrained(None, config=model.config, state_dict=weights).eval()(images)
        if isinstance(model, (transformers.ResNetModel, transformers.RegNetModel)):
            return found.pooler_output.flatten(1).numpy(), listed
        hidden = found.last_hidden_state
        return (hidden.mean(1) if isinstance(model, transformers.IJepaModel) else hidden[:, 0]).numpy(), listed


def main():
    found = {library: {str(name): shapes(made(library, name)) for name in names} for library, names in LISTED.items()}
    arrays, found["random"] = {}, {}
    for case, (make, side) in RANDOM.items():
        arrays[case], found["random"][case] = features(make, side)
        print(f"{case:28}{arrays[case].shape} {arrays[case].std():.3f}")
    packed = json.dumps(found, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / "layouts.json").write_text(packed + "\n")
    np.savez_compressed(HERE / "layouts.npz", **arrays)


if __name__ == "__main__":
    main()
