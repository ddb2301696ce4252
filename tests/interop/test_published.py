"""The names that the authors of methods publish, written down here from their code; see ssl_jax/interop/published.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from ssl_jax.commands.importing import encoder_in
from ssl_jax.errors import UsageError
from ssl_jax.interop import arrays_in, described, locate, read_located, write_weights
from ssl_jax.interop.arrays import to_layout
from ssl_jax.interop.names import NAMES
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import resnet, vit
from ssl_jax.networks.resnet import ResNet
from ssl_jax.networks.vit import ViT

NORM = {"weight": (), "bias": (), "running_mean": (), "running_var": (), "num_batches_tracked": None}
RESNET = functools.partial(resnet, (1, 2, 1, 1), bottleneck=True)
VIT = functools.partial(vit, image_size=12, patch_size=4, dim=16, depth=2, heads=2)


def drawn(shapes, prefix="", seed=0):
    """Arrays of these shapes under a prefix; a count where the shape is None."""
    rng = np.random.default_rng(seed)
    return {
        prefix + name: np.zeros((), np.int64) if shape is None else rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def norm(name, width):
    return {f"{name}.{leaf}": shape if shape is None else (width,) for leaf, shape in NORM.items()}


def linear(name, inputs, outputs, *, bias=True):
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def resnet_shapes(depths=(1, 2, 1, 1)):
    """torchvision.models.resnet, which SwAV's src/resnet50.py and VICReg's resnet.py repeat."""
    shapes, inputs = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64), 64
    for stage, depth in enumerate(depths, 1):
        width = 32 * 2**stage
        for number in range(depth):
            block = f"layer{stage}.{number}"
            shapes |= {f"{block}.conv1.weight": (width, inputs, 1, 1), f"{block}.conv2.weight": (width, width, 3, 3)}
            shapes |= {f"{block}.conv3.weight": (4 * width, width, 1, 1)}
            shapes |= norm(f"{block}.bn1", width) | norm(f"{block}.bn2", width) | norm(f"{block}.bn3", 4 * width)
            if number == 0:
                shapes |= {f"{block}.downsample.0.weight": (4 * width, inputs, 1, 1)}
                shapes |= norm(f"{block}.downsample.1", 4 * width)
            inputs = 4 * width
    return shapes


def sequential_shapes():
    """torch.nn.Sequential of the children of torchvision's without the last."""
    children = {"conv1": "0", "bn1": "1"} | {f"layer{stage}": str(stage + 3) for stage in (1, 2, 3, 4)}
    first = {name: name.partition(".") for name in resnet_shapes()}
    return {f"{children[first[name][0]]}.{first[name][2]}": shape for name, shape in resnet_shapes().items()}


def vit_shapes(depth=2, *, gains=None, chunks=False):
    """vision_transformer.py of facebookresearch/dino and of timm."""
    shapes = {"cls_token": (1, 1, 16), "pos_embed": (1, 10, 16), "patch_embed.proj.weight": (16, 3, 4, 4)}
    shapes |= {"patch_embed.proj.bias": (16,), "norm.weight": (16,), "norm.bias": (16,)}
    for number in range(depth):
        block = f"blocks.{number // 2}.{number}" if chunks else f"blocks.{number}"
        shapes |= {f"{block}.{name}.{leaf}": (16,) for name in ("norm1", "norm2") for leaf in ("weight", "bias")}
        shapes |= linear(f"{block}.attn.qkv", 16, 48) | linear(f"{block}.attn.proj", 16, 16)
        shapes |= linear(f"{block}.mlp.fc1", 16, 64) | linear(f"{block}.mlp.fc2", 64, 16)
        shapes |= {f"{block}.{gain}": (16,) for gain in gains or ()}
    return shapes


def dino_head(name="head"):
    layers = linear(f"{name}.mlp.0", 16, 8) | linear(f"{name}.mlp.2", 8, 8) | linear(f"{name}.mlp.4", 8, 4)
    return layers | {f"{name}.last_layer.weight_g": (6, 1), f"{name}.last_layer.weight_v": (6, 4)}


