"""DINO, its centre, and the negative cosine against their definitions, over shards, and with nothing to hold on to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from sharding import CASES, assert_same_in_pieces, in_pieces

from ssl_jax.losses.distillation import center_and_sharpen, dino, negative_cosine, update_center

RNG = np.random.default_rng(0)
STUDENT, TEACHER = (jnp.asarray(RNG.normal(0, 0.3, (count, 8, 5)), jnp.float32) for count in (4, 2))
CENTER = jnp.asarray(RNG.normal(0, 0.1, 5), jnp.float32)
FIRST, SECOND = jnp.asarray(RNG.normal(0, 2, (2, 8, 4)), jnp.float32)
cosine = jax.jit(negative_cosine)
run_dino = jax.jit(lambda student, teacher, center: dino(student, teacher, center=center))


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def numpy_dino(student, teacher, center, student_temperature=0.1, teacher_temperature=0.04):
    student, teacher, center = (np.asarray(array, np.float64) for array in (student, teacher, center))
    losses = []
    for a, target in enumerate(teacher):
        for v, output in enumerate(student):
            if v != a:
                target_p = softmax((target - center) / teacher_temperature)
                losses.append(-np.mean(np.sum(target_p * np.log(softmax(output / student_temperature)), axis=1)))
    return np.mean(losses)


def numpy_cosine(prediction, target):
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    return -np.mean([p @ t / (np.linalg.norm(p) * np.linalg.norm(t)) for p, t in zip(prediction, target, strict=True)])


@pytest.mark.parametrize(("count", "assigned"), [(4, 2), (2, 2), (3, 1)])
def test_dino_is_its_definition(count, assigned):
    arrays = STUDENT[:count], TEACHER[:assigned], CENTER
    value, gradient = jax.jit(jax.value_and_grad(lambda s, t, c: dino(s, t, center=c)))(*arrays)
    np.testing.assert_allclose(value, numpy_dino(*arrays), rtol=1e-5)
    np.testing.assert_allclose(gradient, numerical_gradient(numpy_dino, arrays, 0), rtol=1e-3, atol=1e-6)


def test_dino_teaches_the_student_only():
    gradients = jax.jit(jax.grad(lambda t, c: dino(STUDENT, t, center=c), argnums=(0, 1)))(TEACHER, CENTER)
    assert not any(gradient.any() for gradient in gradients)


def test_dino_known_values():
    np.testing.assert_allclose(run_dino(jnp.ones((4, 8, 5)), TEACHER, CENTER), np.log(5), rtol=1e-6)
    sure = 50 * jnp.tile(jax.nn.one_hot(jnp.arange(8) % 5, 5)[None], (4, 1, 1))
    assert run_dino(sure, sure[:2], jnp.zeros(5)) < 1e-6


def test_a_centre_of_the_teachers_mean_undoes_a_dominant_output():
    biased = TEACHER.at[:, :, 0].add(100.0)
    moved = run_dino(STUDENT, biased, CENTER.at[0].add(100.0))
    np.testing.assert_allclose(moved, run_dino(STUDENT, TEACHER, CENTER), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dino_stays_finite(dtype):
    student, teacher = STUDENT.astype(dtype), TEACHER.astype(dtype)
    loss = functools.partial(dino, center=CENTER, student_temperature=1e-3, teacher_temperature=1e-3)
    value, gradient = jax.jit(jax.value_and_grad(loss))(student, teacher)
    assert value.dtype == jnp.float32
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_centre_moves_a_tenth_of_the_way_to_the_mean_of_all_outputs():
    expected = 0.9 * np.asarray(CENTER) + 0.1 * np.asarray(TEACHER).mean(axis=(0, 1))
    np.testing.assert_allclose(update_center(CENTER, TEACHER), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(update_center(CENTER, TEACHER, momentum=1.0), CENTER)
    assert not jax.grad(lambda teacher: update_center(CENTER, teacher).sum())(TEACHER).any()


def test_a_centre_of_counted_outputs_leaves_the_others_out_and_stays_without_any():
    counted = jnp.zeros((2, 8), bool).at[0, 3].set(True).at[1, 5].set(True)
    expected = 0.9 * np.asarray(CENTER) + 0.05 * np.asarray(TEACHER[0, 3] + TEACHER[1, 5])
    np.testing.assert_allclose(update_center(CENTER, TEACHER, counted=counted), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(update_center(CENTER, TEACHER, counted=jnp.zeros((2, 8), bool)), CENTER)
    with pytest.raises(ValueError, match=r"update_center: counted must be \[A, B\].*got \(8,\)"):
        update_center(CENTER, TEACHER, counted=counted[0])


def test_centred_and_sharpened_outputs_are_distributions():
    expected = softmax((np.asarray(TEACHER, np.float64) - np.asarray(CENTER)) / 0.04)
    np.testing.assert_allclose(center_and_sharpen(TEACHER, center=CENTER), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        center_and_sharpen(TEACHER[:1, :1], center=TEACHER[0, 0]), np.full((1, 1, 5), 0.2), rtol=1e-6
    )
    with pytest.raises(ValueError, match=r"center_and_sharpen: .*got \(2, 8, 5\) and \(4,\)"):
        center_and_sharpen(TEACHER, center=CENTER[:4])


def dino_with_its_center(student, teacher, center, *, axis_name=None):
    center = update_center(center, teacher, axis_name=axis_name)
    return dino(student, teacher, center=center, axis_name=axis_name)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_dino_and_its_centre_in_pieces_are_those_of_the_whole_batch(way, shards):
    assert_same_in_pieces(dino_with_its_center, way, shards, (STUDENT, TEACHER, CENTER), cut=(1, 1, None))
    center = in_pieces(functools.partial(update_center, axis_name="data"), way, shards, cut=(None, 1))(CENTER, TEACHER)
    np.testing.assert_allclose(center, update_center(CENTER, TEACHER), rtol=1e-5, atol=1e-7)
    counted = jnp.asarray(RNG.random((2, 8)) < 0.4)
    moved = in_pieces(
        lambda center, teacher, counted: update_center(center, teacher, counted=counted, axis_name="data"),
        way, shards, cut=(None, 1, 1),
    )(CENTER, TEACHER, counted)  # fmt: skip
    np.testing.assert_allclose(moved, update_center(CENTER, TEACHER, counted=counted), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: dino(STUDENT, TEACHER[:, :7], center=CENTER),
            r"dino: needs student \[V, B, K\] and teacher \[A, B, K\].*\(2, 7, 5\)",
        ),
        (lambda: dino(STUDENT[:1], TEACHER[:1], center=CENTER), "dino: needs student of V >= 2 crops.*got 1 and 1"),
        (lambda: dino(STUDENT, TEACHER, center=CENTER[:4]), r"dino: .*center \[K\], got \(2, 8, 5\) and \(4,\)"),
        (
            lambda: dino(STUDENT, TEACHER, center=CENTER, student_temperature=0),
            "dino: student_temperature must be above 0",
        ),
        (lambda: dino(STUDENT[:, :0], TEACHER[:, :0], center=CENTER), r"dino: .*not empty, got \(4, 0, 5\)"),
        (lambda: update_center(CENTER, TEACHER[0]), r"update_center: needs teacher \[A, B, K\].*got \(8, 5\)"),
    ],
)
def test_dino_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_negative_cosine_is_its_definition_and_stops_at_the_target():
    value, gradients = jax.jit(jax.value_and_grad(negative_cosine, argnums=(0, 1)))(FIRST, SECOND)
    np.testing.assert_allclose(value, numpy_cosine(FIRST, SECOND), rtol=1e-5)
    expected = numerical_gradient(numpy_cosine, (FIRST, SECOND), 0)
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-3, atol=1e-6)
    assert not gradients[1].any()


def test_negative_cosine_known_values():
    np.testing.assert_allclose(cosine(FIRST, FIRST), -1, rtol=1e-6)
    np.testing.assert_allclose(cosine(FIRST, -FIRST), 1, rtol=1e-6)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (FIRST, SECOND)]
    byol = np.mean(np.sum((unit[0] - unit[1]) ** 2, axis=1))
    np.testing.assert_allclose(2 + 2 * cosine(FIRST, SECOND), byol, rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(1e-2, 1e3), seed=st.integers(0, 1000))
def test_negative_cosine_is_blind_to_scale_and_order_and_symmetric(scale, seed):
    order = jax.random.permutation(jax.random.key(seed), 8)
    value = cosine(FIRST, SECOND)
    np.testing.assert_allclose(cosine(FIRST * jnp.float32(scale), SECOND), value, rtol=1e-4)
    np.testing.assert_allclose(cosine(FIRST[order], SECOND[order]), value, rtol=1e-4)
    np.testing.assert_allclose(cosine(SECOND, FIRST), value, rtol=1e-4)


@pytest.mark.parametrize("case", ["zeros", "bfloat16", "float16", "one example"])
def test_negative_cosine_stays_finite(case):
    pair = {
        "zeros": (jnp.zeros((8, 4)), SECOND),
        "one example": (FIRST[:1], SECOND[:1]),
        "bfloat16": (FIRST.astype(jnp.bfloat16), SECOND.astype(jnp.bfloat16)),
        "float16": (100 * FIRST.astype(jnp.float16), SECOND.astype(jnp.float16)),
    }[case]
    value, gradient = jax.jit(jax.value_and_grad(negative_cosine))(*pair)
    assert value.dtype == jnp.float32
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_negative_cosine_in_pieces_is_that_of_the_whole_batch(way, shards):
    assert_same_in_pieces(negative_cosine, way, shards, (FIRST, SECOND), cut=(0, 0))


@pytest.mark.parametrize("shapes", [((8, 4), (8, 3)), ((4,), (4,)), ((0, 4), (0, 4))])
def test_negative_cosine_wrong_input_is_one_sentence(shapes):
    with pytest.raises(ValueError, match=r"negative_cosine: prediction and target must be \[B, D\] of one shape"):
        negative_cosine(*(jnp.ones(shape) for shape in shapes))
