"""`ssl-jax pretrain --init`: what of a first state comes from a run or a file, and what the run says about it."""

import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.cli import main
from ssl_jax.commands.first_weights import Source, _remedy, first_arrays, starting_from
from ssl_jax.commands.pretraining import _request
from ssl_jax.errors import UsageError
from ssl_jax.interop import write_weights
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import encoder
from ssl_jax.options import Options
from ssl_jax.prepare import prepare
from ssl_jax.recipes import find
from ssl_jax.runs import CHECKPOINTS, open_run
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.integrity import by_name
from ssl_jax.train.state import init_state

SMALL = {"data": "synthetic", "image_size": 14, "batch_size": 64, "epochs": 1.0, "encoder": "vit_micro/7"}


def made(method, **options):
    return functools.partial(find(method, "demo"), **SMALL | options)


def saved(run, make):
    """A run of random weights, each array of its own: the student's and the teacher's differ."""
    recipe = make()
    state = init_state(recipe.method, recipe.optimizer(recipe.steps).transformation, seed=5)
    leaves, structure = jax.tree.flatten((state.params, state.method_state))
    leaves = [leaf + number if leaf.dtype == jnp.float32 else leaf for number, leaf in enumerate(leaves)]
    params, method_state = jax.tree.unflatten(structure, leaves)
    state = state._replace(step=jnp.int32(3), params=params, method_state=method_state)
    with open_run(run, _request(recipe, Options()), resume=True), Checkpoints(run / CHECKPOINTS) as checkpoints:
        checkpoints.save(state, input_state={}, score=None)
    return recipe, named(state)


def named(state):
    return {
        name: np.asarray(leaf) for name, leaf in by_name({"params": state.params, "state": state.method_state}).items()
    }


def started(init, make, tmp_path):
    """The first state from `init`, that without it, the sentence, and what run.json says."""
    recipe, _, batches, _, program = prepare(make, Options(devices=1))
    batches.close()
    about, program_with, sentence = starting_from(init, recipe, program, run=tmp_path / "new")
    state = program_with.init()
    assert int(state.step) == 0
    assert jax.tree.structure(state) == jax.tree.structure(program.like)
    return named(state), named(program.init()), sentence, about


def inside(arrays, place):
    return {name.removeprefix(place): array for name, array in arrays.items() if name.startswith(place)}


def same(first, second):
    assert first.keys() == second.keys() and first
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.mark.slow
def test_a_run_of_the_same_method_gives_heads_and_teacher_too(tmp_path):
    _, source = saved(tmp_path / "run", made("byol"))
    found, _, sentence, about = started(tmp_path / "run", made("byol", epochs=5.0), tmp_path)
    same(found, source)
    assert sentence == f"starting from {tmp_path}/run: encoder, head, predictor, teacher"
    assert about["step"] == 3 and about["path"] == str(tmp_path / "run") and len(about["checksum"]) == 16


@pytest.mark.slow
def test_what_the_loss_carries_starts_anew(tmp_path):
    _, source = saved(tmp_path / "run", made("moco", queue_length=64))
    found, fresh, sentence, _ = started(tmp_path / "run", made("moco", queue_length=64), tmp_path)
    same(inside(found, "state.queues"), inside(fresh, "state.queues"))
    same(inside(found, "state.teacher"), inside(source, "state.teacher"))
    assert sentence.endswith("encoder, head, teacher; new: queues")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "place"),
    [
        (made("ibot", small_size=7), "state.teacher.params.encoder."),  # Its teacher is evaluated.
        (made("simclr"), "params.encoder."),
    ],
)
def test_a_run_of_another_method_gives_its_encoder_to_student_and_teacher(make, place, tmp_path):
    _, source = saved(tmp_path / "run", make)
    found, fresh, sentence, _ = started(tmp_path / "run", made("byol"), tmp_path)
    wanted = {name: array for name, array in inside(source, place).items() if name != "mask_token"}
    same(inside(found, "params.encoder."), wanted)
    same(inside(found, "state.teacher.params.encoder."), wanted)
    same(inside(found, "params.predictor."), inside(fresh, "params.predictor."))
    teacher = inside(source, "state.teacher.params.head.") or inside(found, "params.head.")
    head = inside(found, "state.teacher.params.head.")
    taken = [name for name in teacher if name in head and head[name].shape == teacher[name].shape]
    assert taken and all((head[name] == teacher[name]).all() for name in taken)
    assert "encoder" in sentence and "; new: predictor" in sentence


@pytest.mark.slow
def test_positions_of_another_image_size_are_interpolated(tmp_path):
    recipe, source = saved(tmp_path / "run", made("simclr"))
    found, _, sentence, _ = started(tmp_path / "run", made("simclr", image_size=21), tmp_path)
    net = recipe.method.encoder
    params = jax.tree.map(jnp.asarray, tree_of(inside(source, "params.encoder.")))
    expected, _ = net.apply(params, {}, 3, train=False, method="positions_of")
    np.testing.assert_array_equal(found["params.encoder.positions"], expected)
    assert "new" not in sentence


def tree_of(arrays):
    tree = {}
    for name, array in arrays.items():
        *parts, last = name.split(".")
        inner = tree
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = array
    return tree