HEAD = linear("0", 2048, 8, bias=False) | norm("1", 8) | linear("3", 8, 8, bias=False)
# Publisher -> encoder, its prefix, its shapes, and those of everything else in the file.
PUBLISHED = {
    "torchvision": (RESNET, "", resnet_shapes(), linear("fc", 2048, 10)),
    "moco v1": (
        RESNET, "module.encoder_q.", resnet_shapes(),
        linear("module.encoder_q.fc", 2048, 8)
        | {f"module.encoder_k.{name}": shape for name, shape in resnet_shapes().items()}
        | linear("module.encoder_k.fc", 2048, 8) | {"module.queue": (8, 16), "module.queue_ptr": (1,)},
    ),
    "moco v2": (
        RESNET, "module.encoder_q.", resnet_shapes(),
        linear("module.encoder_q.fc.0", 2048, 2048) | linear("module.encoder_q.fc.2", 2048, 8)
        | {f"module.encoder_k.{name}": shape for name, shape in resnet_shapes().items()},
    ),
    "moco v3, resnet": (
        RESNET, "module.base_encoder.", resnet_shapes(),
        {f"module.base_encoder.fc.{name}": shape for name, shape in HEAD.items()}
        | {f"module.momentum_encoder.{name}": shape for name, shape in resnet_shapes().items()}
        | {f"module.predictor.{name}": shape for name, shape in HEAD.items()},
    ),
    "moco v3, vit": (
        VIT, "module.base_encoder.", vit_shapes(),
        {f"module.base_encoder.head.{name}": shape for name, shape in HEAD.items()}
        | {f"module.momentum_encoder.{name}": shape for name, shape in vit_shapes().items()},
    ),
    "swav": (
        RESNET, "module.", resnet_shapes(),
        linear("module.projection_head.0", 2048, 8) | norm("module.projection_head.1", 8)
        | linear("module.projection_head.3", 8, 4) | {"module.prototypes.weight": (6, 4)},
    ),
    "barlow twins": (
        RESNET, "module.backbone.", resnet_shapes(),
        {f"module.projector.{name}": shape for name, shape in HEAD.items()}
        | {"module.bn.running_mean": (8,), "module.bn.running_var": (8,), "module.bn.num_batches_tracked": None},
    ),
    "vicreg": (
        RESNET, "module.backbone.", resnet_shapes(),
        linear("module.projector.0", 2048, 8) | norm("module.projector.1", 8) | linear("module.projector.3", 8, 8),
    ),
    "byol": (
        RESNET, "online_encoder.net.", resnet_shapes(),
        {f"{prefix}{name}": shape for prefix in ("net.", "target_encoder.net.") for name, shape in resnet_shapes().items()}
        | linear("online_encoder.projector.0", 2048, 8) | linear("online_predictor.0", 8, 8) | linear("net.fc", 2048, 10),
    ),
    "byol, lightly": (
        RESNET, "backbone.", sequential_shapes(),
        {f"backbone_momentum.{name}": shape for name, shape in sequential_shapes().items()}
        | {f"projection_head.layers.{name}": shape for name, shape in HEAD.items()}
        | {f"prediction_head.layers.{name}": shape for name, shape in HEAD.items()},
    ),
    "byol, sthalles": (
        RESNET, "online_network_state_dict.encoder.", sequential_shapes(),
        {f"target_network_state_dict.encoder.{name}": shape for name, shape in sequential_shapes().items()}
        | {f"online_network_state_dict.projetion.net.{name}": shape for name, shape in HEAD.items()},
    ),
    "byol, solo-learn": (
        RESNET, "state_dict.backbone.", resnet_shapes(),
        {f"state_dict.momentum_backbone.{name}": shape for name, shape in resnet_shapes().items()}
        | {f"state_dict.projector.{name}": shape for name, shape in HEAD.items()} | linear("state_dict.classifier", 2048, 10),
    ),
    "dino": (VIT, "", vit_shapes(), {}),
    "dino, checkpoint": (
        VIT, "teacher.backbone.", vit_shapes(),
        {f"teacher.{name}": shape for name, shape in dino_head().items()}
        | {f"student.module.backbone.{name}": shape for name, shape in vit_shapes().items()}
        | {f"student.module.{name}": shape for name, shape in dino_head().items()} | {"dino_loss.center": (1, 6)},
    ),
    "ibot": (
        functools.partial(VIT, layer_scale=0.1), "", vit_shapes(gains=("gamma_1", "gamma_2")), {"masked_embed": (1, 16)},
    ),
    "dinov2": (
        functools.partial(VIT, layer_scale=1.0), "", vit_shapes(gains=("ls1.gamma", "ls2.gamma")), {"mask_token": (1, 16)},
    ),
    "dinov2, registers": (
        functools.partial(VIT, layer_scale=1.0, registers=3), "",
        vit_shapes(gains=("ls1.gamma", "ls2.gamma")) | {"register_tokens": (1, 3, 16)}, {"mask_token": (1, 16)},
    ),
    "dinov2, checkpoint": (
        functools.partial(VIT, layer_scale=1.0, depth=4), "teacher.backbone.",
        vit_shapes(4, gains=("ls1.gamma", "ls2.gamma"), chunks=True),
        {f"teacher.{name}": shape for name, shape in (dino_head("dino_head") | dino_head("ibot_head")).items()},
    ),
    "mae": (
        VIT, "", vit_shapes(),
        {f"decoder_{name}": shape for name, shape in vit_shapes().items() if name.startswith(("blocks", "norm", "pos"))}
        | {"mask_token": (1, 1, 8)} | linear("decoder_embed", 16, 8) | linear("decoder_pred", 8, 48),
    ),
    "timm, in a model": (VIT, "model.", vit_shapes(), linear("model.head", 16, 10)),
}  # fmt: skip


