"""Every page of help fits a terminal of 80 columns."""

import inspect

import pytest

from ssl_jax import recipes
from ssl_jax.cli import main, signatures
from ssl_jax.cli.usage import USAGE

PAGES = [
    "--help", "pretrain --help", "plan --help", "sweep --help", "evaluate --help", "finetune --help", "classify --help",
    "embed --help", "neighbors --help", "export --help", "import --help", "report --help", "compare --help",
    "watch --help", "data prepare --help", "doctor --help", "plan simclr --help", "sweep simclr --help",
    *(f"pretrain {method} --help" for method in recipes.methods()),
]  # fmt: skip


@pytest.fixture(autouse=True)
def terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("words", PAGES)
def test_help_is_at_most_80_columns_wide(words, capsys):
    assert main(words.split()) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 3 and not [line for line in printed if len(line) > 80]


def test_every_command_has_a_page():
    commands = {line.split()[1] for line in USAGE.splitlines() if line.startswith("  ssl-jax ")}
    assert commands - {"list"} == {page.split()[0] for page in PAGES} - {"--help"}
    functions = [
        name
        for name, each in inspect.getmembers(signatures, inspect.isfunction)
        if each.__module__ == signatures.__name__
    ]
    assert len(functions) == len(commands - {"list", "pretrain", "plan", "sweep"})
