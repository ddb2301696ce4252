"""What holds for every file of the project."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = {".py", ".md", ".toml", ".yml", ".txt", ""}


def project_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if Path(name).suffix in TEXT and (ROOT / name).is_file()]


def test_no_file_names_a_machines_path():
    pattern = re.compile(r"(?<![\w.])/(?:tmp|work|home|root)/")
    named = [
        path for path in project_files() if path != Path(__file__) and pattern.search(path.read_text(errors="ignore"))
    ]
    assert not named


def test_the_embedded_images_are_small_and_their_licence_lies_beside_them():
    folder = ROOT / "ssl_jax/data/embedded"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 8e6
    assert all((data / "LICENSE.md").is_file() for data in folder.iterdir())


def test_the_citation_is_that_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_setup_py_prints_the_version_or_which_setuptools_it_needs():
    """Python 3.11's venv brings setuptools 65, which cannot read the licences in pyproject.toml."""
    ended = subprocess.run([sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if ended.returncode:
        assert "is too old, expected 77 or newer" in ended.stderr and ended.stderr.count("\n") == 1
    else:
        assert ended.stdout.splitlines()[-1] == version
