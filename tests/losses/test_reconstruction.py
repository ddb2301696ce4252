"""Masked regression against its definition, with images that hide different numbers of patches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.reconstruction import masked_regression, masked_smooth_l1

run = jax.jit(masked_regression, static_argnames="normalize_targets")
RNG = np.random.default_rng(0)
PREDICTION, TARGET = jnp.asarray(RNG.normal(1, 2, (2, 8, 3, 4)), jnp.float32)
MASK = jnp.asarray(RNG.random((8, 3)) < 0.5).at[0].set(False).at[1].set(True)


def by_loop(prediction, target, mask, normalize=True):
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    errors = []
    for place in zip(*np.nonzero(np.asarray(mask)), strict=True):
        patch = target[place]
        patch = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 1e-6) if normalize else patch
        errors.append(np.mean((prediction[place] - patch) ** 2))
    return np.mean(errors)


@pytest.mark.parametrize("normalize", [True, False])
def test_value_and_gradient_are_those_of_the_definition(normalize):
    loss = functools.partial(masked_regression, normalize_targets=normalize)
    value, gradient = jax.jit(jax.value_and_grad(loss))(PREDICTION, TARGET, MASK)
    definition = functools.partial(by_loop, normalize=normalize)
    np.testing.assert_allclose(value, definition(PREDICTION, TARGET, MASK), rtol=1e-5)
    expected = numerical_gradient(definition, (PREDICTION, TARGET, MASK), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)


def test_visible_patches_do_not_count_and_the_target_is_a_constant():
    moved = jnp.where(MASK[..., None], PREDICTION, 1e6)
    np.testing.assert_allclose(run(moved, TARGET, MASK), run(PREDICTION, TARGET, MASK), rtol=1e-6)
    assert not jax.jit(jax.grad(masked_regression, argnums=1))(PREDICTION, TARGET, MASK).any()


def test_known_values():
    np.testing.assert_allclose(run(TARGET, TARGET, MASK, normalize_targets=False), 0)
    np.testing.assert_allclose(run(jnp.zeros_like(TARGET), TARGET, MASK), 3 / 4, rtol=1e-4)  # unbiased: (P - 1) / P
    assert run(PREDICTION, TARGET, jnp.zeros_like(MASK)) == 0
    np.testing.assert_allclose(run(PREDICTION, jnp.ones_like(TARGET), MASK), np.mean(PREDICTION[MASK] ** 2), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype):
    pair = PREDICTION.astype(dtype), TARGET.astype(dtype)
    value = run(*pair, MASK.astype(dtype))
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, by_loop(*(array.astype("float32") for array in pair), MASK), rtol=1e-4)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_shards_with_different_masks_average_as_the_whole_batch(way, shards):
    assert_same_in_pieces(masked_regression, way, shards, (PREDICTION, TARGET, MASK), cut=(0, 0, 0))


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (((2, 3, 4), (2, 3, 5), (2, 3)), r"masked_regression: .*got \(2, 3, 4\), \(2, 3, 5\) and \(2, 3\)"),
        (((2, 3, 4), (2, 3, 4), (2, 4)), r"mask \[B, T\], got .* and \(2, 4\)"),
        (((2, 3, 1), (2, 3, 1), (2, 3)), r"two to a patch to normalise it, got \(2, 3, 1\)"),
        (((0, 3, 4), (0, 3, 4), (0, 3)), r"prediction must have examples.*got \(0, 3, 4\)"),
    ],
)
def test_wrong_input_is_one_sentence(shapes, sentence):
    with pytest.raises(ValueError, match=sentence):
        masked_regression(*(jnp.ones(shape) for shape in shapes))


def huber_by_loop(prediction, target, mask):
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    errors = np.abs(prediction - target)[np.asarray(mask)]
    return np.mean([error**2 / 2 if error < 1 else error - 0.5 for error in errors.ravel()])


def test_smooth_l1_and_its_gradient_are_those_of_the_definition():
    value, gradient = jax.jit(jax.value_and_grad(masked_smooth_l1))(PREDICTION, TARGET, MASK)
    np.testing.assert_allclose(value, huber_by_loop(PREDICTION, TARGET, MASK), rtol=1e-5)
    expected = numerical_gradient(huber_by_loop, (PREDICTION, TARGET, MASK), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)
    assert (jax.grad(masked_smooth_l1, 1)(PREDICTION, TARGET, MASK) == 0).all()


def test_smooth_l1_of_nothing_known_and_of_nothing_hidden():
    normal = jax.random.normal(jax.random.key(0), (64, 16, 16))
    np.testing.assert_allclose(masked_smooth_l1(0 * normal, normal, jnp.ones((64, 16))), 0.43, atol=0.01)
    assert masked_smooth_l1(0 * normal, normal, jnp.zeros((64, 16))) == 0
    with pytest.raises(ValueError, match="masked_smooth_l1: needs prediction and target"):
        masked_smooth_l1(normal, normal, jnp.zeros((64, 15)))


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_smooth_l1_of_shards_is_that_of_the_whole(way, shards):
    assert_same_in_pieces(masked_smooth_l1, way, shards, (PREDICTION, TARGET, MASK), cut=(0, 0, 0))
