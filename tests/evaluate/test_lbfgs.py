"""L-BFGS on convex functions whose minimum is known."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.evaluate import lbfgs
from ssl_jax.evaluate.lbfgs import minimized

MINIMUM = jnp.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0]])
CURVATURES = jnp.asarray([1e4, 1.0, 1e-3])


def counted(function):
    passes = []

    def run(weights):
        passes.append(weights)
        return jax.value_and_grad(function)(weights)

    return run, passes


def bowl(weights):
    return jnp.sum(CURVATURES[None] * (weights - MINIMUM) ** 2) / 2


def test_a_bowl_is_left_at_its_minimum():
    run, _ = counted(bowl)
    found = minimized(run, jnp.zeros((2, 3)), 1e-6)
    np.testing.assert_allclose(found, MINIMUM, rtol=1e-3, atol=1e-3)


def test_the_scale_of_the_curvature_saves_passes():
    (plain, many), (scaled, few) = counted(bowl), counted(bowl)
    minimized(plain, jnp.zeros((2, 3)), 1e-6)
    found = minimized(scaled, jnp.zeros((2, 3)), 1e-6, scale=1 / jnp.sqrt(CURVATURES))
    np.testing.assert_allclose(found, MINIMUM, rtol=1e-3)
    assert len(few) < 12 < len(many)


def test_weights_that_are_good_enough_take_one_pass():
    run, passes = counted(bowl)
    np.testing.assert_array_equal(minimized(run, MINIMUM, 1e-6), MINIMUM)
    assert len(passes) == 1


def test_a_tolerance_below_rounding_ends_the_search():
    run, passes = counted(lambda weights: 1e4 + bowl(weights))
    minimized(run, jnp.zeros((2, 3)), 0.0)
    assert len(passes) < 500


def test_lengths_at_which_there_is_no_value_are_too_far(monkeypatch):
    """100 (x - 0.95)^2 - log(1 - x), which ends at 1: from 0.5, the first length, 1, is beyond."""
    run, passes = counted(lambda weights: jnp.sum(100 * (weights - 0.95) ** 2 - jnp.log(1 - weights)))
    found = minimized(run, jnp.full((1, 1), 0.5), 1e-3)
    np.testing.assert_allclose(found, 0.9, atol=1e-4)
    assert float(passes[1][0, 0]) > 1
    monkeypatch.setattr(lbfgs, "MOST_STEPS", 1)
    assert float(minimized(run, jnp.full((1, 1), 0.5), 1e-3)[0, 0]) < 1


def test_a_step_never_raises_the_value(monkeypatch):
    """A valley with an edge, behind which the slope is small enough at once: the first length, 1, is high up there."""

    def valley(weights):
        return jnp.sum(1.3 * jax.nn.softplus(50 * weights - 2.5) / 50 - weights)

    run, passes = counted(valley)
    monkeypatch.setattr(lbfgs, "MOST_STEPS", 1)
    start = jnp.zeros((1, 1))
    assert valley(minimized(run, start, 1e-6)) < valley(start) < valley(passes[1])
