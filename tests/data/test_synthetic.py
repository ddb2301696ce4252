"""Synthetic images: the same from the same seed, different from another, and their classes can be learnt."""

import numpy as np
import pytest

from ssl_jax.data import Synthetic, load_into_memory


def test_images_depend_on_seed_and_number_alone():
    first, again, other = (Synthetic(size=8, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[3]["image"], again[3]["image"])
    assert not np.array_equal(first[3]["image"], other[3]["image"])
    assert not np.array_equal(first[3]["image"], first[7]["image"])
    assert first[3]["image"].shape == first.image_shape == (16, 16, 3) and first[3]["image"].dtype == np.uint8


def test_classes_take_turns_and_there_is_an_end():
    source = Synthetic(size=10, classes=3, side=4)
    assert load_into_memory(source)["label"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert len(source.classes) == 3 and len(list(source)) == 10
    with pytest.raises(IndexError):
        source[10]


def test_classes_can_be_told_apart_by_their_spectra():
    """Nearest class mean of Fourier amplitudes, which do not see where a shape lies; chance is 1/4."""

    def features(source):
        grey = load_into_memory(source)["image"].mean(-1)
        spectra = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True)))
        return (spectra / np.linalg.norm(spectra, axis=(1, 2), keepdims=True)).reshape(len(grey), -1)

    train, test = Synthetic(size=128, seed=0), Synthetic(size=64, seed=1)
    means = np.stack([features(train)[label::4].mean(0) for label in range(4)])
    picked = np.argmax(features(test) @ means.T, axis=1)
    assert (picked == load_into_memory(test)["label"]).mean() > 0.8