def canonical(name):
    """The name in timm, of a file of DINOv2 or iBOT, or of the children of a ResNet."""
    for theirs, ours in ((".gamma_1", ".ls1.gamma"), (".gamma_2", ".ls2.gamma"), ("register_tokens", "reg_token")):
        name = name.replace(theirs, ours)
    parts = name.split(".")
    if parts[0].isdigit():
        children = {"0": "conv1", "1": "bn1"} | {str(stage + 3): f"layer{stage}" for stage in (1, 2, 3, 4)}
        return ".".join([children[parts[0]], *parts[1:]])
    return ".".join([parts[0], *parts[2:]]) if parts[0] == "blocks" and parts[2].isdigit() else name


@pytest.mark.parametrize("publisher", PUBLISHED)
def test_the_encoder_of_a_publisher_is_read_bit_by_bit_and_the_rest_is_listed(publisher, tmp_path):
    make, prefix, shapes, rest = PUBLISHED[publisher]
    encoder, others = drawn(shapes, prefix), drawn(rest, seed=1)
    file = tmp_path / "x.safetensors"
    save_file(encoder | others, file)
    net = make()
    kind = type(net.module)
    located = locate(file, load_file(file), kind)
    assert located.prefix == prefix
    read = read_located(file, located, net)
    assert read.unused == sorted(name for name in others if not name.endswith("num_batches_tracked"))
    written = to_layout(read.backbone, NAMES[kind, "timm"])
    expected = {canonical(name.removeprefix(prefix)): value for name, value in encoder.items()}
    if "reg_token" in expected:
        written["pos_embed"] = np.delete(written["pos_embed"], [1, 2, 3], axis=1)
    assert written.keys() == expected.keys()
    assert all((written[name] == value).all() for name, value in expected.items())


@pytest.mark.parametrize("layer_scale", [None, 1.0])
def test_the_modules_of_transformers_5_are_read_as_the_files_that_it_writes(layer_scale, tmp_path):
    """`state_dict()` has names of its own, which `save_pretrained` turns into those of version 4."""
    net = VIT(layer_scale=layer_scale)
    params, stats = net.init(jax.random.key(0))
    layout = "transformers, DINOv2" if layer_scale else "transformers"
    written = to_layout(Backbone(net, params, stats), NAMES[ViT, layout])
    renamed = {f"vit.{in_version_5(name, layout)}": array for name, array in written.items()}
    assert not {f"vit.{name}" for name in written} >= renamed.keys()
    located = locate(tmp_path / "x", renamed, ViT)
    assert located.layout == layout and located.prefix == "vit." and not located.others
    jax.tree.map(np.testing.assert_array_equal, read_located(tmp_path / "x", located, net).backbone.params, params)


def in_version_5(name, layout):
    """Read from the modules of transformers 5.24.0."""
    for part, short in (("query", "q"), ("key", "k"), ("value", "v")):
        name = name.replace(f"attention.attention.{part}.", f"attention.{short}_proj.")
    name = name.replace("attention.output.dense.", "attention.o_proj.")
    if layout == "transformers":
        name = name.replace("encoder.layer.", "layers.").replace(".intermediate.dense.", ".mlp.fc1.")
        name = name.replace(".output.dense.", ".mlp.fc2.")
    return name


