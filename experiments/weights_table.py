"""The table of docs/weights.md: every encoder in the libraries of PyTorch, and theirs in ours, by the features of both.

    pip install -e '.[torch-export]'
    python experiments/weights_table.py              # all of the encoders: half an hour on one core
    python experiments/weights_table.py resnet18     # the rows that begin so

A row is one encoder with random weights, gains and statistics, and two random images. "out" is `write_weights`, and the
features of the model that the lines of the model card make. "in" is that model with other random numbers, saved as the library
saves it, and the features of the run that `ssl-jax import` makes of it; `read_weights` where the encoder has no name.
"""

import functools
import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ssl_jax.commands.importing import import_weights
from ssl_jax.commands.saved_run import restore
from ssl_jax.files import filled, write_atomically
from ssl_jax.interop import LAYOUTS, read_weights, write_weights
from ssl_jax.interop.loading import FILE
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import Net, encoder, resnet, vit
from ssl_jax.sizes import size_of

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs/weights.md", ROOT / "experiments/results/weights.json"
LIBRARIES = ("torch", "torchvision", "timm", "transformers")
PACKAGES = ("jax", *LIBRARIES)
ALL, NOT_TORCHVISION, TIMM = LAYOUTS, ("timm", "transformers"), ("timm",)


class Case(NamedTuple):
    """make: the network. sides: height and width of the images. layouts: that have it. name: of the encoder, for import, and
    its options."""

    make: Callable[[], Net]
    sides: tuple[int, int]
    channels: int
    layouts: tuple[str, ...]
    name: str | None
    options: Mapping[str, Any] = {}


def of(name: str, side: int, layouts: tuple[str, ...], *, channels: int = 3, width: int = 0, **options: Any) -> Case:
    """An encoder by its name; images of `side` rows and of `width` columns, of `side` where it is not given."""
    sides = (side, width or side)
    make = functools.partial(encoder, name, image_shape=(*sides, channels), **options)
    return Case(make, sides, channels, layouts, name, options)


def small_vit(layouts: tuple[str, ...], **options: Any) -> Case:
    make = functools.partial(vit, image_size=32, patch_size=4, dim=64, depth=4, heads=4, **options)
    return Case(make, (32, 32), 3, layouts, None)


CASES = {
    "resnet18": of("resnet18", 96, ALL),
    "resnet34": of("resnet34", 96, ALL),
    "resnet50": of("resnet50", 96, ALL),
    "ResNet-101": Case(functools.partial(resnet, (3, 4, 23, 3), bottleneck=True), (96, 96), 3, ALL, None),
    "resnet18, 96 x 160 pixels": of("resnet18", 96, ALL, width=160),
    "resnet18, 32 pixels": of("resnet18", 32, ALL),
    "resnet18, 32 pixels, padding of 2": of("resnet18", 32, ALL, stem_padding=2),
    "resnet50, 32 pixels": of("resnet50", 32, ALL),
    "resnet18, 1 channel": of("resnet18", 64, ALL, channels=1),
    "regnety_400mf": of("regnety_400mf", 96, ALL),
    "regnety_400mf, 96 x 160 pixels": of("regnety_400mf", 96, ALL, width=160),
    "regnety_400mf, 1 channel": of("regnety_400mf", 64, ALL, channels=1),
    "regnety_8gf": of("regnety_8gf", 96, NOT_TORCHVISION),
    "regnety_32gf": of("regnety_32gf", 64, ALL),
    "vit_tiny/16": of("vit_tiny/16", 224, ALL),
    "vit_small/16": of("vit_small/16", 224, ALL),
    "vit_small/8": of("vit_small/8", 224, ALL),
    "vit_base/16": of("vit_base/16", 224, ALL),
    "vit_large/14": of("vit_large/14", 224, ALL),
    "vit_micro/7, 28 pixels, 1 channel": of("vit_micro/7", 28, NOT_TORCHVISION, channels=1),
    "vit_tiny/4, 32 pixels": of("vit_tiny/4", 32, ALL),
    "vit_tiny/8, 64 x 96 pixels": of("vit_tiny/8", 64, NOT_TORCHVISION, width=96),
    "vit_tiny/8, 64 x 96 pixels, fixed positions, mean": of(
        "vit_tiny/8", 64, NOT_TORCHVISION, width=96, positions="sincos", pool="mean"
    ),
    "vit_tiny/8, 64 x 96 pixels, layer scale, registers": of(
        "vit_tiny/8", 64, TIMM, width=96, layer_scale=1.0, registers=4
    ),
    "vit_small/16, fixed positions": of("vit_small/16", 224, ALL, positions="sincos"),
    "vit_small/16 at 192 pixels": of("vit_small/16", 224, ALL)._replace(sides=(192, 192)),
    "vit_base/16, mean of patches, fixed positions": of(
        "vit_base/16", 224, NOT_TORCHVISION, pool="mean", positions="sincos"
    ),
    "vit_small, patches of 14, layer scale": of("vit_small", 224, NOT_TORCHVISION, patch_size=14, layer_scale=1.0),
    "the same, registers, mask token": of(
        "vit_small", 224, NOT_TORCHVISION, patch_size=14, layer_scale=1e-5, registers=4, mask_token=True
    ),
    "vit_tiny/8, 64 pixels, registers": of("vit_tiny/8", 64, TIMM, registers=4),
    "vit_tiny/8, 64 pixels, gated (swiglu)": of("vit_tiny/8", 64, TIMM, activation="swiglu"),
    "the same, layer scale": of("vit_tiny/8", 64, NOT_TORCHVISION, activation="swiglu", layer_scale=1.0),
    "ViT with relu": small_vit(NOT_TORCHVISION, activation="relu"),
}  # fmt: skip


