"""The shell completes commands, methods, recipes, options and their values."""

import os
import shutil
import subprocess
import sys

import pytest

from ssl_jax.cli import main
from ssl_jax.cli.completion import SCRIPTS


def completed(capsys, *words):
    assert main(["--complete", *words]) == 0
    return capsys.readouterr().out.split()


def test_commands(capsys):
    assert {"pretrain", "data", "list", "--help"} <= set(completed(capsys, ""))
    assert completed(capsys, "data", "") == ["prepare"]


def test_methods_and_recipes(capsys):
    assert {"simclr", "simdino", "simsiam", "mae"} <= set(completed(capsys, "sweep", "sim"))
    assert completed(capsys, "plan", "simclr", "--recipe", "") == [
        "cifar", "demo", "emoji", "imagenet", "imagenet_v2", "photos",
    ]  # fmt: skip


def test_options_are_those_of_the_recipe(capsys):
    found = completed(capsys, "pretrain", "simclr", "--recipe", "imagenet", "--")
    assert {"--scaling", "--temperature", "--strict", "--no-strict", "--run", "--recipe"} <= set(found)
    assert "--scaling" not in completed(capsys, "pretrain", "simclr", "--")
    assert "--packages" in completed(capsys, "data", "prepare", "emoji", "--p")


def test_values_of_an_option(capsys):
    assert completed(capsys, "pretrain", "simclr", "--keys", "") == ["auto", "gather", "ring"]
    assert completed(capsys, "pretrain", "simclr", "--log-to", "w") == ["wandb", "mlflow"]
    assert completed(capsys, "pretrain", "simclr", "--keys", "=", "g") == ["auto", "gather", "ring"]
    assert completed(capsys, "pretrain", "simclr", "--keys", "=") == ["auto", "gather", "ring"]


def test_options_that_the_help_of_a_recipe_lacks(capsys):
    assert completed(capsys, "plan", "--") == ["--recipe", "--from", "--global-batch"]
    assert {"--global-batch", "--topology"} <= set(completed(capsys, "plan", "simclr", "--"))
    assert "--scaling" in completed(capsys, "pretrain", "simclr", "--recipe=imagenet", "--")


@pytest.mark.parametrize(
    "line",
    ["evaluate ", "pretrain file.py:name --", "pretrain simclr --run ", "nothing ", "list ", "finetune RUN --data "],
)
def test_names_of_files_are_left_to_the_shell(line, capsys):
    assert completed(capsys, *line.split(" ")) == []


def test_an_unknown_recipe_has_no_options(capsys):
    assert completed(capsys, "pretrain", "simclr", "--recipe", "nothing", "--") == ["--recipe", "--from"]


@pytest.mark.parametrize("words", [["--print-completion"], ["--print-completion", "fish"]])
def test_an_unknown_shell_is_refused(words, capsys):
    assert main(words) == 2 and "choose one of: bash, zsh." in capsys.readouterr().err


@pytest.fixture
def program(tmp_path, monkeypatch):
    """`ssl-jax` on the path."""
    file = tmp_path / "ssl-jax"
    file.write_text(f"#!{sys.executable}\nimport sys\nfrom ssl_jax.cli import main\nsys.exit(main())\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


BASH = """
eval "$(ssl-jax --print-completion bash)"
complete -p ssl-jax
COMP_WORDS=(ssl-jax pretrain sim) COMP_CWORD=2
_ssl_jax ssl-jax sim pretrain
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_a_method(program, capsys):
    main(["list"])  # Kept: the shell does not wait for jax.
    ended = subprocess.run(["bash", "--norc", "-c", BASH], capture_output=True, text=True, check=True)
    assert ended.stdout.split("\n")[1:] == ["simclr", "simdino", "simsiam", ""], ended.stderr
    assert "-F _ssl_jax ssl-jax" in ended.stdout


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_the_script_of_zsh_is_read(tmp_path):
    (tmp_path / "script").write_text(SCRIPTS["zsh"])
    assert subprocess.run(["zsh", "-n", str(tmp_path / "script")], check=False).returncode == 0