def test_arrays_of_bfloat16_are_read_without_a_change(tmp_path):
    net, file = VIT(), tmp_path / "x.safetensors"
    arrays = {name: np.asarray(array, jnp.bfloat16) for name, array in drawn(vit_shapes()).items()}
    content = save({name: array.view(np.uint16) for name, array in arrays.items()})
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].replace(b'"U16"', b'"BF16"')
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    found = arrays_in(file, at_most=2**20)
    read = read_located(file, locate(file, found, ViT), net)
    written = to_layout(read.backbone, NAMES[ViT, "timm"])
    assert written.keys() == arrays.keys()
    assert all((written[name] == array.astype(np.float32)).all() for name, array in arrays.items())


def test_a_prefix_chooses_the_copy(tmp_path):
    file, make = tmp_path / "x.safetensors", PUBLISHED["moco v2"][0]
    arrays = drawn(resnet_shapes(), "module.encoder_q.") | drawn(resnet_shapes(), "module.encoder_k.", seed=1)
    teacher = locate(file, arrays, ResNet, prefix="module.encoder_k.")
    assert (teacher.arrays["conv1.weight"] == arrays["module.encoder_k.conv1.weight"]).all()
    assert "module.encoder_q.conv1.weight" in read_located(file, teacher, make()).unused
    with pytest.raises(
        UsageError, match=r"prefix: got 'module\.', but .* have 'module.encoder_k.', 'module.encoder_q.'"
    ):
        locate(file, arrays, ResNet, prefix="module.")


def test_the_sizes_of_an_encoder_follow_from_its_arrays(tmp_path):
    file = tmp_path / "x"
    found = described(file, locate(file, drawn(resnet_shapes()), ResNet), ResNet)
    assert found == {"channels": 3, "stem": "imagenet", "trained_size": 224}
    small = drawn(resnet_shapes() | {"conv1.weight": (64, 1, 3, 3)})
    assert described(file, locate(file, small, ResNet), ResNet) == {"channels": 1, "stem": "cifar", "trained_size": 32}
    shapes = vit_shapes(gains=("ls1.gamma", "ls2.gamma")) | {"register_tokens": (1, 3, 16)}
    assert described(file, locate(file, drawn(shapes), ViT), ViT) == {
        "channels": 3, "trained_size": 12, "patch_size": 4, "pool": "token", "registers": 3, "layer_scale": True,
        "gated": False,
    }  # fmt: skip
    shapes = {name: shape for name, shape in vit_shapes().items() if name != "cls_token"} | {"pos_embed": (1, 4, 16)}
    found = described(file, locate(file, drawn(shapes), ViT), ViT)
    assert found["pool"] == "mean" and found["trained_size"] == 8 and not found["layer_scale"]
    shapes = vit_shapes() | {f"blocks.{number}.mlp.fc1.weight": (64, 16) for number in (0, 1)}
    shapes |= {f"blocks.{number}.mlp.fc2.weight": (16, 32) for number in (0, 1)}
    assert described(file, locate(file, drawn(shapes), ViT), ViT)["gated"]


def test_where_the_class_token_or_the_registers_have_no_position_it_is_zero(tmp_path):
    """timm's `no_embed_class`, and DINOv2's registers."""
    shapes = vit_shapes() | {"reg_token": (1, 3, 16)}
    for rows, missing in ((9, [0, 1, 2, 3]), (10, [1, 2, 3])):
        arrays = drawn(shapes | {"pos_embed": (1, rows, 16)})
        found = locate(tmp_path / "x", arrays, ViT).arrays["pos_embed"]
        assert found.shape == (1, 13, 16) and not found[0, missing].any()
        np.testing.assert_array_equal(np.delete(found, missing, axis=1), arrays["pos_embed"])


NOT_SQUARE = {"pos_embed": (1, 7, 16)}  # Those of 2 x 3 patches and the class token.


