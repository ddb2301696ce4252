"""Drawn shapes: the same number is the same image, and colours follow the outline."""

import colorsys

import numpy as np
import pytest

from ssl_jax.data import open_data
from ssl_jax.data.drawn.shapes import Shapes


def test_an_image_is_decided_by_its_number_and_seed():
    first, again, other = (Shapes(seed=seed)[7] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any() and first["label"] == other["label"] == 1
    assert first["image"].shape == (24, 24, 3) and first["image"].dtype == np.uint8


def middle_hue(source, number):
    """Of the disc's and the cross's middle, which is inside."""
    image = source[number]["image"].astype(float) / 255
    return colorsys.rgb_to_hsv(*image[8:16, 8:16].reshape(-1, 3).mean(axis=0))[0]


def test_a_look_has_its_hue_and_the_ground_has_two():
    source = Shapes(size=60)
    discs = [middle_hue(source, number) for number in range(0, 60, 6)]
    assert all(min(hue, 1 - hue) < 0.12 for hue in discs)
    for number in range(12):
        top, bottom = (source[number]["image"][row].astype(float).mean(axis=0) for row in (0, -1))
        assert top[2] > top[0] and bottom[1] > bottom[0] and bottom[1] > bottom[2]


def test_lightness_alone_does_not_tell_the_look():
    source = Shapes(size=600)
    grey = np.array([source[number]["image"].mean() for number in range(600)])
    of_looks = [grey[label::6].mean() for label in range(6)]
    assert np.ptp(of_looks) < grey.std()


def test_it_is_opened_by_name():
    data = open_data("shapes", image_size=16)
    assert len(data.train) == 4000 and len(data.test) == 1000 and data.train.image_shape == (16, 16, 3)
    with pytest.raises(IndexError):
        data.train[4000]
