"""The script on curated images and scenes, shrunk and run; its page shows its results."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LECTURE = Path(__file__).parents[2] / "experiments/lecture"
SCRIPT = LECTURE / "curated_and_scenes.py"


@pytest.fixture(scope="module")
def names():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.slow
def test_it_runs_what_is_missing(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results.json"
    words = ["--only", "SwAV, scenes, 0.1", "untrained", "--seeds", 0, "--steps", 1, "--images", 130]
    monkeypatch.setattr(sys, "argv", list(map(str, [SCRIPT, *words, "--runs", tmp_path, "--results", results])))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    found = json.loads(results.read_text())
    assert set(found) == {"crops", "SwAV, scenes, 0.1", "untrained"} and "untrained 0 " in capsys.readouterr().out
    of_run, of_untrained = found["SwAV, scenes, 0.1"]["0"], found["untrained"]["0"]
    chance = {"scenes_map_chance", "scenes_iou_chance"}
    assert set(of_run) == set(of_untrained) == chance | {"objects_knn", "objects_linear", "scenes_map", "scenes_iou"}
    assert of_run != of_untrained and all(0 < value <= 1 for value in of_run.values())
    found["untrained"]["0"]["scenes_map"] = 0.125
    results.write_text(json.dumps(found))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert json.loads(results.read_text()) == found


@pytest.mark.slow
def test_crops_of_an_object_show_it_and_crops_of_a_scene_show_others(names):
    objects, scenes = (names["same_class"](data, 0.1, 200) for data in ("objects", "scenes"))
    large = names["same_class"]("scenes", 0.5, 200)
    assert objects > 0.95 and scenes < large < objects
    mask = np.zeros((8, 8), np.uint8)
    mask[:4], mask[6:, :2] = 3, 1
    assert (
        names["main_class"](mask, np.array([0, 0, 8, 8])) == 2
        and names["main_class"](mask, np.array([4, 0, 4, 4])) == 0
    )
    assert names["main_class"](mask, np.array([4, 4, 4, 4])) == -1


def test_rows_of_images_become_one_picture(names, tmp_path):
    rows = {"black": np.zeros((10, 48, 48, 3), np.uint8), "grey": np.full((3, 6, 6, 3), 128, np.uint8)}
    names["write_rows"](tmp_path / "rows.png", rows)
    picture = np.asarray(Image.open(tmp_path / "rows.png"))
    assert picture.shape == (200, 176 + 1000, 3)
    assert not picture[2:98, 176:272].any() and (picture[102:198, 176:272] == 128).all()


def test_the_page_shows_the_results(names):
    found = json.loads((LECTURE / "results/curated_and_scenes.json").read_text())
    page = (LECTURE / "README.md").read_text()
    assert {"crops", *names["SHOWN_CASES"]} <= set(found) <= {"crops", *names["BASELINES"], *names["CASES"]}
    assert names["table"](found) in page and names["crop_table"](found) in page
    for picture in ("curated_crops.png", "curated_and_scenes.png"):
        assert (LECTURE / "pictures" / picture).exists() and f"pictures/{picture}" in page