def drawn(tree: Any, rng: np.random.Generator) -> Any:
    """Every array shows in the features: no gain is zero, no variance one. To initialise a network would take longer."""

    def draw(path: Any, leaf: Any) -> np.ndarray:
        numbers = rng.standard_normal(leaf.shape, np.float32)
        name = path[-1].key
        if name == "kernel":
            return numbers * np.float32((1.5 / np.prod(leaf.shape[:-1])) ** 0.5)
        gain = name in ("scale", "var") or name.endswith("_scale")
        return gain + np.float32(0.1) * (abs(numbers) if name == "var" else numbers)

    return jax.tree_util.tree_map_with_path(draw, tree)


@functools.lru_cache(1)
def ours(name: str) -> tuple[Backbone, np.ndarray, np.ndarray]:
    """The backbone with weights, the images, and its features."""
    case, rng = CASES[name], np.random.default_rng(0)
    net = case.make()
    params, stats = (drawn(tree, rng) for tree in jax.eval_shape(net.init, jax.random.key(0)))
    images = rng.standard_normal((2, *case.sides, case.channels)).astype(np.float32)
    backbone = Backbone(net, params, stats)
    return backbone, images, features_of(backbone, images)


def features_of(backbone: Backbone, images: np.ndarray) -> np.ndarray:
    apply = jax.jit(functools.partial(backbone.net.apply, train=False))
    return np.asarray(apply(backbone.params, backbone.stats, images)[0]["features"])


def theirs(lines: list[str], file: Path, images: np.ndarray) -> tuple[Any, np.ndarray]:
    """The model that the lines of a model card make of a file, and its features."""
    import torch  # noqa: PLC0415  # Not in the environment of the tests.

    space: dict[str, Any] = {"images": torch.from_numpy(images.transpose(0, 3, 1, 2).copy())}
    with torch.no_grad():
        exec("\n".join(lines).replace(FILE, json.dumps(str(file))), space)
    return space["model"], space["features"].numpy()


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest, over the deviation of the features."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / expected.std())


