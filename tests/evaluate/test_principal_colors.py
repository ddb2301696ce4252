"""Colours are the first three principal components, scikit-learn's but for the sign, which is fixed."""

import numpy as np
import pytest
from masked import problem

from ssl_jax.evaluate import principal_colors
from ssl_jax.evaluate.principal_colors import principal_components

MAPS = problem(images=40, seed=0, cell=1)[0]


def test_components_are_scikit_learns():
    """scikit-learn 1.9.1: the magnitudes of PCA(3, svd_solver="full").fit_transform(x)[:4]."""
    found = principal_components(MAPS.reshape(-1, 6), count=3)
    expected = [[1.869404, 1.798183, 2.134265], [0.760792, 0.356498, 1.956302],
                [3.526491, 1.029348, 1.68546], [2.04287, 1.080876, 0.875292]]  # fmt: skip
    np.testing.assert_allclose(np.abs(found[:4]), expected, atol=1e-6)
    assert (np.diff(found.var(axis=0)) < 0).all()


def test_the_sign_is_that_of_the_largest_entry():
    rows = np.random.default_rng(0).normal(size=(50, 4)) * (1, 5, 2, 0.1)
    for flipped in (rows, -rows):
        components = principal_components(flipped, count=3)
        centred = flipped - flipped.mean(axis=0)
        directions = np.linalg.lstsq(centred, components, rcond=None)[0]
        assert (directions[np.abs(directions).argmax(axis=0), range(3)] > 0).all()


def test_each_component_fills_its_channel():
    colors = principal_colors(MAPS)
    assert colors.shape == (40, 3, 3, 3) and colors.dtype == np.uint8
    components = principal_components(MAPS.reshape(-1, 6), count=3)
    for channel in range(3):
        values, shown = components[:, channel], colors.reshape(-1, 3)[:, channel]
        assert (np.diff(shown[np.argsort(values)].astype(int)) >= 0).all()  # In the order of the component.
        assert 4 <= (shown == 0).sum() <= 12 and 4 <= (shown == 255).sum() <= 12  # 2 % of 360, and rounding.


def test_a_shift_of_all_features_and_their_scale_change_nothing():
    expected = principal_colors(MAPS).astype(int)
    assert np.abs(principal_colors(100 * MAPS + 7).astype(int) - expected).max() <= 1


def test_the_foreground_is_the_side_where_the_first_component_is_positive():
    first = principal_components(MAPS.reshape(-1, 6), count=1).reshape(40, 3, 3)
    colors = principal_colors(MAPS, foreground=True)
    assert not colors[first <= 0].any() and colors[first > 0].any(axis=-1).mean() > 0.9
    np.testing.assert_array_equal(colors[first > 0], principal_colors(MAPS[first > 0][None, None])[0, 0])


def test_equal_features_are_black_and_two_dimensions_have_no_third_colour():
    assert not principal_colors(np.full((2, 3, 3, 5), 0.3)).any()
    assert not principal_colors(MAPS[..., :2])[..., 2].any()


@pytest.mark.parametrize("maps", [np.zeros((3, 4)), np.zeros((0, 3, 3, 2)), np.full((1, 2, 2, 2), np.nan)])
def test_arrays_that_are_no_maps_are_refused(maps):
    with pytest.raises(ValueError, match=r"^principal_colors: maps must be finite numbers \[N, h, w, D\], got shape "):
        principal_colors(maps)
    with pytest.raises(ValueError, match="spread must be in"):
        principal_colors(MAPS, spread=0.5)
