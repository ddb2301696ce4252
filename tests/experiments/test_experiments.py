"""The experiment scripts, shrunk and run: they cannot rot."""

import dataclasses
import functools
import json
import runpy
import sys
from pathlib import Path

import agreement_picture
import numpy as np
import pytest

from ssl_jax.data import Clips, Data
from ssl_jax.recipes import find

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
AGREEMENT_TABLES = {"agreement": "shares_table", "agreement-cases": "cases_table"}


def script(name, *words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    return runpy.run_path(str(EXPERIMENTS / name), run_name="__main__")


@pytest.mark.slow
def test_simclr_imagenet(tmp_path, monkeypatch, capsys):
    words = "--data synthetic --image-size 16 --stored-size 16 --encoder small --epochs 0.25 --batch-size 64".split()
    script("simclr_imagenet.py", *words, "--run", tmp_path / "run", monkeypatch=monkeypatch)
    assert '"method": "simclr", "recipe": "imagenet"' in capsys.readouterr().out


@pytest.mark.slow
def test_all_methods_runs_what_is_missing(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results.json"
    words = ["--methods", "simclr", "--epochs", 0.25, "--data", "synthetic", "--run", tmp_path, "--results", results]
    script("all_methods.py", *words, "--seeds", 0, monkeypatch=monkeypatch)
    first = json.loads(results.read_text())
    assert list(first["simclr"]) == ["0"] and "few_labels" in capsys.readouterr().out
    script("all_methods.py", *words, "--seeds", 0, monkeypatch=monkeypatch)
    assert json.loads(results.read_text()) == first


def test_all_methods_on_other_data_at_a_stated_budget(tmp_path, monkeypatch, capsys):
    """Every recipe is made, but not run."""

    def pretended(make, options):
        recipe = make()
        fields = {name: {"accuracy": 0.5} for name in ("few_labels", "linear", "knn")}
        features = {"pretrained": fields, "untrained": fields}
        return {"features": features, "steps": recipe.steps, "images_per_second": 1.0, "seconds": 2.0}

    monkeypatch.setattr("ssl_jax.commands.pretrain", pretended)
    monkeypatch.setattr("ssl_jax.runs.read_record", lambda folder: {"device": "none", "started": "now"})
    monkeypatch.chdir(tmp_path)
    results, words = tmp_path / "results.json", ["--data", "synthetic", "--seeds", 0]
    given = [*words, "--steps", 3, "--results", results]
    names = script("all_methods.py", "--methods", "simclr", "avid", *given, monkeypatch=monkeypatch)
    found, said = json.loads(results.read_text()), capsys.readouterr().out
    assert list(found) == ["simclr"] and found["simclr"]["0"]["steps"] == 3 and names["seconds_of"](found) == 2
    assert "avid is left out: data: " in said
    script("all_methods.py", "--methods", "byol", *given, "--hours", 0, monkeypatch=monkeypatch)
    assert "byol, seed 0, is not started: 0 hours are over" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="give one of them"):
        script("all_methods.py", *given, "--epochs", 1, monkeypatch=monkeypatch)
    with pytest.raises(ValueError, match="no_such_data"):
        script(
            "all_methods.py",
            "--data",
            "no_such_data",
            "--methods",
            "simclr",
            "--results",
            results,
            monkeypatch=monkeypatch,
        )


@pytest.mark.slow
def test_emoji_measures_makes_the_table_and_the_picture(tmp_path, monkeypatch):
    """Of untrained weights: `fit` is tested elsewhere."""
    monkeypatch.setattr("ssl_jax.train.fit", lambda *_, program, **__: program.init())
    page, picture, results = tmp_path / "page.md", tmp_path / "picture.png", tmp_path / "results.json"
    page.write_text("Before\n<!-- emoji -->\n<!-- /emoji -->\nafter\n")
    words = ["--methods", "simclr", "--seeds", 0, "--epochs", 0.5, "--data", "synthetic", "--results", results]
    words += ["--page", page, "--picture", picture]
    names = script("emoji.py", *words, monkeypatch=monkeypatch)
    found, text = json.loads(results.read_text()), page.read_text()
    assert found["runs"]["simclr"]["0"]["concepts"]["pretrained"]["retrieval"]["recall_1"]["share"] > 0
    assert names["table"](found) in text and text.count("| *raw pixels* |") == 1 and picture.stat().st_size > 10_000
    with pytest.raises(SystemExit, match="give --choose, too"):
        script("emoji.py", *words, "--settings", "temperature=0.1", monkeypatch=monkeypatch)


def test_the_page_of_emoji_shows_the_results():
    names = runpy.run_path(str(EXPERIMENTS / "emoji.py"))
    results = EXPERIMENTS / "results/emoji.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    assert names["table"](found) in (EXPERIMENTS.parent / "docs/emoji.md").read_text()


@pytest.fixture
def few_clips(monkeypatch):
    """In place of the drawn ones, which are many."""

    def opened(name, *, image_size, strict):
        return Data(name, *(Clips(size=size, side=image_size, seed=size) for size in (192, 48)))

    monkeypatch.setattr("ssl_jax.composition.clips.open_data", opened)


@pytest.mark.slow
def test_sounding_objects(few_clips, tmp_path, monkeypatch, capsys):
    results, picture = tmp_path / "results.json", tmp_path / "picture.svg"
    words = ["--epochs", 1, "--run", tmp_path / "run", "--results", results, "--picture", picture]
    names = script("lecture/sounding_objects.py", *words, monkeypatch=monkeypatch)
    found = json.loads(results.read_text())
    assert 0.2 < found["chance"]["on_shape"] < 0.5 and found["clips"] == 48 and found["pairs"] > 4
    assert {"trained", "untrained", "frame's centre", "chance", "task_accuracy"} <= found.keys()
    assert "| untrained |" in capsys.readouterr().out and picture.read_text().count("<image") == 40
    maps = np.zeros((2, 6, 12))
    maps[[0, 1], [1, 5], [2, 11]] = 1
    np.testing.assert_allclose(names["peaks"](maps, 24), [[6, 10], [22, 46]])
    classes = ("disc flute", "disc reed", "ring reed", "ring bell")
    labels = np.array([0, 3] * 10 + [1, 2] * 5)
    pairs = zip(*names["contrary_pairs"](labels, classes, seed=0), strict=True)
    assert [{labels[a], labels[b]} for a, b in pairs] == [{0, 3}] * 5  # "disc bell" and "ring flute" are no classes


@pytest.mark.slow
def test_agreement(few_clips, tmp_path, monkeypatch, capsys):
    results, picture = tmp_path / "results.json", tmp_path / "picture.svg"
    words = ["--epochs", 2, "--start", 3, "--only", "AVID", "CMA, video", "--run", tmp_path / "run"]
    few = {name: functools.partial(find(name, "demo"), batch_size=32, negatives=8) for name in ("avid", "cma")}
    monkeypatch.setattr("ssl_jax.recipes.find", lambda method, recipe: few[method])
    names = script("lecture/agreement.py", *words, "--results", results, "--picture", picture, monkeypatch=monkeypatch)
    found = json.loads(results.read_text())
    assert found["cases"].keys() == {"AVID", "CMA, video"} and "CMA, video {" in capsys.readouterr().out
    both = found["shares"]["both"]
    assert 0 <= both["class"] <= min(both["outline"], both["timbre"]) <= 1
    assert "| either (the authors' union) |" in names["shares_table"](found) and "| AVID |" in names["cases_table"](
        found
    )
    assert picture.read_text().count("<image") == 56
    relations = agreement_picture.relations(
        np.array([0, 0, 1, 2, 3]), ("disc flute", "disc reed", "ring flute", "ring bell")
    )
    assert relations == ["class", "outline", "timbre", "neither"]
    for changes in names["CASES"].values():
        dataclasses.replace(few["cma"]().method, **changes)


def test_the_page_shows_the_results_about_sounds():
    page = (EXPERIMENTS / "lecture/README.md").read_text()
    for file, marks in (("sounding_objects", {"sounding": "table"}), ("agreement", AGREEMENT_TABLES)):
        names = runpy.run_path(str(EXPERIMENTS / f"lecture/{file}.py"))
        found = json.loads((EXPERIMENTS / f"lecture/results/{file}.json").read_text())
        assert all(names[make](found) in page for make in marks.values())
