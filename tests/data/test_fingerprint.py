"""The fingerprint of a data set: equal for equal examples, another one for each way in which examples change."""

import shutil

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import ArraySource, Data, open_data
from ssl_jax.data.channels import with_channels
from ssl_jax.data.fingerprint import fingerprint, spread
from ssl_jax.data.subsets import Subset

CLASSES = ("cat", "dog")


def folder_of_images(root, *, seed=0):
    random = np.random.default_rng(seed)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def paint(root):
    """One pixel of a file, whose size stays as it is."""
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "cat/0.bmp")
    before = (root / "cat/0.bmp").stat().st_size, fingerprint(open_data(str(root)))
    pixels = np.zeros((8, 8), np.uint8)
    pixels[3, 3] = 1
    Image.fromarray(pixels).save(root / "cat/0.bmp")
    assert (root / "cat/0.bmp").stat().st_size == before[0]
    assert fingerprint(open_data(str(root))) != before[1]


def swap(root):
    (root / "cat").rename(root / "other")
    (root / "dog").rename(root / "cat")
    (root / "other").rename(root / "dog")


CHANGES = {
    "a pixel": paint,
    "classes swapped": swap,
    "a file less": lambda root: (root / "cat/0.png").unlink(),
    "a file renamed": lambda root: (root / "cat/0.png").rename(root / "cat/7.png"),
    "a class renamed": lambda root: (root / "cat").rename(root / "kitten"),
    "a file copied": lambda root: shutil.copy(root / "cat/0.png", root / "cat/9.png"),
}


def test_equal_folders_have_one_fingerprint(tmp_path):
    first, second = (fingerprint(open_data(str(folder_of_images(tmp_path / name)))) for name in "ab")
    assert first == second
    assert {name: value for name, value in first.items() if "checksum" not in name} == {
        "train_examples": 4,
        "train_shape": "8x8x1",
        "train_classes": 2,
        "test_examples": 2,
        "test_shape": "8x8x1",
        "test_classes": 2,
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_changes(tmp_path, change):
    root = folder_of_images(tmp_path / "images")
    before = fingerprint(open_data(str(root)))
    CHANGES[change](root)
    assert fingerprint(open_data(str(root))) != before


def test_arrays_are_seen_whole():
    images, labels = np.zeros((1000, 4, 4, 1), np.uint8), np.zeros(1000, np.int32)
    before = fingerprint(Data("x", ArraySource("x", CLASSES, images, labels), None))
    for array in (images, labels):
        array[501] = 1  # Not among 64 of 1,000 that are evenly spaced.
        after = fingerprint(Data("x", ArraySource("x", CLASSES, images, labels), None))
        assert after != before
        before = after


@pytest.mark.parametrize("name", ["digits", "shapes", "clips", "synthetic"])
def test_data_sets_by_name_have_the_same_each_time(name):
    first, second = (fingerprint(open_data(name)) for _ in range(2))
    assert first == second
    assert first["train_checksum"] != first["test_checksum"]


def test_a_part_and_another_number_of_channels_are_other_examples():
    whole = open_data("digits").train
    sources = [whole, Subset(whole, range(100)), Subset(whole, range(100, 200)), with_channels(whole, 3)]
    assert len({str(fingerprint(Data("x", source, None))) for source in sources}) == 4


def test_spread_has_first_and_last():
    assert spread(5, 64) == [0, 1, 2, 3, 4]
    assert spread(1000, 3) == [0, 499, 999]
