"""The losses of iBOT and DINOv2 against their definitions, over shards, at chance and collapsed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.masked_distillation import ibot, koleo

RNG = np.random.default_rng(0)
STUDENT = jnp.asarray(RNG.normal(0, 0.3, (8, 3, 5)), jnp.float32)
TARGETS = jax.nn.softmax(jnp.asarray(RNG.normal(size=(8, 3, 5)), jnp.float32))
MASK = jnp.asarray(RNG.random((8, 3)) < 0.5).at[0].set(False).at[1].set(True)
TOKENS = jnp.asarray(RNG.normal(0, 2, (8, 4)), jnp.float32)


def numpy_ibot(student, targets, mask, temperature=0.1):
    losses = []
    for outputs, wanted, masked in zip(
        *(np.asarray(array, np.float64) for array in (student, targets, mask)), strict=True
    ):
        logits = outputs / temperature
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        entropies = [-wanted[patch] @ log_p[patch] for patch in range(len(masked)) if masked[patch]]
        losses.append(np.mean(entropies) if entropies else 0)
    return np.mean(losses)


def numpy_koleo(tokens):
    tokens = np.asarray(tokens, np.float64)
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    distances = [min(np.linalg.norm(u - v) for j, v in enumerate(unit) if j != i) for i, u in enumerate(unit)]
    return -np.mean(np.log(distances))


def test_ibot_is_its_definition():
    value, gradient = jax.jit(jax.value_and_grad(ibot))(STUDENT, TARGETS, MASK)
    np.testing.assert_allclose(value, numpy_ibot(STUDENT, TARGETS, MASK), rtol=1e-5)
    expected = numerical_gradient(numpy_ibot, (STUDENT, TARGETS, MASK), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)
    assert not gradient[0].any() and gradient[1].any()


def test_ibot_at_chance_is_the_share_of_masked_crops_times_log_k_and_teaches_the_student_only():
    np.testing.assert_allclose(ibot(jnp.ones((8, 3, 5)), TARGETS, MASK), MASK.any(axis=1).mean() * np.log(5), rtol=1e-6)
    assert ibot(STUDENT, TARGETS, jnp.zeros_like(MASK)) == 0
    assert not jax.grad(lambda targets: ibot(STUDENT, targets, MASK))(TARGETS).any()


def test_koleo_is_its_definition():
    value, gradient = jax.jit(jax.value_and_grad(koleo))(TOKENS)
    np.testing.assert_allclose(value, numpy_koleo(TOKENS), rtol=1e-5)
    np.testing.assert_allclose(gradient, numerical_gradient(numpy_koleo, (TOKENS,), 0), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_koleo_known_values():
    np.testing.assert_allclose(koleo(jnp.eye(3)), -np.log(2) / 2, rtol=1e-6)
    np.testing.assert_allclose(koleo(jnp.array([[1.0, 0.0], [-2.0, 0.0]])), -np.log(2), rtol=1e-6)
    value, gradient = jax.value_and_grad(koleo)(jnp.ones((4, 3)))
    np.testing.assert_allclose(value, np.log(1e8), rtol=1e-6)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_both_stay_finite(dtype):
    for value, gradient in (
        jax.value_and_grad(ibot)(100 * STUDENT.astype(dtype), TARGETS.astype(dtype), MASK),
        jax.value_and_grad(koleo)(100 * TOKENS.astype(dtype)),
    ):
        assert value.dtype == jnp.float32 and jnp.isfinite(value) and jnp.isfinite(gradient).all()


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_in_pieces_they_are_those_of_the_whole_batch(way, shards):
    assert_same_in_pieces(ibot, way, shards, (STUDENT, TARGETS, MASK.astype(jnp.float32)), cut=(0, 0, 0))
    assert_same_in_pieces(koleo, way, shards, (TOKENS,), cut=(0,))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ibot(STUDENT, TARGETS[:7], MASK), r"ibot: needs student and targets \[B, T, K\].*\(7, 3, 5\)"),
        (lambda: ibot(STUDENT, TARGETS, MASK[:, :2]), r"ibot: .*mask \[B, T\], got .*\(8, 2\)"),
        (lambda: ibot(STUDENT, TARGETS, MASK, temperature=0.0), "ibot: temperature must be above 0"),
        (lambda: koleo(TOKENS[:1]), r"koleo: tokens must be \[B, D\], two or more in the whole batch, got \(1, 4\)"),
        (lambda: koleo(TOKENS[0]), r"koleo: tokens must be \[B, D\].*got \(4,\)"),
    ],
)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
