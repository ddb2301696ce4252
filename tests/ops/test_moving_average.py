"""Moving averages leaf by leaf, and the momentum's schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops.moving_average import cosine_momentum, moving_average


def test_mixes_floats_and_takes_counters():
    old = {"w": jnp.full((2, 3), 4.0), "stats": (jnp.float32(1.0), jnp.int32(5))}
    new = {"w": jnp.full((2, 3), 8.0), "stats": (jnp.float32(3.0), jnp.int32(6))}
    mixed = moving_average(old, new, momentum=0.75)
    np.testing.assert_allclose(mixed["w"], 5.0)
    np.testing.assert_allclose(mixed["stats"][0], 1.5)
    assert mixed["stats"][1] == 6


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_ends_are_exact(momentum):
    old, new = jax.random.normal(jax.random.key(0), (2, 50))
    mixed = moving_average(old, new, momentum=jnp.float32(momentum))
    np.testing.assert_array_equal(mixed, old if momentum == 1 else new)


def test_keeps_the_dtype_of_the_average():
    mixed = moving_average(jnp.ones(3, jnp.bfloat16), jnp.zeros(3), momentum=0.5)
    assert mixed.dtype == jnp.bfloat16
    mixed = moving_average(jnp.ones(3), jnp.zeros(3, jnp.bfloat16), momentum=0.996)
    assert mixed.dtype == jnp.float32
    np.testing.assert_allclose(mixed, 0.996, rtol=1e-6)


def test_half_the_way_back_takes_log_half_over_log_momentum_steps():
    average = jnp.float32(1.0)
    for _ in range(69):
        average = moving_average(average, jnp.float32(0.0), momentum=0.99)
    np.testing.assert_allclose(average, 0.99**69, rtol=1e-5)


def test_cosine_momentum_rises_by_half_a_cosine():
    steps = np.arange(0, 101, 10)
    came = [cosine_momentum(step, steps=100, start=0.99) for step in steps]
    np.testing.assert_allclose(came, 1 - (1 - 0.99) * (np.cos(np.pi * steps / 100) + 1) / 2, rtol=1e-6)
    assert cosine_momentum(0, steps=10) == np.float32(0.996)
    np.testing.assert_allclose(cosine_momentum(5, steps=10), 0.998, rtol=1e-6)
    assert cosine_momentum(10, steps=10) == cosine_momentum(1000, steps=10) == 1


def test_step_may_be_traced():
    traced = jax.jit(lambda step: cosine_momentum(step, steps=7, start=0.5, end=0.9))(jnp.int32(3))
    np.testing.assert_allclose(traced, cosine_momentum(3, steps=7, start=0.5, end=0.9), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: moving_average({"a": jnp.ones(2)}, {"b": jnp.ones(2)}, momentum=0.5), "trees of one structure"),
        (lambda: moving_average(jnp.ones(2), jnp.ones(1), momentum=0.5), r"got \(2,\) and \(1,\)"),
        (lambda: cosine_momentum(1, steps=0), "cosine_momentum: steps must be a whole number of at least 1, got 0"),
        (lambda: cosine_momentum(1, steps=5, start=1.5), r"start must be in \[0, 1\], got 1.5"),
    ],
)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
