"""`ssl-jax classify`: the classifier of a run, fitted once, saved, and that of a fine-tuned run."""

import errno
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ssl_jax.cli import main
from ssl_jax.commands import classifiers

SIDE = 12
NAMES = ("dark", "light")


def command(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def draw(path, light, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 64, (SIDE, SIDE, 3)) + 180 * light
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    for part, count in (("train", 16), ("test", 8)):
        for number in range(count):
            draw(folder / f"{part}/{NAMES[number % 2]}/{number:02}.png", number % 2, number)
    return folder


@pytest.fixture(scope="module")
def trained(album):
    words = f"--data {album} --image-size {SIDE} --batch-size 16 --epochs 1 --devices 1 --run {album}/../classified"
    assert main(["pretrain", "simclr", *words.split()]) == 0
    return album.parent / "classified"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def mine(tmp_path):
    """Two images, and one that cannot be read."""
    for light, name in enumerate(NAMES):
        draw(tmp_path / f"mine/{name}.png", light, 90 + light)
    (tmp_path / "mine/broken.png").write_text("no image")
    return tmp_path / "mine"


@pytest.mark.slow
def test_a_probe_that_cannot_be_kept_is_used(run, mine, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(classifiers, "write_arrays", refuse)
    code, found, err = command(capsys, "classify", run, mine)
    assert code == 0 and len(found) == 2 and "(Read-only file system): the probe is not kept" in err


@pytest.mark.slow
def test_the_probe_is_fitted_once_and_saved(run, album, mine, monkeypatch, capsys):
    code, lines, err = command(capsys, "classify", run, mine, album / "test/light/01.png")
    assert code == 0
    assert [(line["path"], line["class"]) for line in lines] == [
        (str(mine / "dark.png"), "dark"), (str(mine / "light.png"), "light"), (f"{album}/test/light/01.png", "light")
    ]  # fmt: skip
    for line in lines:
        assert list(line) == ["path", "class", "probability", "probabilities"]
        assert line["probability"] == max(line["probabilities"].values()) > 0.5
        assert abs(sum(line["probabilities"].values()) - 1) < 1e-5 and set(line["probabilities"]) == set(NAMES)
    assert "fitting a linear probe on 16 images of" in err and "accuracy 100.0 ±" in err
    assert "without 1 of 4 images, which cannot be read: " in err and "broken.png" in err
    assert [row.split()[1] for row in err.splitlines() if ".png" in row and "without" not in row] == [
        "dark",
        "light",
        "light",
    ]
    monkeypatch.setattr(classifiers, "linear_probe", None)
    code, again, err = command(capsys, "classify", run, mine, album / "test/light/01.png", "--count", 1)
    assert code == 0 and "fitting" not in err
    assert [line["probability"] for line in again] == [line["probability"] for line in lines]
    assert all(list(line["probabilities"]) == [line["class"]] for line in again)


@pytest.mark.slow
def test_a_fine_tuned_run_classifies_with_its_own_network(run, mine, capsys):
    words = "--epochs 10 --learning-rates 0.03 --batch-size 16 --seed 3".split()
    assert command(capsys, "finetune", run, *words)[0] == 0
    code, lines, err = command(capsys, "classify", run, mine)
    assert code == 0 and "fine-tuned network of 2 classes" in err
    code, linear, err = command(capsys, "classify", run, mine, "--classifier", "linear")
    assert code == 0 and "linear probe of 2 classes" in err
    assert [line["probability"] for line in linear] != [line["probability"] for line in lines]
    assert [line["class"] for line in linear] == list(NAMES)


@pytest.mark.slow
def test_the_saved_network_predicts_what_was_measured(run, album, capsys):
    words = "--epochs 10 --learning-rates 0.03 --batch-size 16 --seed 3".split()
    command(capsys, "finetune", run, *words)
    _, lines, _ = command(capsys, "classify", run, album / "test", "--classifier", "finetuned")
    right = np.mean([f"/{line['class']}/" in line["path"] for line in lines])
    about = json.loads((run / "results.json").read_text())["features"]["pretrained"]["fine_tune"]
    assert right == about["accuracy"] and len(lines) == 8


@pytest.mark.slow
def test_what_cannot_be_classified_is_one_sentence(run, mine, tmp_path, capsys):
    (mine / "empty").mkdir()
    for words, sentence in {
        f"{mine}/nothing.png": f"images: there is no {mine}/nothing.png",
        f"{mine}/empty": "images: none was given",
        "": "images: none was given",
        f"{mine}/broken.png": "images: none of 1 can be read",
        f"{mine} --classifier finetuned": "has no fine-tuned one",
        f"{mine} --data {mine}": "has no labelled training images: name data that have, with --data",
        f"{mine} --count 0": "count: got 0",
    }.items():
        code, lines, err = command(capsys, "classify", run, *words.split())
        assert code == 2 and not lines and sentence in err.splitlines()[-1], err
    assert command(capsys, "classify", run, mine)[0] == 0
    file = run / "classifier.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    code, lines, err = command(capsys, "classify", run, mine)
    assert code == 2 and "classifier.safetensors is no whole safetensors file" in err


@pytest.mark.slow
def test_a_probe_of_other_data_replaces_the_saved_one_and_training_on_discards_it(run, album, mine, capsys):
    assert command(capsys, "classify", run, mine)[0] == 0
    code, lines, err = command(capsys, "classify", run, mine, "--data", album / "train")
    assert code == 0 and "fitting a linear probe on 12 images" in err  # A fifth of each class is held out.
    assert [line["class"] for line in lines] == list(NAMES)
    assert "fitting" not in command(capsys, "classify", run, mine)[2]
    arrays, about = classifiers.read_arrays(run / "classifier.safetensors", at_most=2**20)
    classifiers.write_arrays(run / "classifier.safetensors", arrays, about | {"steps": 99})
    assert "fitting" in command(capsys, "classify", run, mine)[2]
