"""The short scripts on attention, on few images: their numbers go the way that the theory says."""

import runpy
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "experiments/attention"


def function(name):
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))[name]


def test_soft_attention_becomes_hard(tmp_path, capsys):
    found = function("temperature")(stored=16, asked=3, inverse_temperatures=(1.0, 30.0, 1000.0), pictures=tmp_path)
    distances, spread = zip(*found.values(), strict=True)
    assert distances[0] > distances[1] > distances[2] < 0.1
    assert 16 >= spread[0] > spread[1] > spread[2] >= 1 and capsys.readouterr().out.count("images read") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"temperature.svg", "temperature_distance.svg"}


def test_an_image_finds_its_other_half(tmp_path):
    errors = function("image_store")(shown=3, pictures=tmp_path)
    assert errors["soft"] < errors["8 nearest"] < errors["mean of all"]
    assert (tmp_path / "image_store.svg").read_text().count("<image") == 18
