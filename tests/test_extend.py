"""docs/extend.md as a reader follows it: its files, and its commands one after another."""

import json
import re
import sys
from pathlib import Path

import jax
import own_files
import pytest

from ssl_jax.cli import main
from ssl_jax.files import checksum_of

PAGE = (Path(__file__).parents[1] / "docs/extend.md").read_text()
SHORT = "--data synthetic --image-size 28 --batch-size 128 --devices 1".split()
METHOD = ["pretrain", "my_method.py:my_recipe", *SHORT, "--epochs", "1", "--evaluate-every", "2"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files of the page, in the working directory."""
    monkeypatch.chdir(tmp_path)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # As a reader has it.
        yield own_files.write(PAGE, tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_each_file_has_at_most_30_lines(files):
    assert list(files) == ["my_method.py", "my_encoder.py", "my_views.py", "my_data.py"]
    assert max(len(text.splitlines()) for text in files.values()) <= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", re.findall(r"# (my_\w+)\.py", PAGE))
def test_the_commands_run(files, name, capsys):
    commands = re.findall(rf"^    ssl-jax (\w+ (?:{name}\.py|runs/{name}-).*)$", PAGE, re.MULTILINE)
    assert commands
    for words in (command.split() for command in commands):
        assert main(words) == 0, capsys.readouterr().err
        if words[-1] == "--help":
            assert capsys.readouterr().out.count("My method on the digits.") == 1


@pytest.mark.slow
def test_a_run_has_the_checksum_of_its_file_and_says_that_the_file_has_changed(files, capsys):
    assert main([*METHOD, "--run", "mine"]) == 0
    request = json.loads(Path("mine/run.json").read_text())
    assert request["file"] == str(Path("my_method.py").absolute())
    assert request["file_checksum"] == checksum_of("my_method.py")
    capsys.readouterr()
    assert main(["evaluate", "mine"]) == 0 and "has changed" not in capsys.readouterr().err
    with open("my_method.py", "a") as file:
        file.write("# Another word.\n")
    assert main(["evaluate", "mine"]) == 0
    assert (
        "my_method.py, the recipe that run.json names, which has changed since the run was" in capsys.readouterr().err
    )
    del sys.modules["my_method"]
    assert main([*METHOD, "--run", "mine"]) == 0
    said = capsys.readouterr().err
    assert "my_method.py has changed" in said and "resuming from step" in said


def test_sweep_and_plan_take_a_file(files, capsys):
    assert main(["sweep", "my_method.py:my_recipe", "--spread", "1", "2", "--print", "slurm"]) == 0
    assert "my_method.py:my_recipe --spread 2 --seed 0" in capsys.readouterr().out
    assert main(["plan", "my_method.py:my_recipe", "--help"]) == 0
