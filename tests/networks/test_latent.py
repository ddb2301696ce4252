"""A predictor and a decoder with a latent variable, against the definition, and what it learns of two right outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, erf, linear

from ssl_jax.errors import UsageError
from ssl_jax.networks.latent import latent_decoder
from ssl_jax.ops.latent import latent_free_energy

X = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
Z = np.random.default_rng(1).normal(size=(3, 1)).astype(np.float32)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def test_it_is_the_definition():
    net = latent_decoder(inputs=2, latents=1, outputs=4, dim=5)
    params, _ = drawn(net)
    exact = double(params)
    hidden = double(X)
    for number in range(2):
        hidden = gelu(linear(hidden, exact["predictor"][number]))
    hidden = np.concatenate([hidden, double(Z)], axis=1)
    for number in range(2):
        hidden = gelu(linear(hidden, exact["decoder"][number]))
    found = jax.jit(lambda: net.apply(params, {}, X, Z, train=False)[0])()
    np.testing.assert_allclose(found, linear(hidden, exact["output"]), rtol=1e-4, atol=1e-4)
    assert net.width == 4


@pytest.mark.slow
def test_two_right_outputs_are_learned_with_a_latent_variable_and_their_mean_without():
    """y is 1 or -1 for every x; F(y) with z in {0, 1} becomes 0 at both and 1 between, without z it stays 1 and 0."""
    x, y = np.linspace(-1, 1, 16, dtype=np.float32)[:, None], np.tile([[1.0], [-1.0]], (8, 1)).astype(np.float32)
    energies = {}
    for latents in (1, 0):
        net = latent_decoder(inputs=1, latents=latents, outputs=1, dim=16)
        params, _ = net.init(jax.random.key(0))
        choices = [np.full((16, 1), z, np.float32) for z in (0, 1)] if latents else [np.zeros((16, 0), np.float32)]

        def free_energy(params, y, net=net, choices=choices):
            predicted = [net.apply(params, {}, x, z, train=True)[0] for z in choices]
            return latent_free_energy(jnp.concatenate([(y - output) ** 2 for output in predicted], axis=1))

        @jax.jit
        def descend(params, free_energy=free_energy):
            step = jax.grad(lambda params: free_energy(params, y).mean())
            return jax.lax.fori_loop(
                0, 800, lambda _, params: jax.tree.map(lambda p, g: p - 0.1 * g, params, step(params)), params
            )

        trained = descend(params)
        energies[latents] = [float(free_energy(trained, outputs).mean()) for outputs in (y, 0 * y)]
    np.testing.assert_allclose(energies[1], [0, 1], atol=0.05)
    np.testing.assert_allclose(energies[0], [1, 0], atol=0.15)


def test_wrong_sizes_are_named():
    with pytest.raises(UsageError, match="got inputs 1, latents -1, outputs 1 and dim 4, expected at least 1"):
        latent_decoder(inputs=1, latents=-1, outputs=1, dim=4)
