"""`ssl-jax pretrain --init`: what cannot be first weights is refused before anything is opened, made or written."""

import functools
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ssl_jax.cli import main
from ssl_jax.commands.init_checks import check_init
from ssl_jax.errors import UsageError
from ssl_jax.interop import write_weights
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import encoder
from ssl_jax.recipes import find, load
from ssl_jax.runs import CHECKPOINTS, default_folder

NOWHERE = {"data": "/nowhere", "image_size": 14, "encoder": "vit_micro/7"}  # To open it would be another sentence.


def made(**options):
    return functools.partial(find("simclr", "demo"), **NOWHERE | options)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    net = encoder("vit_micro/7", image_shape=(14, 14, 3))
    params, stats = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, np.float32), jax.eval_shape(net.init, jax.random.key(0))
    )
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    write_weights(file, "timm", Backbone(net, params, stats), image_size=14)
    return file


def refused(path, make, sentence, run=None):
    with pytest.raises(UsageError, match=f"^init: .*{sentence}") as reason:
        check_init(path, make, run=run)
    assert "\n" not in str(reason.value)


def test_a_file_has_to_hold_the_encoder(file, tmp_path):
    check_init(file, made(), run=None)
    for size in (
        21,
        [14, 21],
        (14, 21),
        "21",
        [21],
    ):  # As in run.json, on the command line, and what the recipe refuses.
        check_init(file, made(encoder="vit_micro", image_size=size), run=None)
    refused(tmp_path / "missing", made(), "there is no .*missing: name the folder of a run, or a safetensors file")
    refused(tmp_path / "missing.pth", made(), "there is no")
    (tmp_path / "x.pth").write_bytes(b"")
    refused(tmp_path / "x.pth", made(), "is a pickle, .*python -c")
    (tmp_path / "y.safetensors").write_bytes(file.read_bytes()[:5000])
    refused(tmp_path / "y.safetensors", made(), "is no whole safetensors file")
    refused(file, made(encoder="resnet18"), "has no ResNet by the names of timm")
    refused(file, made(encoder="vit_tiny"), r"has no blocks\.10\.attn")
    with pytest.raises(UsageError, match=r"encoder: .* has patches of 7 pixels, got vit_tiny/4"):
        check_init(file, made(encoder="vit_tiny/4"), run=None)
    save_file(load_file(file) | {"norm.weight": np.zeros(9, np.float32)}, tmp_path / "y.safetensors")
    refused(tmp_path / "y.safetensors", made(), r"has norm\.weight of shape \(9,\), expected \(64,\)")


def test_a_run_has_to_hold_a_checkpoint_of_the_encoder(tmp_path):
    run = tmp_path / "run"
    refused(tmp_path, made(), r"there is no .*run\.json")
    run.mkdir()
    record = {"method": "simclr", "recipe": "demo", "seed": 0, "arguments": {"encoder": "vit_micro"}}
    (run / "run.json").write_text(json.dumps(record))
    refused(run, made(), "holds no checkpoint yet")
    (run / CHECKPOINTS / "250").mkdir(parents=True)
    check_init(run, made(), run=None)
    check_init(run / "run.json", made(), run=None)
    refused(run, made(encoder="resnet18"), "is vit_micro, but that of the recipe resnet18: choose --encoder vit_micro")


def test_a_run_that_is_resumed_does_not_need_them(tmp_path):
    (tmp_path / "run" / CHECKPOINTS / "250").mkdir(parents=True)
    record = {
        "method": "simclr",
        "recipe": "demo",
        "seed": 0,
        "arguments": {},
        "init": {"path": str(tmp_path / "gone")},
    }
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    check_init(tmp_path / "gone", made(), run=tmp_path / "run")
    refused(tmp_path / "gone", made(), "there is no", run=tmp_path / "other")


def test_the_default_folder_is_that_of_the_run_also_of_a_recipe_in_a_file(tmp_path, monkeypatch):
    """A recipe that a file makes of another has the name that the file gives it, and the module of the other."""
    monkeypatch.chdir(tmp_path)
    imports = "from ssl_jax.composition import variant\nfrom ssl_jax.recipes import simclr\n"
    (tmp_path / "my_recipes.py").write_text(f"{imports}mine = variant(simclr.demo, epochs=1)\n")
    monkeypatch.delitem(sys.modules, "my_recipes", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for make, folder in ((load("my_recipes.py:mine"), "my_recipes-mine"), (find("simclr", "demo"), "simclr-demo")):
        name = make(data="synthetic", image_size=8, encoder="small").name
        assert default_folder(name) == default_folder(make.recipe_name) == Path("runs") / folder
    run = tmp_path / "runs" / "my_recipes-mine"
    (run / CHECKPOINTS / "250").mkdir(parents=True)
    record = {
        "method": "my_recipes",
        "recipe": "mine",
        "seed": 0,
        "arguments": {},
        "init": {"path": str(tmp_path / "gone")},
    }
    (run / "run.json").write_text(json.dumps(record))
    check_init(tmp_path / "gone", functools.partial(load("my_recipes.py:mine")), run=None)


def test_the_command_says_it_first(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["pretrain", "simclr", "--recipe", "demo", "--data", "/nowhere", "--init"]
    for path in ("gone.safetensors", str(file)):
        assert main([*words, path]) == 2
        assert capsys.readouterr().err.startswith("ssl-jax: init: ")
    assert not list(tmp_path.iterdir())
