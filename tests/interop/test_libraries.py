"""Every exported encoder is loaded by the lines of its model card, in the libraries themselves, where they are installed.

`python tests/interop/test_libraries.py` prints the table of docs/weights.md.
"""

import functools
import json

import jax
import numpy as np
import pytest

from ssl_jax.interop import write_weights
from ssl_jax.interop.loading import FILE
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import encoder, resnet, vit

LIBRARIES = ("torch", "timm", "torchvision", "transformers")
SMALL = functools.partial(vit, image_size=32, patch_size=4, dim=64, depth=4, heads=4)


def of(name, side, channels=3, **options):
    return functools.partial(encoder, name, image_shape=(side, side, channels), **options), side, channels


CONVOLUTIONAL, ALL, TIMM = ("timm", "torchvision"), ("timm", "torchvision", "transformers"), ("timm",)
CASES = {
    "resnet18": (*of("resnet18", 96), CONVOLUTIONAL),
    "resnet34": (*of("resnet34", 96), CONVOLUTIONAL),
    "resnet50": (*of("resnet50", 96), CONVOLUTIONAL),
    "ResNet-101": (functools.partial(resnet, (3, 4, 23, 3), bottleneck=True), 96, 3, CONVOLUTIONAL),
    "resnet18, 32 pixels": (*of("resnet18", 32), CONVOLUTIONAL),
    "resnet50, 32 pixels": (*of("resnet50", 32), CONVOLUTIONAL),
    "resnet18, 1 channel": (*of("resnet18", 64, 1), CONVOLUTIONAL),
    "regnety_400mf": (*of("regnety_400mf", 96), CONVOLUTIONAL),
    "regnety_400mf, 1 channel": (*of("regnety_400mf", 64, 1), CONVOLUTIONAL),
    "regnety_8gf": (*of("regnety_8gf", 96), TIMM),
    "regnety_32gf": (*of("regnety_32gf", 96), CONVOLUTIONAL),
    "vit_tiny/16": (*of("vit_tiny/16", 224), ALL),
    "vit_small/16": (*of("vit_small/16", 224), ALL),
    "vit_small/8": (*of("vit_small/8", 224), ALL),
    "vit_base/16": (*of("vit_base/16", 224), ALL),
    "vit_large/16": (*of("vit_large/16", 224), ALL),
    "vit_large/14": (*of("vit_large/14", 224), ALL),
    "vit_micro, 28 pixels, 1 channel": (*of("vit_micro", 28, 1), ("timm", "transformers")),
    "vit_tiny/4, 32 pixels": (*of("vit_tiny/4", 32), ALL),
    "vit_small/16, fixed positions": (*of("vit_small/16", 224, positions="sincos"), ALL),
    "vit_small/16 at 192 pixels": (*of("vit_small/16", 224)[:1], 192, 3, ALL),
    "vit_base/16, mean of patches, fixed positions": (*of("vit_base/16", 224, pool="mean", positions="sincos"), TIMM),
    "vit_small/14, registers, layer scale, mask token": (
        functools.partial(
            vit, image_size=224, patch_size=14, dim=384, depth=12, heads=6, registers=4, layer_scale=1e-5, mask_token=True
        ),
        224,
        3,
        TIMM,
    ),
    "ViT with relu": (functools.partial(SMALL, activation="relu"), 32, 3, ("timm", "transformers")),
}  # fmt: skip


def drawn(tree, rng):
    """Every array shows in the features: no gain is zero, no variance one. To initialise a network would take longer."""

    def draw(path, leaf):
        numbers = rng.standard_normal(leaf.shape, np.float32)
        name = path[-1].key
        if name == "kernel":
            return numbers * np.float32((1.5 / np.prod(leaf.shape[:-1])) ** 0.5)
        return (name in ("scale", "var") or name.endswith("_scale")) + 0.1 * (
            abs(numbers) if name == "var" else numbers
        )

    return jax.tree_util.tree_map_with_path(draw, tree)


@functools.lru_cache(1)
def ours(name):
    """The backbone with weights, the images, and its features."""
    make, side, channels, _ = CASES[name]
    net, rng = make(), np.random.default_rng(0)
    params, stats = (drawn(tree, rng) for tree in jax.eval_shape(net.init, jax.random.key(0)))
    images = rng.standard_normal((2, side, side, channels)).astype(np.float32)
    layers, _ = jax.jit(functools.partial(net.apply, train=False))(params, stats, images)
    return Backbone(net, params, stats), images, np.asarray(layers["features"])


def difference(name, layout, file):
    """Largest difference between the features of the library and ours, over the deviation of ours."""
    torch = pytest.importorskip("torch")
    backbone, images, expected = ours(name)
    lines = write_weights(file, layout, backbone, image_size=images.shape[1])
    space = {"images": torch.from_numpy(images.transpose(0, 3, 1, 2).copy())}
    with torch.no_grad():
        exec("\n".join(lines).replace(FILE, json.dumps(str(file))), space)
    found = space["features"].numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / expected.std())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "layout"), [(name, layout) for name, case in CASES.items() for layout in case[3]])
def test_the_library_gives_the_same_features(name, layout, tmp_path):
    for library in LIBRARIES:
        pytest.importorskip(library)
    assert difference(name, layout, tmp_path / "x.safetensors") < 1e-4


def print_table(folder, first, last):
    for name, case in list(CASES.items())[first:last]:
        found = [
            f"{difference(name, layout, folder / 'x.safetensors'):.0e}" if layout in case[3] else "-" for layout in ALL
        ]
        print(f"| {name} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as temporary:
        print_table(Path(temporary), *map(int, sys.argv[1:] or (0, len(CASES))))