@pytest.mark.slow
@pytest.mark.parametrize(("method", "size"), [("byol", 14), ("mae", 21)])
def test_a_file_gives_the_encoder(method, size, tmp_path):
    recipe, source = saved(tmp_path / "run", made("simclr"))
    params = tree_of(inside(source, "params.encoder."))
    backbone = recipe.method.backbone({"encoder": params}, {"encoder": {}})
    write_weights(tmp_path / "x.safetensors", "timm", backbone, image_size=14)
    found, fresh, sentence, about = started(tmp_path / "x.safetensors", made(method, image_size=size), tmp_path)
    encoder = inside(found, "params.encoder.")
    same({name: array for name, array in encoder.items() if name != "mask_token"}, {
        name: array for name, array in inside(source, "params.encoder.").items() if name in encoder
    })  # fmt: skip
    if method == "byol":
        same(inside(found, "state.teacher.params.encoder."), encoder)
        same(inside(found, "params.head."), inside(fresh, "params.head."))
    else:  # Fixed positions, no class token.
        assert not {"positions", "token"} & encoder.keys() and "; new: decoder" in sentence
    assert about["layout"] == "timm" and about["path"] == str(tmp_path / "x.safetensors")


@pytest.mark.slow
def test_convolutions_take_any_image_size(tmp_path):
    _, source = saved(tmp_path / "run", made("simclr", encoder="small"))
    found, _, sentence, _ = started(tmp_path / "run", made("barlow_twins", encoder="small", image_size=20), tmp_path)
    same(inside(found, "params.encoder."), inside(source, "params.encoder."))
    same(inside(found, "state.encoder."), inside(source, "state.encoder."))
    assert sentence.startswith(f"starting from {tmp_path}/run: encoder")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            made("simclr", encoder="small"),
            "does not fit that of the recipe (layer1.conv.kernel is absent, expected 3x3x3x32, and 14 more)",
        ),
        (
            made("simclr", encoder="vit_micro", image_size=28),
            "(embedding.kernel is 147x64, expected 48x64): choose its --encoder with patches of 7 pixels, as in",
        ),
        (made("cpc", encoder="small", image_size=28), "the encoder of"),
    ],
)
def test_another_encoder_is_one_sentence(make, words, tmp_path):
    saved(tmp_path / "run", made("simclr"))
    with pytest.raises(UsageError, match=r"init: the encoder of .* does not fit") as reason:
        started(tmp_path / "run", make, tmp_path)
    assert words in str(reason.value) and "\n" not in str(reason.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer_scale": 1.0}, r"\(block1\.attention_scale is 64, expected absent, and 7 more\)"),
        ({"heads": 8}, r"\(its 8 attention heads, expected 4 attention heads\)"),
    ],
)
def test_an_encoder_that_would_be_another_one_in_the_recipe_is_one_sentence(options, words, tmp_path):
    """All arrays of the recipe's fit: without the gains, or with other heads, they would be those of another function."""
    recipe = made("simclr")()
    net = encoder("vit_micro/7", image_shape=(14, 14, 3), **options)
    like = jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(1).transformation, seed=0))
    params, stats = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(net.init, jax.random.key(0))
    )
    with pytest.raises(UsageError, match=f"init: the encoder of x does not fit that of the recipe {words}"):
        first_arrays(Source({}, Backbone(net, params, stats), {}, None), recipe.method, like, Path("x"))


@pytest.mark.parametrize(("name", "words"), [("nowhere", "there is no"), ("photo.jpg", "is no whole safetensors file")])
def test_what_is_neither_a_run_nor_weights_is_refused_by_the_name_of_the_option(name, words, tmp_path):
    """Once the sentence began with "run: " or "file: ", and the command had a --run, too."""
    (tmp_path / "photo.jpg").write_text("no weights")
    with pytest.raises(UsageError, match=f"^init: .*{words}"):
        starting_from(tmp_path / name, made("simclr")(), None, run=tmp_path / "new")


def test_the_remedy_names_patches_or_the_sizes_of_a_stem():
    def backbone(name, side, **options):
        return Backbone(encoder(name, image_shape=(side, side, 3), **options), {}, {})

    found = _remedy(backbone("vit_micro", 32, patch_size=16), backbone("vit_micro", 32))
    assert found == "choose its --encoder with patches of 16 pixels, as in vit_small/16"
    found = _remedy(backbone("vit_micro", 28, heads=8), backbone("vit_micro", 28))
    assert found.startswith("recipes have those of an encoder's name")
    found = _remedy(backbone("resnet18", 64), backbone("resnet18", 32))
    assert found == "its stem is for images of more than 32 pixels, choose such an --image-size"
    assert _remedy(backbone("resnet18", 64), backbone("vit_micro", 32)) == "choose its --encoder"
    assert _remedy(backbone("resnet34", 64), backbone("resnet18", 64)) == _remedy(None, None) == "choose its --encoder"


@pytest.mark.slow
def test_the_command_records_it_resumes_without_it_and_repeats_it(tmp_path, capsys):
    saved(tmp_path / "old", made("simclr"))
    words = "--data synthetic --image-size 14 --batch-size 64 --encoder vit_micro/7 --devices 1 --epochs 0.25".split()
    command = ["pretrain", "simclr", *words, "--run", f"{tmp_path}/new", "--init", f"{tmp_path}/old"]
    assert main(command) == 0
    record = json.loads((tmp_path / "new/run.json").read_text())
    assert record["init"]["path"] == str(tmp_path / "old") and record["init"]["step"] == 3
    assert f"starting from {tmp_path}/old: encoder, head\n" in capsys.readouterr().err
    shutil.move(tmp_path / "old", tmp_path / "moved")
    assert main(command) == 0  # Finished: it is evaluated again.
    assert main([*command[:-2], "--init", f"{tmp_path}/moved"]) == 2
    assert "holds another run (init is {" in capsys.readouterr().err
    assert main(command[:-2]) == 2
    assert main(["pretrain", "--from", f"{tmp_path}/new/run.json", "--run", f"{tmp_path}/again"]) == 2
    assert f"init: there is no {tmp_path}/old: " in capsys.readouterr().err
