"""The short scripts on attention, on few images: their numbers go the way that the theory says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.errors import UsageError

SCRIPTS = Path(__file__).parents[2] / "experiments/attention"


def function(name):
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))[name]


@pytest.mark.slow
def test_soft_attention_becomes_hard(tmp_path, capsys):
    found = function("temperature")(stored=16, queried=3, inverse_temperatures=(1.0, 30.0, 1000.0), pictures=tmp_path)
    distances, spread = zip(*found.values(), strict=True)
    assert distances[0] > distances[1] > distances[2] < 0.1
    assert 16 >= spread[0] > spread[1] > spread[2] >= 1 and capsys.readouterr().out.count("images read") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"temperature.svg", "temperature_distance.svg"}


@pytest.mark.slow
def test_an_image_finds_its_other_half(tmp_path):
    errors = function("image_store")(shown=3, pictures=tmp_path)
    assert errors["soft"] < errors["8 nearest"] < errors["mean of all"]
    assert (tmp_path / "image_store.svg").read_text().count("<image") == 18


@pytest.mark.slow
def test_rotations_learn_too(tmp_path):
    curves = function("rotations")(words=300, dim=16, depth=1, steps=60, every=30, pictures=tmp_path)
    assert set(curves) == {"linear", "rotation"} and (tmp_path / "rotations.svg").exists()
    for curve in curves.values():
        (first, before), (last, after) = curve
        assert (first, last) == (30, 60) and after < before < 4


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_longer_the_string_the_longer_the_step(tmp_path):
    found = function("lengths")(lengths=(2, 16), dim=16, steps=3, batch_size=8, pictures=tmp_path)
    assert set(found) == {"transformer", "GRU, attention", "GRU alone"}
    assert all([row[0] for row in rows] == [2, 16] and 0 <= rows[0][1] <= 1 for rows in found.values())
    assert {path.name for path in tmp_path.iterdir()} == {"lengths_error.svg", "lengths_time.svg"}


@pytest.mark.slow
def test_what_is_lost_in_a_code_and_what_sounds_add(tmp_path):
    found = function("architectures")(
        words=150, unseen=40, dim=16, code=2, steps=2, results=tmp_path / "found.json", pictures=tmp_path
    )
    assert len(found) == 6 and set(found["copy of the noisy word"]) == {"wrong"}
    assert all(0 < value < 100 for kept in found.values() for value in kept["wrong"])
    assert (tmp_path / "architectures.svg").exists() and (tmp_path / "found.json").exists()


def test_vectors_of_one_kind_are_nearest_to_each_other():
    names = runpy.run_path(str(SCRIPTS / "missing_symbol.py"))
    kind = np.array([True] * 5 + [False] * 9)
    vectors = np.random.default_rng(0).normal(size=(14, 6))
    apart = vectors + 9 * np.where(kind, 1, -1)[:, None]
    assert names["nearest_alike"](apart, kind) == 1 and names["as_good"](apart, kind) < 0.01
    assert names["as_good"](vectors, kind) > 0.02
    assert names["nearest_alike"](np.eye(14)[:, :1] + 1.0, kind) <= 1


@pytest.mark.slow
def test_missing_symbols_are_asked_of_words_and_of_sounds(tmp_path):
    found = function("missing_symbol")(
        words=150, unseen=40, dim=8, steps=2, results=tmp_path / "found.json", pictures=tmp_path
    )
    models = {f"{kind}, {model}" for kind in ("letters", "sounds") for model in ("bag of neighbours", "masked")}
    assert models < set(found) and all(0 <= found[name]["right"][0] <= 1 for name in models)
    assert (tmp_path / "missing_symbol.svg").read_text().count("</text>") == 39 + 3


@pytest.mark.slow
def test_syllables_are_counted_and_classified(tmp_path):
    names = runpy.run_path(str(SCRIPTS / "classifier.py"))
    task = names["syllables"](150, 60)
    assert task.classes == 3 and set(np.unique(task.train[1])) == {0, 1, 2}
    bag = names["bag"](np.array([[3, 4, 3, 2, 0]], np.int32), 6)
    np.testing.assert_array_equal(bag, [[2, 1, 0]])
    found = names["classifier"](words=150, unseen=60, steps=2, batch_size=16, results=tmp_path / "found.json")
    assert set(found) == {"most frequent class", "bag of symbols", "transformer"}


def test_texts_are_words_by_frequency(monkeypatch):
    names = runpy.run_path(str(SCRIPTS / "classifier.py"))
    texts = {"train": (("A film, a FILM!", "a bore"), [1, 0]), "test": (("no film",), [1])}
    made = {
        name: names["Texts"](text, np.array(labels, np.int32), ("neg", "pos")) for name, (text, labels) in texts.items()
    }
    monkeypatch.setitem(names["reviews"].__globals__, "open_texts", lambda name: made[name.split(":")[1]])
    task = names["reviews"]("films", longest=3, most=2)
    np.testing.assert_array_equal(task.train[0], [[4, 5, 4, 2], [4, 3, 2, 0]])  # a, film; others are 3.
    np.testing.assert_array_equal(task.test[0], [[3, 5, 2, 0]])
    assert task.symbols == 6 and task.classes == 2


@pytest.mark.slow
def test_with_a_latent_variable_the_energy_is_low_where_outputs_are(tmp_path):
    found = function("latent_variable")(
        examples=256, dim=16, steps=60, batch_size=64, results=tmp_path / "found.json", pictures=tmp_path
    )
    assert found["with z"]["right"] < found["without z"]["right"]
    assert all((tmp_path / f"latent_{name}.svg").read_text().count("<image") == 3 for name in ("with", "without"))


@pytest.mark.slow
def test_gradients_are_direct_with_attention_and_vanish_without(tmp_path):
    found = function("gradients")(
        longest=16, lengths=(4,), dim=8, steps=2, results=tmp_path / "found.json", pictures=tmp_path
    )
    layers = ("tanh", "gru", "lstm", "attention")
    ratios = {layer: found[f"{layer}, gradients"]["ratios"][0] for layer in layers}
    assert max(ratios, key=lambda layer: ratios[layer][-1]) == "attention"
    assert all(of_layer[0] == 1 for of_layer in ratios.values())
    assert all(0 <= found[f"{layer}, recall of 4"]["right"][0] <= 1 for layer in layers)
    assert {path.name for path in tmp_path.glob("*.svg")} == {"gradients.svg", "gradients_recall.svg"}


def test_runs_that_are_there_are_not_made_again(tmp_path):
    run_missing, calls = runpy.run_path(str(SCRIPTS / "missing_runs.py"))["run_missing"], []
    measure = lambda name, seed: calls.append((name, seed)) or {"value": len(name) + seed}  # noqa: E731
    file = tmp_path / "found.json"
    assert run_missing(file, {"steps": (1, 2)}, ["a", "bb"], (0, 3), measure) == {
        "a": {"value": [1, 4]},
        "bb": {"value": [2, 5]},
    }
    run_missing(file, {"steps": (1, 2)}, ["a", "bb"], (0, 1, 3), measure)
    assert calls == [("a", 0), ("a", 3), ("bb", 0), ("bb", 3), ("a", 1), ("bb", 1)]
    with pytest.raises(UsageError, match="holds runs of other settings"):
        run_missing(file, {"steps": 3}, ["a"], (0,), measure)
