"""Photographs of one's own: which recipe is chosen for them, and what a run says with and without classes."""

import contextlib
import json
import os

import numpy as np
import pytest
from PIL import Image

from ssl_jax.cli import main
from ssl_jax.commands import chosen_recipe
from ssl_jax.data import open_data

SMALL = "--encoder small --image-size 16 --epochs 1 --devices 1 --log-every 1".split()


def command(capsys, *words):
    code = main(list(map(str, words)))
    said = capsys.readouterr()
    return code, said.out, said.err


def photo(path, seed, size=(90, 70), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(cells).resize(size, Image.Resampling.BILINEAR).convert(mode).save(path)


@pytest.fixture
def album(tmp_path):
    """Two classes of 8 photographs, without a test folder."""
    for number in range(16):
        photo(tmp_path / f"album/{'cat dog'.split()[number % 2]}/{number:02}.jpg", number)
    return tmp_path / "album"


@pytest.fixture
def loose(tmp_path):
    """12 photographs without classes."""
    for number in range(12):
        photo(tmp_path / f"loose/{number:02}.jpg", number)
    return tmp_path / "loose"


@pytest.mark.slow
def test_an_album_of_classes_needs_no_option(album, tmp_path, capsys):
    run = tmp_path / "run"
    code, out, err = command(capsys, "pretrain", "simclr", "--data", album, *SMALL, "--run", run)
    lines, results, request = err.splitlines(), json.loads(out), json.loads((run / "run.json").read_text())
    assert code == 0 and lines[0] == f"{album}: colour images of about 90 x 70 pixels: recipe photos"
    held = "no labelled test images: 4 of 16 images, a fifth of each class, are held out for the evaluation"
    assert lines[1] == f"data: {album}: {held}"
    assert "simclr/photos: encoder small, batch 4, 3 steps (1 epochs), seed 0" in err
    assert request["recipe"] == "photos" and request["arguments"]["batch_size"] is None
    assert 0 <= results["knn"] <= 1 and 0 <= results["linear_probe_pixels"] <= 1 and "label_free_std" not in results
    assert "Nearest neighbours" in err and "Without labels" not in (run / "report.html").read_text()
    features = tmp_path / "features.csv"
    assert command(capsys, "embed", run, "--output", features)[0] == 0
    rows = [line.split(",")[:3] for line in features.read_text().splitlines()[1:]]
    assert {row[0] for row in rows} == set(map(str, album.rglob("*.jpg")))
    assert [row[1] for row in rows] == ["train"] * 12 + ["test"] * 4 and all(f"/{row[2]}/" in row[0] for row in rows)


@pytest.mark.slow
def test_photographs_without_classes_have_neighbours_a_map_and_gauges(loose, tmp_path, capsys):
    run = tmp_path / "run"
    code, out, err = command(capsys, "pretrain", "simclr", "--data", loose, *SMALL, "--run", run)
    results, page = json.loads(out), (run / "report.html").read_text()
    assert code == 0 and results["knn"] is None and results["label_free_collapse"] is None
    assert -1 <= results["label_free_view_correlation"] <= 1 and 1 <= results["label_free_effective_rank"] <= 4
    *_, said, waited, last = err.splitlines()
    assert said.startswith("without labels: correlation of two views ") and said.endswith("no collapse")
    assert waited.startswith("training waited for input ") and last == f"report: {run}/report.html"
    assert "A SimCLR run without labels." in page and "(0 unrelated, 1 the same)</td>" in page
    assert "Nearest neighbours, before and after" in page and "A map of the images" in page
    assert "wrong class" not in page and 'class="notice"' not in page
    with np.load(run / "pictures.npz") as pictures:
        assert pictures["neighbors_after"].shape == (10, 8, 16, 16, 3) and len(pictures["embedding"]) == 12
        assert page.count("<image ") == 2 * len(pictures["embedding_image"]) == 24
        for query, found in zip(pictures["query"], pictures["neighbors_after"], strict=True):
            assert not any((query == image).all() for image in found)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "simclr --recipe demo",
            "recipe: demo is for small images, and {data} holds colour images of about 90 x 70 pixels: "
            "use `ssl-jax pretrain simclr --recipe photos --data {data}`.",
        ),
        ("rotation", "choose --recipe imagenet, or a method with a recipe photos, such as simclr, dino or mae."),
        (
            "jigsaw --recipe demo",
            "recipe: jigsaw has none for a collection of photographs, and {data} holds colour images",
        ),
        ("avid", "holds no clips"),
    ],
)
def test_a_demo_does_not_take_photographs(loose, tmp_path, monkeypatch, capsys, words, sentence):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, out, err = command(capsys, "pretrain", *words.split(), "--data", loose)
    assert code == 2 and out == "" and sentence.format(data=loose) in err and err.count("\n") == 1
    assert not list((tmp_path / "here").iterdir())


def test_other_images_have_the_demo(loose, tmp_path, capsys):
    photo(tmp_path / "grey/1.png", 1, mode="L")
    photo(tmp_path / "icons/1.png", 1, size=(48, 60))
    for data in (
        None,
        "digits",
        "digits:train[:10%]",
        "objects",
        "synthetic",
        "nothing-here",
        tmp_path / "grey",
        tmp_path / "icons",
    ):
        for name in (None, "demo"):
            assert chosen_recipe("simclr", name, data=data and str(data)) == "demo"
    assert capsys.readouterr().err == ""
    assert chosen_recipe("simclr", "cifar", data=str(loose)) == "cifar"
    photo(tmp_path / "grey/2.png", 2)
    assert chosen_recipe("mae", None, data=str(tmp_path / "grey")) == "photos"


@contextlib.contextmanager
def backwards(folder, listed=os.scandir):
    """A file system that lists its folders in another order."""
    with listed(folder) as entries:
        yield sorted(entries, key=lambda entry: entry.name, reverse=True)


def test_the_fifth_that_is_held_out_does_not_depend_on_the_file_system(tmp_path, monkeypatch, capsys):
    """A class of one image is not evaluated, that of two copies is split."""
    names = [f"{name}/{number}.png" for name, count in {"a": 7, "b": 2, "c": 1}.items() for number in range(count)]
    for number, name in enumerate(names):
        photo(tmp_path / name, seed=0 if name[0] == "b" else number)
    first = open_data(str(tmp_path), image_size=8)
    monkeypatch.setattr(os, "scandir", backwards)
    second = open_data(str(tmp_path), image_size=8)
    for one, other in ((first.train, second.train), (first.test, second.test)):
        paths = [[part.path(number) for number in range(len(part))] for part in (one, other)]
        assert paths[0] == paths[1]
    assert first.train.labels.tolist() == [0] * 6 + [1, 2] and first.test.labels.tolist() == [0, 1]
    assert "2 of 10 images, a fifth of each class, are held out" in capsys.readouterr().err


def test_classes_of_one_image_are_a_run_without_accuracies(tmp_path):
    for number in range(6):
        photo(tmp_path / f"{number}/x.png", number)
    assert open_data(str(tmp_path), image_size=8).test is None
