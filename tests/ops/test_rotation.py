"""A rotation for every free matrix: orthogonal, determinant 1, norms and angles kept."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.ops.rotation import rotation_matrix

rotate = jax.jit(rotation_matrix)


def free(scale, dim=64, seed=0):
    return scale * jax.random.normal(jax.random.key(seed), (dim, dim))


@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 30.0])
@pytest.mark.parametrize("dim", [7, 64])
def test_norms_and_angles_are_kept(scale, dim):
    rotation = np.asarray(rotate(free(scale, dim)), np.float64)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(dim), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, rtol=1e-4)
    points = np.random.default_rng(0).standard_normal((9, dim))
    moved = points @ rotation.T
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(points, axis=1), rtol=1e-5)
    lengths = np.linalg.norm(points, axis=1)
    cosines = (moved @ moved.T - points @ points.T) / (lengths[:, None] * lengths[None])
    np.testing.assert_allclose(cosines, 0, atol=1e-5)


def test_is_the_cayley_transform():
    matrix = np.asarray(free(1.0, 5), np.float64)
    skew, identity = (matrix - matrix.T) / 4, np.eye(5)
    np.testing.assert_allclose(
        rotate(free(1.0, 5)), np.linalg.inv(identity - skew) @ (identity + skew), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("angle", [0.0, 0.01, 1.0, 50.0])
def test_turns_the_plane_by_a_known_angle(angle):
    turn = 2 * np.arctan(angle / 2)
    expected = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    np.testing.assert_allclose(rotate(jnp.array([[0, -angle], [angle, 0]])), expected, atol=1e-6)


def test_symmetric_part_does_not_matter():
    matrix = free(1.0, 6)
    np.testing.assert_allclose(rotate(matrix + 3 * (matrix + matrix.T)), rotate(matrix), atol=1e-5)
    np.testing.assert_array_equal(rotate(matrix + matrix.T), np.eye(6))


def test_one_matrix_per_head_and_half_precision():
    heads = jnp.stack([free(1.0, 6, seed) for seed in range(3)])
    np.testing.assert_allclose(rotate(heads)[1], rotate(heads[1]), atol=1e-6)
    assert rotate(heads.astype(jnp.bfloat16)).dtype == jnp.float32


def test_gradient_descent_finds_any_rotation_and_stays_orthogonal():
    target = rotate(free(1.0, 4, seed=5))
    step = jax.jit(jax.value_and_grad(lambda matrix: jnp.sum((rotation_matrix(matrix) - target) ** 2)))
    matrix = jnp.zeros((4, 4))
    for _ in range(200):
        distance, gradient = step(matrix)
        matrix = matrix - 0.2 * gradient
    assert distance < 1e-4
    np.testing.assert_allclose(rotate(matrix) @ rotate(matrix).T, np.eye(4), atol=1e-5)


def test_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match=r"rotation_matrix: free must be \[..., D, D\], got \(3, 4\)"):
        rotation_matrix(jnp.ones((3, 4)))


MANY = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))
import jax
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.ops import rotation_matrix
layers = [jax.random.normal(jax.random.key(layer), (3, 64, 64)) for layer in range(8)]
turn = jax.jit(jax.grad(lambda layers: sum((rotation_matrix(layer) ** 3).sum() for layer in layers)))
for _ in range(20):
    jax.block_until_ready(turn(layers))
init = jax.jit(recurrent(sources=9, symbols=9, dim=128, depth=2).init)
for seed in range(20):
    jax.block_until_ready(init(jax.random.key(seed)))
"""


@pytest.mark.slow
def test_many_at_once_on_two_cores_do_not_wait_for_each_other():
    subprocess.run([sys.executable, "-c", MANY], check=True, timeout=120)