def redrawn(model: Any) -> None:
    """Random numbers in every array of a model of PyTorch, statistics of batch norms, too."""
    import torch  # noqa: PLC0415

    torch.manual_seed(1)
    with torch.no_grad():
        for name, array in model.state_dict().items():
            if not array.is_floating_point():
                continue
            gain = array.ndim == 1 and not name.endswith(("bias", "running_mean"))
            kernel = array.ndim > 1 and name.endswith("weight")
            spread = (1.5 / array[0].numel()) ** 0.5 if kernel else 0.1
            numbers = torch.randn_like(array) * spread
            array.copy_(numbers.abs() + 1 if name.endswith("running_var") else numbers + gain)
        if getattr(model, "reg_token", None) is not None:  # Ours have no position.
            model.pos_embed[:, 1 : 1 + model.reg_token.shape[1]] = 0


def saved(model: Any, folder: Path) -> Path:
    """The file that a library writes of a model."""
    import safetensors.torch  # noqa: PLC0415

    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
        return folder / "model.safetensors"
    safetensors.torch.save_file(model.state_dict(), folder / "saved.safetensors")
    return folder / "saved.safetensors"


def imported(case: Case, layout: str, file: Path, folder: Path) -> Backbone:
    """A file in a network of ours; no array of it is left over."""
    if case.name is None:
        backbone, unused = read_weights(file, layout, case.make())
    else:
        size = size_of(*case.sides)
        unseen: dict[str, Any] = {} if isinstance(size, int) else {"image_size": size}  # That of squares follows.
        unseen |= {key: kept for key, kept in case.options.items() if key == "stem_padding"}
        unused = import_weights(file, encoder=case.name, run=folder / "run", **unseen)["unused"]
        _, recipe, state, _ = restore(folder / "run", None)
        backbone = recipe.method.backbone(*jax.device_get((state.params, state.method_state)))
    assert not [each for each in unused if not each.endswith("mask_token")], unused
    return backbone


def differences(name: str, layout: str) -> tuple[float, float]:
    """Of the features, for our weights in the library and for the library's in ours."""
    import torch  # noqa: PLC0415

    backbone, images, expected = ours(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder, file = Path(temporary), Path(temporary) / "x.safetensors"
        lines = write_weights(file, layout, backbone, image_size=size_of(*images.shape[1:3]))
        model, found = theirs(lines, file, images)
        out = difference(found, expected)
        redrawn(model)
        back = imported(CASES[name], layout, saved(model, folder), folder)
        space = {"model": model, "images": torch.from_numpy(images.transpose(0, 3, 1, 2).copy())}
        with torch.no_grad():
            exec(lines[-1], space)  # The line that computes features.
        return out, difference(features_of(back, images), space["features"].numpy())


def table() -> str:
    """The part of the page."""
    kept = json.loads(RESULTS.read_text())
    packages = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    head = f"| encoder | {' | '.join(f'{layout} out | {layout} in' for layout in LAYOUTS)} |"
    rows = []
    for name, found in kept["differences"].items():
        cells = [cell for layout in LAYOUTS for cell in _cells(found.get(layout))]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    about = f"Float32 on a CPU, {kept['date']}, {packages} (`python experiments/weights_table.py`)."
    return "\n".join([about, "", head, "|---|" + "---|" * 2 * len(LAYOUTS), *rows])


def _cells(pair: list[float] | None) -> list[str]:
    return ["-", "-"] if pair is None else [f"{number:.0e}" for number in pair]


def with_table(page: str) -> str:
    return filled(page, {"differences": table()})


def measure(names: list[str]) -> None:
    """Rows of these names in the file of results, the others as they were."""
    found = json.loads(RESULTS.read_text())["differences"] if RESULTS.exists() else {}
    for name in names:
        found[name] = {layout: differences(name, layout) for layout in CASES[name].layouts}
        print(f"{name:55}{found[name]}", flush=True)
        versions = {package: importlib.metadata.version(package) for package in PACKAGES}
        rows = {each: found[each] for each in CASES if each in found}
        kept = {"date": time.strftime("%Y-%m-%d"), "versions": versions, "differences": rows}
        write_atomically(RESULTS, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    beginnings = tuple(sys.argv[1:]) or ("",)
    measure([name for name in CASES if name.startswith(beginnings) and name in CASES])
    write_atomically(PAGE, with_table(PAGE.read_text()))
