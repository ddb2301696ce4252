"""Data sets by name, and the digits that come with the package."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import NAMES, load_into_memory, open_data, resolve_name
from ssl_jax.data.channels import recolored
from ssl_jax.data.datasets import DIGITS
from ssl_jax.errors import UsageError


def test_the_embedded_digits_are_balanced_and_small():
    data = open_data("digits")
    for source, each in ((data.train, 400), (data.test, 100)):
        everything = load_into_memory(source)
        assert everything["image"].shape == (10 * each, 28, 28, 1)
        assert np.bincount(everything["label"]).tolist() == [each] * 10
        assert source.classes == tuple("0123456789")
        # Ink in every image, and never in its corners, which MNIST's centring keeps free.
        assert everything["image"].max((1, 2, 3)).min() > 128 and not everything["image"][:, ::27, ::27].any()
    assert sum(file.stat().st_size for file in DIGITS.parent.rglob("*") if file.is_file()) < 8e6
    licence = (DIGITS.parent / "LICENSE.md").read_text()
    assert "Attribution-ShareAlike 3.0" in licence and "Copyright (c) 2014-2026, Sebastian Raschka" in licence


def test_no_digit_is_in_both_parts():
    train, test = (
        {image.tobytes() for image in load_into_memory(part)["image"]}
        for part in vars(open_data("digits")).values()
        if part != "digits"
    )
    assert len(train) == 4000 and len(test) == 1000 and not train & test


def test_digits_are_resized_on_request():
    assert open_data("digits", image_size=32).train[0]["image"].shape == (32, 32, 1)


@pytest.mark.slow
def test_tfds_and_grain_are_imported_only_when_needed_and_tensorflow_never():
    script = """
import sys
from ssl_jax.data import Batches, open_data
def there(): return [name for name in ("tensorflow_datasets", "grain", "tensorflow") if name in sys.modules]
next(Batches(open_data("synthetic").train, 8, seed=0))
print(there())
next(Batches(open_data("digits").train, 8, seed=0))
print(there())
with Batches(open_data("digits").train, 8, seed=0, load_into_memory=False) as streamed: next(streamed)
print(there())
"""
    ended = run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert ended.stderr == "" and ended.stdout.splitlines() == [
        "[]",
        "['tensorflow_datasets']",
        "['tensorflow_datasets', 'grain']",
    ]


def test_synthetic_has_the_size_asked_for():
    data = open_data("synthetic", image_size=8)
    assert data.train.image_shape == (8, 8, 3) and len(data.test) == 256
    assert not np.array_equal(data.train[0]["image"], data.test[0]["image"])


def test_a_folder_is_a_folder_even_if_it_is_called_like_a_tfds_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "digits"):
        Path(name).mkdir()
        Image.new("RGB", (4, 4)).save(f"{name}/1.png")
    assert open_data("mnist").train.image_shape == (4, 4, 3)
    assert open_data("digits").train.image_shape == (28, 28, 1)  # Our own names come first;
    assert open_data("./digits").train.image_shape == (4, 4, 3)  # a path always is one.


@pytest.mark.parametrize(
    "name, options, sentence",
    [
        ("./nowhere", {}, "data: nowhere is missing: name a folder of images."),
        ("fashion_mnits", {}, "unknown data set 'fashion_mnits': did you mean 'fashion_mnist'?"),
        ("syntetic", {}, "unknown data set 'syntetic': did you mean 'synthetic'?"),
        (
            "digits",
            {"image_size": 0},
            "image_size: got 0, expected 1 to 8192 pixels: choose the side of a square, such as 32.",
        ),
    ],
)
def test_mistakes_are_said_in_a_sentence(name, options, sentence):
    with pytest.raises(UsageError) as refused:
        open_data(name, **options)
    assert str(refused.value) == sentence


def test_a_folder_that_is_mistyped_is_named(tmp_path, monkeypatch):
    """Once `--data plian` was answered with a data set of tfds, 'piqa', beside a folder of this name."""
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^unknown data set 'plian': did you mean 'plain'\?$"):
        open_data("plian")


def test_fashion_mnist_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_jax.data.named.fashion_mnist.FOLDER", tmp_path)
    with pytest.raises(UsageError, match="apt-get install dataset-fashion-mnist"):
        open_data("fashion-mnist")


@pytest.mark.parametrize("size", [-1, 8193, 1_000_000_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_size_out_of_range_is_refused_before_anything_is_read(name, size):
    with pytest.raises(UsageError, match=f"^image_size: got {size}, expected 1 to 8192 pixels: "):
        open_data(name, image_size=size)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_current_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (4, 4)).save("holiday.png")
    with pytest.raises(UsageError, match=r"^data: got an empty name: give one of digits, "):
        open_data(name)
    assert resolve_name(name) == name


def test_a_name_that_no_file_can_have():
    with pytest.raises(UsageError, match=r"^data: got 'a\\x00b', which no file can be called"):
        open_data("a\0b")


@pytest.mark.parametrize("name", ["digits", "emblems", "shapes", "clips", "synthetic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_channels_asked_for(name, channels):
    plain, wanted = (open_data(name, image_size=16, channels=number) for number in (None, channels))
    for before, after in ((plain.train, wanted.train), (plain.test, wanted.test)):
        image = after[2]["image"]
        assert after.image_shape == image.shape == (*before.image_shape[:-1], channels) and image.dtype == np.uint8
        np.testing.assert_array_equal(image, recolored(before[2]["image"], channels))
        assert after.classes == before.classes and len(after) == len(before) and after[2]["label"] == before[2]["label"]


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(UsageError, match=r"^channels: got 4, expected 1 \(grayscale\) or 3 \(colour\), or None "):
        open_data("digits", channels=4)


def test_a_folder_of_colour_stays_in_colour_whatever_the_first_images_show(tmp_path):
    for number in range(3):
        Image.new("L", (4, 4), 9).save(tmp_path / f"{number}.png")
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "3.png")
    assert open_data(str(tmp_path), channels=3).train[3]["image"][0, 0].tolist() == [255, 0, 0]
    assert open_data(str(tmp_path), channels=1).train[3]["image"][0, 0].tolist() == [76]


def test_the_name_of_a_folder_holds_in_every_working_directory(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("pictures", "./pictures", "~/pictures", "digits/../pictures", str(tmp_path / "pictures")):
        assert resolve_name(name) == str(tmp_path / "pictures")
    assert resolve_name("./nowhere") == str(tmp_path / "nowhere")
    for name in ("digits", "cifar10:train[:10%]", "imagenet2012", ""):
        assert resolve_name(name) == name
    assert resolve_name("./digits") == str(tmp_path / "digits")
