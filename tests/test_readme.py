"""Every command, snippet and number of the README is what the code does."""

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from ssl_jax import recipes
from ssl_jax.cli.taking import take
from ssl_jax.commands import read_options

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PRETRAIN = re.findall(r"ssl-jax pretrain (simclr[^\n#]*)", README)


def test_the_methods_are_the_measured_ones():
    script = runpy.run_path(str(ROOT / "experiments/methods_table.py"))
    for page in script["PAGES"]:
        assert script["with_tables"](page) == (ROOT / page).read_text(), "run: python experiments/methods_table.py"


def test_every_method_beats_its_untrained_encoder():
    """Where it was measured: by more than two points, the mean over its seeds, with few labels, linearly and by neighbours."""
    found = json.loads((ROOT / "experiments/results/all_methods.json").read_text())
    assert set(found) <= set(recipes.methods())
    for method, of_seeds in found.items():
        assert of_seeds and set(of_seeds) <= {"0", "1", "2"}, method
        for protocol in ("few_labels", "linear", "knn"):
            trained, untrained = (
                [kept["features"][source][protocol]["accuracy"] for kept in of_seeds.values()]
                for source in ("pretrained", "untrained")
            )
            margin = (sum(trained) - sum(untrained)) / len(of_seeds)
            assert margin > 0.02, (method, protocol, margin)


@pytest.mark.parametrize("line", PRETRAIN)
def test_the_options_exist(line):
    words = line.replace("'", "").split()
    method, name = words.pop(0), take(words, "--recipe") or "demo"
    read_options(recipes.find(method, name), words, prog="ssl-jax")


def test_the_snippet_runs():
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(snippet, names)
    assert float(names["loss"]) > 6.2


def test_the_make_commands_exist():
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_paths_exist():
    for path in re.findall(r"`((?:ssl_jax|experiments|tests)/[\w./]*|[A-Z]+\.md)`", README):
        assert (ROOT / path).exists(), path


def test_the_plain_commands_are_those_of_make():
    makefile = (ROOT / "Makefile").read_text()
    for command in (".venv/bin/ssl-jax pretrain simclr", ".venv/bin/pytest", "-e '.[dev]'"):
        assert command in README and command in makefile
