"""Public losses, ops and evaluations explain each of their arguments themselves; the examples of public functions are right."""

import doctest
import functools
import importlib
import inspect
import pkgutil
import re
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import ssl_jax
from ssl_jax import augment, commands, data, evaluate, interop, losses, networks, ops, optimizers, sequences
from ssl_jax.cli import main
from ssl_jax.composition import DIGITS, Images, Laptop
from ssl_jax.methods.encoder_only import EncoderOnly
from ssl_jax.methods.method import Backbone
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks.given import as_encoder
from ssl_jax.networks.vit import ViT
from ssl_jax.recipes import simclr
from ssl_jax.sequences.transformer import transformer
from ssl_jax.train.mesh import batch_sharding, make_mesh

PUBLIC = {
    f"{folder.__name__}.{name}": getattr(folder, name) for folder in (losses, ops, evaluate) for name in folder.__all__
}
FUNCTIONS = {name: function for name, function in PUBLIC.items() if not inspect.isclass(function)}
ROOT = Path(__file__).parents[1]
CONF = runpy.run_path(str(ROOT / "docs/site/conf.py"))
sys.path.remove(str(ROOT / "docs/site"))


def functions_of(name):
    """The functions on the page of a module, as `described` of conf.py lists them."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    here = [each for each, what in vars(module).items() if getattr(what, "__module__", None) == name and each[0] != "_"]
    found = {f"{name}.{each}": getattr(module, each) for each in listed or here}
    if listed is None and hasattr(module, "__path__") and module is not ssl_jax:
        for each in pkgutil.iter_modules(module.__path__, f"{name}."):
            found |= functions_of(each.name)
    return {name: each for name, each in found.items() if inspect.isfunction(inspect.unwrap(each))}


PAGES = [module for modules in CONF["packages"]((ROOT / "docs/api.md").read_text()).values() for module in modules]
OTHERS = {
    name: function
    for folder in (augment, ops, sequences)
    for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")
    for name, function in functions_of(module.name).items()
    if ">>>" in (function.__doc__ or "")
}
WITH_EXAMPLES = {name: each for page in PAGES for name, each in functions_of(page).items()} | OTHERS
WITH_RUN = ("ssl_jax.load", "ssl_jax.commands.")
SLOW = (*WITH_RUN, "ssl_jax.train.fit")
GLOBALS = {
    "as_encoder": as_encoder, "as_source": data.as_source, "Backbone": Backbone, "batch_sharding": batch_sharding,
    "Batches": data.Batches, "commands": commands, "DIGITS": DIGITS, "encoder": networks.encoder,
    "EncoderOnly": EncoderOnly, "functools": functools, "Images": Images, "interop": interop, "jax": jax, "jnp": jnp,
    "Laptop": Laptop, "linear_head": networks.linear_head, "make_mesh": make_mesh, "np": np, "open_data": data.open_data,
    "Path": Path, "sgd": optimizers.sgd, "SimCLR": SimCLR, "simclr": simclr, "sinkhorn": ops.sinkhorn,
    "transformer": transformer, "ViT": ViT,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Where examples need a trained run."""
    run = tmp_path_factory.mktemp("examples") / "run"
    words = "--data synthetic --image-size 14 --epochs 1 --batch-size 64 --devices 1 --encoder vit_micro/7".split()
    assert main(["pretrain", "simclr", *words, "--run", str(run)]) == 0
    return run


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_explained(name):
    _, _, explanations = inspect.getdoc(FUNCTIONS[name]).partition("Args:\n")
    explained = re.findall(r"^  (\w+(?:, \w+)*): ", explanations, re.M)
    missing = set(inspect.signature(FUNCTIONS[name]).parameters) - set(", ".join(explained).split(", "))
    assert not missing


def test_the_page_of_the_api_lists_what_is_exported():
    exported = {
        f"{folder.__name__}.{name}"
        for folder in (losses, ops, evaluate, networks, optimizers, data)
        for name, _ in inspect.getmembers(folder, inspect.isfunction)
        if name in folder.__all__
    }
    assert exported <= WITH_EXAMPLES.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n.startswith(SLOW) else n for n in WITH_EXAMPLES]
)
def test_every_function_has_an_example_that_prints_what_it_says(name, tmp_path, request):
    """Examples may write to `folder`; those of commands may use `run`, the folder of a run, and `photo`, an image."""
    function = WITH_EXAMPLES[name]
    globs = GLOBALS | {"folder": tmp_path} | vars(importlib.import_module(inspect.unwrap(function).__module__))
    if name.startswith(WITH_RUN):
        Image.new("RGB", (14, 14)).save(tmp_path / "photo.png")
        globs |= {"run": request.getfixturevalue("run"), "photo": tmp_path / "photo.png"}
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(function), globs, name, None, None)
    assert example.examples
    said = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)
