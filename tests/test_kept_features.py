"""Features are computed once for each program, weights and images, and again whenever one of them or the file has changed."""

import os
from collections import OrderedDict
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.commands import kept_features
from ssl_jax.commands.kept_features import KeptFeatures
from ssl_jax.data import ArraySource
from ssl_jax.data.subsets import Subset
from ssl_jax.runs import feature_files

IMAGES = np.random.default_rng(0).integers(0, 256, size=(21, 4, 4, 1), dtype=np.uint8)
LABELS = np.arange(21, dtype=np.int32) % 3
SOURCE = ArraySource("test", ("a", "b", "c"), IMAGES, LABELS)
WEIGHTS = {"scale": jnp.float32(2)}


def scaled(params, state, images):
    return params["scale"] * images.reshape(len(images), -1).astype(jnp.float32)


def layers(params, state, images):
    rows = scaled(params, state, images)
    return OrderedDict(second=rows, first=rows[:, :3])


@pytest.fixture
def computed(monkeypatch):
    """The sources whose features were computed."""
    calls = []

    def encode(extract, params, state, source, **options):
        calls.append(source)
        return original(extract, params, state, source, **options)

    original = kept_features.encode
    monkeypatch.setattr(kept_features, "encode", encode)
    return calls


def ask(run, *, extract=scaled, weights=WEIGHTS, source=SOURCE):
    return KeptFeatures(run).encode(extract, weights, {}, source)


@pytest.mark.parametrize("extract", [scaled, layers])
def test_computed_once(tmp_path, computed, capsys, extract):
    (first, labels), (again, labels_again) = ask(tmp_path, extract=extract), ask(tmp_path, extract=extract)
    assert len(computed) == 1 and capsys.readouterr().err == f"reading features that are kept in {tmp_path}/features\n"
    pairs = zip(first.items(), again.items(), strict=True) if extract is layers else [((0, first), (0, again))]
    for (name, rows), (name_again, rows_again) in pairs:
        assert name == name_again and rows_again.dtype == np.float32
        np.testing.assert_array_equal(rows, rows_again)
    np.testing.assert_array_equal(labels, labels_again)
    assert labels_again.dtype == np.int32


def test_the_run_may_be_named_by_its_run_json(tmp_path, computed):
    (tmp_path / "run.json").write_text("{}")
    ask(tmp_path / "run.json")
    ask(tmp_path)
    assert len(computed) == 1 and len(feature_files(tmp_path)) == 1


def turned(params, state, images):
    return scaled(params, state, images)[:, ::-1]


def changed(array, index):
    return np.where(np.arange(array.size).reshape(array.shape) == index, array + 1, array).astype(array.dtype)


OTHERS = {
    "program": {"extract": turned},
    "weights": {"weights": {"scale": jnp.float32(2.0000002)}},
    "one pixel": {"source": replace(SOURCE, images=changed(IMAGES, 200))},
    "one label": {"source": replace(SOURCE, labels=changed(LABELS, 20))},
    "a part": {"source": Subset(SOURCE, range(20))},
    "names of classes": {"source": replace(SOURCE, classes=("a", "b", "d"))},
}


@pytest.mark.parametrize("other", OTHERS)
def test_computed_again_with_another(tmp_path, computed, other):
    ask(tmp_path)
    features, labels = ask(tmp_path, **OTHERS[other])
    assert len(computed) == 2 and len(features) == len(labels) and len(feature_files(tmp_path)) == 2


@dataclass(frozen=True, eq=False)
class Files(ArraySource):
    """Images that are files, too."""

    folder: object = None

    def path(self, number):
        return self.folder / str(number)


@pytest.mark.parametrize("part", [lambda source: source, lambda source: Subset(source, range(1, 21))])
def test_computed_again_with_another_file(tmp_path, computed, part):
    for number in range(21):
        (tmp_path / str(number)).touch()
    source = Files("files", SOURCE.classes, IMAGES, LABELS, folder=tmp_path)
    for _ in range(2):
        ask(tmp_path, source=part(source))
    assert len(computed) == 1
    os.utime(tmp_path / "13", ns=(1, 1))
    ask(tmp_path, source=part(source))
    assert len(computed) == 2


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def narrower(path):
    np.savez(path, **{"name": np.array(path.stem), "0": np.ones((21, 15), np.float32), "labels": LABELS})


def objects(path):
    np.savez(path, **{"name": np.array(path.stem), "0": np.array([[object()]]), "labels": LABELS})


@pytest.mark.parametrize("damage", [cut, pipe, narrower, objects])
def test_a_damaged_file_is_said_and_replaced(tmp_path, computed, capsys, damage):
    expected, _ = ask(tmp_path)
    (path,) = feature_files(tmp_path)
    damage(path)
    found, _ = ask(tmp_path)
    assert capsys.readouterr().err == f"{path} is damaged: computing these features again\n"
    np.testing.assert_array_equal(found, expected)
    ask(tmp_path)
    assert len(computed) == 2


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "features").touch()
    features, _ = ask(tmp_path)
    assert features.shape == (21, 16) and "features cannot be written" in capsys.readouterr().err


class Unreadable(ArraySource):
    unreadable = frozenset({3})


def test_features_without_the_unreadable_are_not_kept(tmp_path):
    features, _ = ask(tmp_path, source=Unreadable("some", SOURCE.classes, IMAGES, LABELS))
    assert len(features) == 20 and not feature_files(tmp_path)
