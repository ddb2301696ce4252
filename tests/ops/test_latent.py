"""Energies with a latent variable against their definitions in float64, and what they know that one prediction does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops.latent import descend_latent, latent_free_energy

ENERGIES = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)


def test_it_is_the_minimum_over_the_latent_variable():
    np.testing.assert_array_equal(latent_free_energy(ENERGIES), ENERGIES.min(axis=-1))
    gradient = jax.grad(lambda energies: latent_free_energy(energies).sum())(jnp.asarray(ENERGIES))
    np.testing.assert_array_equal(gradient, np.eye(5)[ENERGIES.argmin(axis=-1)])


@pytest.mark.parametrize("b", [1e-4, 1e-3, 0.1, 1.0, 30.0])
def test_at_a_temperature_it_is_the_definition(b):
    exact = ENERGIES.astype(np.float64)
    expected = -np.log(np.exp(-b * exact).mean(axis=-1)) / b
    np.testing.assert_allclose(latent_free_energy(ENERGIES, inverse_temperature=b), expected, rtol=1e-5, atol=1e-5)
    gradient = jax.grad(lambda e: latent_free_energy(e, inverse_temperature=b).sum())(jnp.asarray(ENERGIES))
    likely = np.exp(-b * exact)
    np.testing.assert_allclose(gradient, likely / likely.sum(axis=-1, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_its_limits_are_the_minimum_and_the_mean():
    cold, hot = (latent_free_energy(ENERGIES, inverse_temperature=b) for b in (1e4, 1e-4))
    np.testing.assert_allclose(cold, ENERGIES.min(axis=-1), atol=1e-3)
    np.testing.assert_allclose(hot, ENERGIES.mean(axis=-1), atol=1e-3)
    assert (latent_free_energy(np.full((1, 3), np.inf, np.float32), inverse_temperature=1.0) == np.inf).all()
    assert (latent_free_energy(ENERGIES, inverse_temperature=2.0) >= ENERGIES.min(axis=-1)).all()
    same = np.full((2, 7), 1.5, np.float32)
    np.testing.assert_allclose(latent_free_energy(same, inverse_temperature=3.0), latent_free_energy(same), rtol=1e-6)


def test_one_input_with_two_right_outputs():
    """y is -1 or 1. The best prediction is 0, and its energy is lowest where no y is; with z in {0, 1} both y cost nothing."""
    outputs = jnp.array([-1.0, 0.0, 1.0])
    without = (outputs - 0.0) ** 2
    with_z = latent_free_energy((outputs[:, None] - jnp.array([[-1.0, 1.0]])) ** 2)
    np.testing.assert_array_equal(without, [1, 0, 1])
    np.testing.assert_array_equal(with_z, [0, 1, 0])


def test_descent_finds_the_minimum_and_its_gradient_is_at_fixed_z():
    """E = (y - z^2)^2 of each example, from z = 1: the minimum is z = sqrt(y), its energy 0, and the slope in y too."""
    y = jnp.array([0.5, 2.0, 3.0])
    energy = lambda y, z: (y - z[:, 0] ** 2) ** 2  # noqa: E731
    latent, energies = descend_latent(lambda z: energy(y, z), jnp.ones((3, 1)), steps=300, learning_rate=0.05)
    np.testing.assert_allclose(latent[:, 0], np.sqrt(y), rtol=1e-4)
    np.testing.assert_allclose(energies, 0, atol=1e-6)
    partial_descent = lambda y: descend_latent(lambda z: energy(y, z), jnp.ones((3, 1)), steps=1, learning_rate=0.05)  # noqa: E731
    z = 1 + 0.05 * 4 * (y - 1)
    np.testing.assert_allclose(partial_descent(y)[0][:, 0], z, rtol=1e-6)
    slope = jax.grad(lambda y: partial_descent(y)[1].sum())(y)
    np.testing.assert_allclose(slope, 2 * (y - z**2), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: latent_free_energy(jnp.zeros((2, 0))), r"needs energies \[..., K\], not empty, got \(2, 0\)"),
        (lambda: latent_free_energy(ENERGIES, inverse_temperature=0.0), "inverse_temperature"),
        (lambda: descend_latent(lambda z: z, jnp.zeros((2, 1)), steps=1, learning_rate=0.1), r"returns \[B\]"),
        (lambda: descend_latent(lambda z: z.sum(1), jnp.zeros(2)[None], steps=0, learning_rate=0.1), "steps"),
        (lambda: descend_latent(lambda z: z.sum(1), jnp.zeros(2)[None], steps=1, learning_rate=-1.0), "learning_rate"),
    ],
)
def test_wrong_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
