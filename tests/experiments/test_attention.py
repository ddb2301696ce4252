"""The short scripts on attention, on few images: their numbers go the way that the theory says."""

import runpy
from pathlib import Path

import numpy as np

SCRIPTS = Path(__file__).parents[2] / "experiments/attention"


def function(name):
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))[name]


def test_soft_attention_becomes_hard(tmp_path, capsys):
    found = function("temperature")(stored=16, queried=3, inverse_temperatures=(1.0, 30.0, 1000.0), pictures=tmp_path)
    distances, spread = zip(*found.values(), strict=True)
    assert distances[0] > distances[1] > distances[2] < 0.1
    assert 16 >= spread[0] > spread[1] > spread[2] >= 1 and capsys.readouterr().out.count("images read") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"temperature.svg", "temperature_distance.svg"}


def test_an_image_finds_its_other_half(tmp_path):
    errors = function("image_store")(shown=3, pictures=tmp_path)
    assert errors["soft"] < errors["8 nearest"] < errors["mean of all"]
    assert (tmp_path / "image_store.svg").read_text().count("<image") == 18


def test_rotations_learn_too(tmp_path):
    curves = function("rotations")(words=300, dim=16, depth=1, steps=60, every=30, pictures=tmp_path)
    assert set(curves) == {"linear", "rotation"} and (tmp_path / "rotations.svg").exists()
    for curve in curves.values():
        (first, before), (last, after) = curve
        assert (first, last) == (30, 60) and after < before < 4


def test_right_transcriptions_come_to_cost_less(tmp_path):
    curves = function("energies")(words=300, unseen=50, dim=16, depth=1, steps=60, every=30, pictures=tmp_path)
    last = {name: curve[-1][1] for name, curve in curves.items()}
    assert last["right"] < last["one sound wrong"] < last["nonsense"] and last["right"] < last["another word"]
    assert (tmp_path / "energies.svg").exists()


def test_wrong_transcriptions_are_wrong():
    sounds = np.array([[5, 6, 2, 0], [7, 2, 0, 0]] * 20, np.int32)
    made = runpy.run_path(str(SCRIPTS / "energies.py"))["transcriptions"]
    kinds = made(sounds, symbols=9, random=np.random.default_rng(0))
    assert ((kinds["one sound wrong"] != sounds).sum(axis=1) == 1).all()
    assert ((kinds["nonsense"] >= 3) == (sounds >= 3)).all() and (kinds["nonsense"] < 9).all()


def test_the_longer_the_string_the_longer_the_step(tmp_path):
    found = function("lengths")(lengths=(2, 16), dim=16, steps=3, batch_size=8, pictures=tmp_path)
    assert set(found) == {"transformer", "GRU, attention", "GRU alone"}
    assert all([row[0] for row in rows] == [2, 16] and 0 <= rows[0][1] <= 1 for rows in found.values())
    assert {path.name for path in tmp_path.iterdir()} == {"lengths_error.svg", "lengths_time.svg"}
