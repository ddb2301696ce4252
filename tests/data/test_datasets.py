"""Data sets by name, and the digits that come with the package."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import hold, open_data
from ssl_jax.data.datasets import DIGITS
from ssl_jax.errors import UsageError


def test_the_embedded_digits_are_balanced_and_small():
    data = open_data("digits")
    for source, each in ((data.train, 400), (data.test, 100)):
        everything = hold(source)
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
        {image.tobytes() for image in hold(part)["image"]}
        for part in vars(open_data("digits")).values()
        if part != "digits"
    )
    assert len(train) == 4000 and len(test) == 1000 and not train & test


def test_digits_are_resized_on_request():
    assert open_data("digits", image_size=32).train[0]["image"].shape == (32, 32, 1)


def test_tfds_and_grain_are_imported_only_when_needed_and_tensorflow_never():
    script = """
import sys
from ssl_jax.data import Batches, open_data
def there(): return [name for name in ("tensorflow_datasets", "grain", "tensorflow") if name in sys.modules]
next(Batches(open_data("synthetic").train, 8, seed=0))
print(there())
next(Batches(open_data("digits").train, 8, seed=0))
print(there())
with Batches(open_data("digits").train, 8, seed=0, hold=False) as streamed: next(streamed)
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
        ("./nowhere", {}, "data: nowhere is not there: name a folder of images."),
        ("fashion_mnits", {}, "unknown data set 'fashion_mnits': did you mean 'fashion_mnist'?"),
        ("syntetic", {}, "unknown data set 'syntetic': did you mean 'synthetic'?"),
        (
            "digits",
            {"image_size": 0},
            "image_size: got 0, but images have at least 1 pixel: choose the side of a square, such as 32.",
        ),
    ],
)
def test_mistakes_are_said_in_a_sentence(name, options, sentence):
    with pytest.raises(UsageError) as refused:
        open_data(name, **options)
    assert str(refused.value) == sentence


def test_fashion_mnist_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_jax.data.fashion_mnist.FOLDER", tmp_path)
    with pytest.raises(UsageError, match="apt-get install dataset-fashion-mnist"):
        open_data("fashion-mnist")
