"""Names, shapes and features of other libraries, as golden/make_layouts.py wrote them; see golden/README.md."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from golden.drawn import drawn, drawn_images
from safetensors.numpy import load_file, save_file

from ssl_jax.errors import UsageError
from ssl_jax.interop import LAYOUTS, loading_lines, read_weights, write_weights
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import encoder, regnety, resnet, small_convnet, vit
from ssl_jax.networks.given import as_encoder

GOLDEN = Path(__file__).parents[1] / "golden"
LISTED = json.loads((GOLDEN / "layouts.json").read_text())
FEATURES = np.load(GOLDEN / "layouts.npz")
SMALL = functools.partial(vit, image_size=16, patch_size=4, dim=32, depth=3, heads=2, mlp_ratio=2.0)


@functools.cache
def made(name, side, **options):
    return encoder(name, image_shape=(side, side, 3), **options)


def named(name, side=224, **options):
    return functools.partial(made, name, side, **options)


NETS = {
    "timm resnet18": named("resnet18"),
    "timm resnet34": named("resnet34"),
    "timm resnet50": named("resnet50"),
    "timm regnety_004": named("regnety_400mf"),
    "timm regnety_080": named("regnety_8gf"),
    "timm vit_tiny_patch16_224": named("vit_tiny/16"),
    "torchvision resnet18": named("resnet18"),
    "torchvision resnet50": named("resnet50"),
    "torchvision regnet_y_400mf": named("regnety_400mf"),
    "torchvision vit_b_16": named("vit_base/16"),
    "transformers (192, 3, 16)": named("vit_tiny/16"),
    "transformers (768, 12, 16)": named("vit_base/16"),
}
RANDOM = {
    "timm resnet18": named("resnet18"),
    "torchvision resnet50": named("resnet50"),
    "timm regnety_004": named("regnety_400mf"),
    "torchvision regnet_y_400mf": named("regnety_400mf"),
    "timm vit": SMALL,
    "timm vit registers": functools.partial(SMALL, registers=2, layer_scale=1.0),
    "timm vit mean": functools.partial(SMALL, pool="mean"),
    "timm vit gated": functools.partial(SMALL, activation="swiglu"),
    "torchvision vit": SMALL,
    "transformers vit": SMALL,
    "transformers vit mean": functools.partial(SMALL, pool="mean"),
    "transformers vit layer scale": functools.partial(SMALL, layer_scale=1.0),
    "transformers vit registers": functools.partial(SMALL, registers=2, layer_scale=1.0),
    "transformers vit gated": functools.partial(SMALL, activation="swiglu", layer_scale=1.0, mlp_ratio=4.0),
    "transformers resnet18": named("resnet18"),
    "transformers regnety_400mf": named("regnety_400mf"),
}


def test_every_listed_network_is_tested():
    assert set(NETS) == {f"{library} {name}" for library in LAYOUTS for name in LISTED[library]}
    assert set(RANDOM) == set(LISTED["random"]) == set(FEATURES.files)


@pytest.mark.parametrize("case", NETS)
def test_a_file_has_every_name_and_shape_of_the_library(case, tmp_path):
    """Zeros do: the arrays of a large network take long to draw."""
    layout, _, name = case.partition(" ")
    net = NETS[case]()
    params, stats = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes_of(net))
    lines = write_weights(tmp_path / "x.safetensors", layout, Backbone(net, params, stats), image_size=224)
    found = {key: list(array.shape) for key, array in load_file(tmp_path / "x.safetensors").items()}
    assert found == LISTED[layout][name]
    assert layout == "transformers" or name == "vit_b_16" or f'"{name}"' in lines[2] or f".{name}(" in "".join(lines)


def shapes_of(net):
    return jax.eval_shape(net.init, jax.random.key(0))


@pytest.mark.parametrize("case", RANDOM)
def test_features_are_the_librarys_and_a_round_trip_changes_no_bit(case, tmp_path):
    layout, net = case.split()[0], RANDOM[case]()
    weights = {name: drawn(name, tuple(shape)) for name, shape in LISTED["random"][case].items()}
    if case == "timm vit registers":
        weights["pos_embed"][:, 1:3] = 0
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_file(weights, first)
    (_, params, stats), unused = read_weights(first, layout, net)
    images = drawn_images(64 if net.spatial else 16)
    layers, _ = jax.jit(functools.partial(net.apply, train=False))(params, stats, images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(layers["features"], FEATURES[case], rtol=1e-4, atol=1e-4 * FEATURES[case].std())
    write_weights(second, layout, Backbone(net, params, stats), image_size=images.shape[-1])
    again = load_file(second)
    assert not unused and again.keys() == weights.keys()
    assert all(again[name].dtype == array.dtype and (again[name] == array).all() for name, array in weights.items())


def initial(net):
    return Backbone(net, *net.init(jax.random.key(0)))


@pytest.mark.slow
def test_fixed_and_resized_positions_are_written_and_checked(tmp_path):
    file, fixed = tmp_path / "x.safetensors", SMALL(positions="sincos", pool="mean", mask_token=True)
    write_weights(file, "timm", initial(fixed), image_size=16)
    assert load_file(file)["pos_embed"].shape == (1, 16, 32)
    read = read_weights(file, "timm", fixed)
    assert read.unused == [] and (read.backbone.params["mask_token"] == 0).all()
    learned = initial(SMALL(pool="mean"))
    write_weights(file, "timm", learned, image_size=16)
    with pytest.raises(UsageError, match="has learned positions, expected the fixed ones of this network"):
        read_weights(file, "timm", fixed)
    write_weights(file, "timm", learned, image_size=24)
    expected, _ = learned.net.apply(learned.params, learned.stats, 6, train=False, method="positions_of")
    np.testing.assert_array_equal(load_file(file)["pos_embed"][0], expected)
    with pytest.raises(UsageError, match=r"pos_embed of shape \(1, 36, 32\), expected \(1, 16, 32\)"):
        read_weights(file, "timm", learned.net)


@pytest.mark.slow
def test_a_file_in_which_registers_have_positions_is_refused(tmp_path):
    file, registers = tmp_path / "x.safetensors", SMALL(registers=2)
    write_weights(file, "timm", initial(registers), image_size=16)
    save_file(load_file(file) | {"pos_embed": np.ones((1, 19, 32), np.float32)}, file)
    with pytest.raises(UsageError, match="has positions of registers in pos_embed, expected zeros"):
        read_weights(file, "timm", registers)


REFUSED = {
    "timm small": lambda: small_convnet(channels=3),
    "transformers small": lambda: small_convnet(channels=3),
    "transformers resnet18 of 28 pixels": named("resnet18", 28),
    "transformers regnety of other groups": lambda: regnety(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=64),
    "timm resnet18 of 28 pixels": named("resnet18", 28),
    "timm resnet18 with layer norm": named("resnet18", norm="layer"),
    "timm resnet of another width": lambda: resnet((2, 2, 2, 2), bottleneck=False, width=32),
    "timm regnety_400mf of 32 pixels": named("regnety_400mf", 32),
    "torchvision regnety_8gf": named("regnety_8gf"),
    "torchvision vit with swiglu": functools.partial(SMALL, activation="swiglu"),
    "transformers vit with swiglu": functools.partial(SMALL, activation="swiglu"),
    "torchvision vit registers": functools.partial(SMALL, registers=2),
    "torchvision vit layer scale": functools.partial(SMALL, layer_scale=0.1),
    "torchvision vit mean": functools.partial(SMALL, pool="mean"),
    "torchvision vit of one channel": functools.partial(SMALL, channels=1),
    "torchvision vit with relu": functools.partial(SMALL, activation="relu"),
    "transformers vit registers": functools.partial(SMALL, registers=2),
    "transformers vit layer scale mean": functools.partial(SMALL, layer_scale=0.1, pool="mean"),
    "transformers vit of other units": functools.partial(SMALL, layer_scale=0.1, mlp_ratio=2.5),
    "timm given": lambda: as_encoder((lambda rng: {}, lambda params, x: x.mean((1, 2))), image_shape=(8, 8, 3)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_that_a_library_does_not_have_is_one_sentence(case):
    layout = case.split()[0]
    with pytest.raises(UsageError, match=f"layout: {layout} has no .*; docs/weights.md says which") as reason:
        loading_lines(REFUSED[case](), layout, image_size=16)
    assert "\n" not in str(reason.value)


def test_images_that_are_no_squares():
    size = (16, 24)
    assert "img_size=(16, 24)" in "".join(loading_lines(SMALL(layer_scale=0.1), "timm", image_size=size))
    assert "image_size=(16, 24)" in "".join(loading_lines(SMALL(), "transformers", image_size=size))
    for layout, options in (("transformers", {"layer_scale": 0.1}), ("torchvision", {})):
        with pytest.raises(UsageError, match=f"layout: {layout} has no .* images that are no squares: timm has"):
            loading_lines(SMALL(**options), layout, image_size=size)


def test_unknown_layout():
    with pytest.raises(UsageError, match="unknown layout 'tim': did you mean 'timm'"):
        loading_lines(SMALL(), "tim", image_size=16)


def wrong_files(tmp_path):
    file = tmp_path / "x.safetensors"
    write_weights(file, "timm", initial(SMALL()), image_size=16)
    whole, arrays = file.read_bytes(), load_file(file)
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "other.safetensors").write_bytes(b"\x80\x04 a pickle")
    (tmp_path / "huge.safetensors").write_bytes((2**60).to_bytes(8, "little") + b"{}")
    missing = {name: array for name, array in arrays.items() if not name.startswith("blocks.1.")}
    save_file(missing, tmp_path / "missing.safetensors")
    save_file(arrays | {"norm.weight": np.zeros(31, np.float32)}, tmp_path / "shape.safetensors")
    save_file(arrays | {"head.weight": np.zeros((10, 32), np.float32)}, tmp_path / "head.safetensors")


@pytest.mark.slow
def test_wrong_files_are_one_sentence_and_other_names_are_listed(tmp_path):
    wrong_files(tmp_path)
    for name, sentence in {
        "nothing": "cannot be read",
        "cut": "is no whole safetensors file",
        "other": "is no whole safetensors file",
        "huge": "is no whole safetensors file",
        "missing": r"has no blocks\.1\.attn\.proj\.bias, .* and 7 more",
        "shape": r"norm.weight of shape \(31,\), expected \(32,\)",
    }.items():
        with pytest.raises(UsageError, match=f"file: .*{sentence}"):
            read_weights(tmp_path / f"{name}.safetensors", "timm", SMALL())
    assert read_weights(tmp_path / "head.safetensors", "timm", SMALL()).unused == ["head.weight"]


@pytest.mark.parametrize("ending", ["pth", "pt", "bin", "ckpt"])
def test_a_pickle_is_refused_with_the_line_that_converts_it(tmp_path, ending):
    with pytest.raises(
        UsageError,
        match=r'file = ".*x\.\w+"; .*torch\.load\(file, .*weights_only=True\); .*save_file\(.*, ".*x\.safetensors"\)',
    ):
        read_weights(tmp_path / f"x.{ending}", "timm", SMALL())