def test_positions_are_of_the_size_that_is_stated(tmp_path):
    file, shapes = tmp_path / "x", vit_shapes() | NOT_SQUARE
    arrays = drawn(shapes)
    for size in ((8, 12), (12, 8)):
        located = locate(file, arrays, ViT, size=size)
        assert described(file, located, ViT, size=size)["trained_size"] == size
        read = read_located(file, located, VIT(image_size=size))
        np.testing.assert_array_equal(read.backbone.params["positions"], arrays["pos_embed"][0])
    with pytest.raises(
        UsageError, match=r"has 7 positions, .* of the images it was trained on, in patches of 4 pixels"
    ):
        described(file, locate(file, arrays, ViT, size=(8, 16)), ViT, size=(8, 16))
    registers = drawn(shapes | {"reg_token": (1, 3, 16)})  # Without positions.
    found = locate(file, registers, ViT, size=(8, 12)).arrays["pos_embed"]
    assert found.shape == (1, 10, 16) and not found[0, 1:4].any()
    square = drawn(vit_shapes())
    assert described(file, locate(file, square, ViT, size=(8, 12)), ViT, size=(8, 12))["trained_size"] == 12


def test_as_many_positions_as_a_square_has_are_not_guessed(tmp_path):
    arrays = drawn(vit_shapes() | {"pos_embed": (1, 17, 16)})
    options = {"arrays": arrays, "image_size": (8, 32)}
    with pytest.raises(
        UsageError, match=r"has 16 positions of patches, as many as images of 16 and of 8 x 32 pixels have"
    ):
        encoder_in(tmp_path / "x", "vit_micro", **options)
    for size in (16, (8, 32), (32, 8)):
        assert encoder_in(tmp_path / "x", "vit_micro", trained_size=size, **options)[1]["trained_size"] == size
    with pytest.raises(UsageError, match=r"trained_size: got 8 x 16, but the positions in .* are those of 16 pixels"):
        encoder_in(tmp_path / "x", "vit_micro", trained_size=(8, 16), **options)


def refused(tmp_path, make, shapes, sentence):
    file, net = tmp_path / "x.safetensors", make()
    with pytest.raises(UsageError, match=sentence) as reason:
        located = locate(file, drawn(shapes), type(net.module))
        described(file, located, type(net.module))
        read_located(file, located, net)
    assert "\n" not in str(reason.value)


@pytest.mark.slow
def test_what_does_not_fit_is_one_sentence(tmp_path):
    both = {f"{prefix}{name}": shape for prefix in ("a.", "b.") for name, shape in vit_shapes().items()}
    without = {name: shape for name, shape in vit_shapes().items() if name != "norm.weight"}
    refused(tmp_path, VIT, resnet_shapes(), "has no ViT by the names of timm, torchvision, transformers or the authors")
    refused(tmp_path, RESNET, vit_shapes(), "has no ResNet by the names")
    refused(tmp_path, VIT, both, "has several encoders, with the prefixes 'a.', 'b.': choose one with --prefix")
    refused(tmp_path, VIT, without, "has no norm.weight: choose")
    refused(tmp_path, VIT, vit_shapes(3), r"has blocks\.2\..* and 7 more in its blocks, which this encoder has not")
    refused(
        tmp_path, RESNET, resnet_shapes((1, 3, 1, 1)), r"has layer2\.2\..* in its blocks, which this encoder has not"
    )
    refused(tmp_path, VIT, vit_shapes(gains=("gamma_1",)), "has blocks.0.ls1.gamma, blocks.1.ls1.gamma in its blocks")
    refused(tmp_path, VIT, vit_shapes() | {"pos_embed": (1, 8, 16)}, "has 8 positions, expected those of a square and")
    refused(tmp_path, VIT, vit_shapes() | {"patch_embed.proj.weight": (16, 48)}, "has no convolution of images")
    refused(tmp_path, VIT, vit_shapes() | {"norm.weight": (17,)}, r"norm.weight of shape \(17,\), expected \(16,\)")


@pytest.mark.parametrize("layout", ["timm", "torchvision", "transformers"])
def test_what_is_exported_is_found_again(layout, tmp_path):
    file, net = tmp_path / "x.safetensors", VIT()
    params, stats = net.init(jax.random.key(0))
    write_weights(file, layout, Backbone(net, params, stats), image_size=12)
    located = locate(file, load_file(file), ViT)
    assert located.layout == layout and described(file, located, ViT)["trained_size"] == 12
    read = read_located(file, located, net)
    assert read.unused == []
    jax.tree.map(np.testing.assert_array_equal, (read.backbone.params, read.backbone.stats), (params, stats))
