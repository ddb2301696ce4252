"""The benchmarks can be found, and the accelerator's parts measure something on a CPU, too."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_every_benchmark_is_listed_with_its_purpose():
    shown = subprocess.run([sys.executable, "-m", "benchmarks", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 1 and shown.stderr.startswith("benchmark: got nonsense, expected one of these.\n")
    helpers = {
        "__main__",
        "machine",
        "timing",
        "torch_steps",
        "lightly_steps",
        "accelerator_parts",
        "ntxent_ring",
        "processes",
    }
    names = {path.stem for path in FOLDER.glob("*.py")} - helpers
    assert {line.split()[0] for line in shown.stderr.splitlines()[2:]} == names
    assert all(f"python benchmarks/{name}.py" in read_me() or f"-m benchmarks {name}" in read_me() for name in names)


def read_me():
    return (FOLDER / "README.md").read_text()


@pytest.mark.slow
def test_parts_of_the_accelerator_benchmark(module):
    measure = module("accelerator_parts").measure
    (views,) = measure("views", quick=True)
    assert views["what"] == "4 x 2 views of 32" and views["milliseconds"] > 0
    (step,) = measure("simclr resnet50 views given", quick=True)
    assert step["images_per_second"] > 0 and {"tflops", "gib_predicted", "gib_peak"} <= step.keys()


@pytest.mark.slow
def test_a_part_that_fails_is_a_row_and_the_page_shows_the_others(module, tmp_path):
    accelerator = module("accelerator")
    (row,) = accelerator.finish(accelerator.start_part("no such part", quick=True, cache=tmp_path), 60)
    assert list(row) == ["error"] and "Error" in row["error"]
    parts = {
        "peaks": [{"what": "float32", "tflops": 50.0}],
        "ntxent": [{"what": "8,192 rows", "tflops": 25.0}],
        "views": [row],
    }
    page = accelerator.page({"about": "a chip", "seconds": 2.0, "cold_seconds": 1.0, "parts": parts})
    assert "| 8,192 rows | 25.0 | 50% |" in page and row["error"] in page


def test_a_recipe_of_a_billion_images_is_named_with_its_encoder_and_its_chips(module):
    recipes = module("recipes")
    name = "swav/seer:regnety_400mf@64"
    assert recipes.parsed(name) == (["swav", "seer"], "regnety_400mf", "64")
    recipe = recipes.at_full_size(name)
    assert (len(recipe.data.train), recipe.batch_size, recipe.method.encoder.width) == (10**9, 64, 440)
    assert recipes.topology_for(name, recipe) == "v5p:8x8x8"
    assert recipes.topology_for("swav/imagenet", recipe) == "v5e:2x2"
