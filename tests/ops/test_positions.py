"""Positions against their definitions, and what they are for: products that know distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops.positions import grid_positions, resize_positions, rotate_pairs, sinusoidal_positions

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 5, 3, 6)).astype(np.float32)
PLACES = np.array([0, 1, 2, 3, 400])


# torch 2.13.0: x = sin(1.7 arange(18)).reshape(3, 3, 2), interpolate(x.permute(2, 0, 1)[None], mode="bicubic", ...) with
# size=(2, 2), all of it; with size=(5, 5), and with scale_factor=(5.1 / 3, 5.1 / 3) as DINO has it, rows 0, 1, 4 of columns
# 2, 3, 4.
SMALLER = [-0.1562954, 0.286449, 0.1008031, 0.2784771, 0.3064456, -0.0904193, 0.1616819, -0.283962]
LARGER = [-0.3625527, -1.0527798, 0.0460776, 0.0705641, 1.2675179, -0.7219239]
DINOS = [-0.3750558, -1.0450274, 0.0799001, 0.0166908, 1.1991392, -0.6990465]


@pytest.mark.parametrize(
    ("grid", "offset", "places", "expected"),
    [
        (2, 0.0, ([0, 0, 1, 1], [0, 1, 0, 1]), SMALLER),
        (5, 0.0, ([0, 1, 4], [2, 3, 4]), LARGER),
        (5, 0.1, ([0, 1, 4], [2, 3, 4]), DINOS),
    ],
)
def test_positions_are_interpolated_as_pytorch_does(grid, offset, places, expected):
    square = jnp.asarray(np.sin(1.7 * np.arange(18)).reshape(3, 3, 2), jnp.float32)
    resized = resize_positions(square, grid, offset=offset)
    assert resized.shape == (grid, grid, 2)
    np.testing.assert_allclose(
        resized[places].ravel(), expected, atol=5e-6
    )  # PyTorch's places are float32, ours float64


def test_rows_and_columns_are_interpolated_apart():
    square = jnp.asarray(np.sin(1.7 * np.arange(18)).reshape(3, 3, 2), jnp.float32)
    resized = resize_positions(square, (2, 5))
    assert resized.shape == (2, 5, 2)
    np.testing.assert_allclose(resized.swapaxes(0, 1), resize_positions(square.swapaxes(0, 1), (5, 2)), atol=1e-6)
    rows = jnp.broadcast_to(square[:, :1], (3, 3, 2))  # Equal along a row, so that columns change nothing.
    expected = jnp.broadcast_to(resize_positions(rows, 2)[:, :1], (2, 5, 2))
    np.testing.assert_allclose(resize_positions(rows, (2, 5)), expected, atol=1e-6)


def by_complex_numbers(x, places, base):
    """Numbers 2i and 2i + 1 are one complex number, and a turn is a product with one of length 1."""
    size = x.shape[-1]
    turns = np.exp(1j * np.multiply.outer(places, float(base) ** (-2 * np.arange(size // 2) / size)))
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * turns.reshape(-1, x.shape[1], 1, size // 2)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


@pytest.mark.parametrize("base", [100.0, 10000.0])
@pytest.mark.parametrize("places", [PLACES, np.stack([PLACES, PLACES[::-1]])], ids=["[T]", "[B, T]"])
def test_pairs_are_complex_numbers_that_turn(places, base):
    found = jax.jit(lambda x, places: rotate_pairs(x, places, base=base))(X, places)
    np.testing.assert_allclose(found, by_complex_numbers(X.astype(float), places, base), rtol=1e-4, atol=1e-4)


def test_scores_of_turned_queries_and_keys_depend_on_their_distance_only():
    query, key = (jnp.asarray(np.repeat(X[i : i + 1, :1], 5, axis=1)) for i in range(2))  # The same in 5 places.

    def scores(first):
        places = first + jnp.arange(5)
        return jnp.einsum("bthd,bshd->hts", rotate_pairs(query, places), rotate_pairs(key, places))

    here = scores(0)
    np.testing.assert_allclose(here, scores(37), atol=1e-4)
    for distance in range(-4, 5):
        diagonal = np.diagonal(here, distance, axis1=1, axis2=2)
        np.testing.assert_allclose(diagonal, diagonal[:, :1].repeat(diagonal.shape[1], 1), atol=1e-5)
    assert np.abs(here[:, 0, 0] - here[:, 0, 1]).max() > 0.1


def test_turning_keeps_lengths_and_place_0_and_the_type():
    turned = rotate_pairs(jnp.asarray(X), jnp.asarray(PLACES))
    np.testing.assert_array_equal(turned[:, 0], X[:, 0])
    np.testing.assert_allclose(jnp.linalg.norm(turned, axis=-1), np.linalg.norm(X, axis=-1), rtol=1e-5)
    half = rotate_pairs(jnp.asarray(X, jnp.bfloat16), jnp.asarray(PLACES))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), turned, atol=0.03)


def test_sinusoidal_positions_are_the_definition():
    expected = np.empty((5, 8))
    for row, place in enumerate(PLACES):
        for i in range(4):
            expected[row, 2 * i : 2 * i + 2] = [wave(place / 10000 ** (2 * i / 8)) for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(sinusoidal_positions(jnp.asarray(PLACES), 8), expected, atol=1e-4)
    in_two_rows = sinusoidal_positions(jnp.asarray(np.stack([PLACES, PLACES])), 8)
    np.testing.assert_allclose(in_two_rows, np.stack([expected, expected]), atol=1e-4)


def test_grid_positions_tell_places_apart_and_nearness_by_their_products():
    positions = grid_positions(5, 32).astype(float)
    products = positions @ positions.T  # Sum over both axes of cos(frequency * distance), so a function of distance.
    np.testing.assert_allclose(np.diag(products), 16, rtol=1e-6)
    np.testing.assert_allclose([products[0, 5], products[12, 13]], products[0, 1], rtol=1e-6)
    assert 16 > products[0, 1] > products[0, 2] > products[0, 3]


def test_positions_of_a_rectangle_are_those_of_the_square_around_it():
    square = grid_positions(3, 8).reshape(3, 3, 8)
    np.testing.assert_array_equal(grid_positions((2, 3), 8), square[:2].reshape(6, 8))
    np.testing.assert_array_equal(grid_positions((3, 2), 8), square[:, :2].reshape(6, 8))
    rectangle = jnp.asarray(square[:2])
    np.testing.assert_allclose(resize_positions(rectangle, (2, 3)), rectangle, atol=1e-6)
    assert resize_positions(rectangle, (4, 5)).shape == (4, 5, 8)


def test_wrong_arguments_are_named():
    with pytest.raises(
        ValueError, match=r"rotate_pairs: components are rotated in pairs, so their number must be even, got 5"
    ):
        rotate_pairs(jnp.zeros((1, 2, 1, 5)), jnp.arange(2))
    with pytest.raises(
        ValueError, match=r"rotate_pairs: positions must be \[T\] or \[B, T\] .* got \(3,\), \(1, 2, 1, 4\)"
    ):
        rotate_pairs(jnp.zeros((1, 2, 1, 4)), jnp.arange(3))
    with pytest.raises(ValueError, match="sinusoidal_positions: components are rotated in pairs"):
        sinusoidal_positions(jnp.arange(2), 3)
