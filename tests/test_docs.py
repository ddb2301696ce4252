"""The snippets of the guide run, from top to bottom of each page, and what it points to exists."""

import re
import runpy
from pathlib import Path

import jax
import own_files
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
WITH_SNIPPETS = [page for page in PAGES if "```python" in page.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: page.name)
def test_the_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Where runs are written.
    own_files.write(page.read_text(), tmp_path, monkeypatch)
    names: dict = {}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # As a reader has it.
        for snippet in re.findall(r"```python\n(?!# my_)(.*?)```", page.read_text(), re.DOTALL):
            exec(compile(snippet, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_paths_exist(page):
    text = page.read_text()
    for path in re.findall(r"`((?:ssl_jax|examples|experiments|benchmarks|tests)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
    for script in re.findall(r"^\| `(\w+\.py)` \|", text, re.MULTILINE):
        assert (ROOT / "experiments/attention" / script).exists(), script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pictures_exist(page):
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path


def test_the_differences_from_other_libraries_are_the_measured_ones():
    with_table = runpy.run_path(str(ROOT / "experiments/weights_table.py"))["with_table"]
    text = (ROOT / "docs/weights.md").read_text()
    assert with_table(text) == text, "run: python experiments/weights_table.py"


def test_the_error_rates_are_the_measured_ones():
    with_table = runpy.run_path(str(ROOT / "experiments/attention/speller_table.py"))["with_table"]
    text = (ROOT / "docs/attention.md").read_text()
    assert with_table(text) == text, "run: python experiments/attention/speller_table.py"


@pytest.mark.slow
def test_the_measurements_of_the_short_experiments_are_the_measured_ones():
    with_tables = runpy.run_path(str(ROOT / "experiments/attention/practicum_table.py"))["with_tables"]
    text = (ROOT / "docs/attention.md").read_text()
    assert with_tables(text) == text, "run: python experiments/attention/practicum_table.py"


def test_the_picture_of_the_ring_is_the_drawn_one():
    drawn = runpy.run_path(str(ROOT / "experiments/sharding_picture.py"))
    assert drawn["PAGE"].read_text() == drawn["picture"](), "run: python experiments/sharding_picture.py"
    compared = {(device, keys) for device in range(5) for keys in range(5) if drawn["half"](device, keys) is not None}
    assert all((device, keys) in compared or (keys, device) in compared for device in range(5) for keys in range(5))
    assert len(compared) == 15  # Each pair of devices once, and each device with itself.
