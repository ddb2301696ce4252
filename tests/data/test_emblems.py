"""Drawn emblems: the same number is the same image, each sign lies where the plan has it, and nothing else tells the plan."""

import itertools

import numpy as np
import pytest

from ssl_jax.data import open_data
from ssl_jax.data.drawn.clips import OUTLINES
from ssl_jax.data.drawn.emblems import PLANS, SIGNS, Emblems


def test_an_image_is_decided_by_its_number_and_seed():
    first, again, other = (Emblems(seed=seed)[17] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any() and first["label"] == other["label"] == 7
    assert first["image"].shape == (42, 42, 1) and first["image"].dtype == np.uint8


def test_two_plans_share_signs_but_seldom_a_place():
    assert all(len(set(plan)) == 9 for plan in PLANS)
    for one, other in itertools.combinations(PLANS, 2):
        assert 3 <= len(set(one) & set(other)) <= 7 and (one == other).sum() <= 2


def pattern(outline, degrees, side=14):
    """Of a sign that is neither jittered nor noisy, in the middle of its cell."""
    down, right = (np.mgrid[:side, :side] + 0.5 - side / 2) / (3 * side * 0.135)
    turned = (right + 1j * down) * np.exp(-1j * np.radians(degrees))
    return OUTLINES[outline](turned.real, turned.imag).ravel()


@pytest.mark.parametrize("label", [0, 4, 9])
def test_each_sign_lies_where_the_plan_has_it(label):
    source = Emblems(size=1000)
    images = np.stack([source[number]["image"][..., 0] for number in range(label, 600, 10)]) / 255
    strength = np.square(images - 0.5).mean(axis=0)  # Lighter or darker is all the same.
    cells = strength.reshape(3, 14, 3, 14).swapaxes(1, 2).reshape(9, 196)
    patterns = np.array([pattern(*sign) for sign in SIGNS])
    alike = np.corrcoef(cells, patterns)[:9, 9:]
    np.testing.assert_array_equal(alike.argmax(axis=1), PLANS[label])


@pytest.mark.slow
def test_lightness_tells_neither_the_plan_nor_the_sign():
    """The nearest mean of a class, in pixels, is right about as often as chance, which is 0.1."""
    source = Emblems(size=1000)
    images = np.stack([source[number]["image"].ravel() for number in range(1000)]) / 255
    means = np.stack([images[label:800:10].mean(axis=0) for label in range(10)])
    distances = np.square(images[800:, None] - means[None]).sum(axis=-1)
    assert (distances.argmin(axis=1) == np.arange(200) % 10).mean() < 0.25


def test_it_is_opened_by_name():
    data = open_data("emblems", image_size=30)
    assert len(data.train) == 4000 and len(data.test) == 1000 and data.train.image_shape == (30, 30, 1)
    assert len(data.train.classes) == 10
    with pytest.raises(IndexError):
        data.train[4000]
