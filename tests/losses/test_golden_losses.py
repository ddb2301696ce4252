"""Losses without negatives against published implementations; golden/README.md names their versions."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.losses.clustering import cluster_cross_entropy, swav
from ssl_jax.losses.decorrelation import barlow_twins, vicreg
from ssl_jax.losses.distillation import dino, negative_cosine, update_center
from ssl_jax.losses.pretext import cross_entropy
from ssl_jax.losses.reconstruction import masked_regression
from ssl_jax.ops.sinkhorn import sinkhorn

KINDS = {"f": np.float32, "i": np.int32}
FILE = Path(__file__).parents[1] / "golden" / "losses.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE, allow_pickle=False) as stored:
        return {name: array.astype(KINDS.get(array.dtype.kind, bool)) for name, array in stored.items()}


def swav_with_codes(scores):
    return swav(scores, jnp.stack([sinkhorn(crop) for crop in scores[:2]]))


def dino_of_the_second_step(student, teacher):
    center = update_center(jnp.zeros(teacher.shape[2]), teacher[:, ::-1] + 1)
    return dino(student, teacher, center=center)


# what was computed, by whom, with ours, from which arrays: differentiated ones, then constants
CASES = [
    ("barlow_twins", "lightly", barlow_twins, ["first", "second"], []),
    ("barlow_twins", "solo", barlow_twins, ["first", "second"], []),
    ("vicreg", "lightly", vicreg, ["first", "second"], []),
    ("vicreg", "solo", vicreg, ["first", "second"], []),
    ("negative_cosine", "lightly", negative_cosine, ["first", "second"], []),
    ("negative_cosine", "solo", negative_cosine, ["first", "second"], []),
    ("swav", "lightly", swav_with_codes, ["scores"], []),
    ("swav", "solo", lambda scores, assignments: swav(scores[:2], assignments), ["scores"], ["assignments"]),
    ("dino", "lightly", dino_of_the_second_step, ["student", "teacher"], []),
    ("dino", "solo", dino_of_the_second_step, ["student", "teacher"], []),
    ("cluster_cross_entropy", "solo", lambda s, y: cluster_cross_entropy(s[0], y), ["scores"], ["labels"]),
    ("cross_entropy", "torch", lambda s, y: cross_entropy(s[0], y, label_smoothing=0.1), ["scores"], ["labels"]),
    ("masked_regression", "stable-pretraining", masked_regression, ["prediction"], ["patches", "mask"]),
    (
        "masked_regression plain",
        "stable-pretraining",
        lambda *arrays: masked_regression(*arrays, normalize_targets=False),
        ["prediction"],
        ["patches", "mask"],
    ),
]


@pytest.mark.parametrize(("name", "by", "loss", "inputs", "constants"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_value_and_gradients_are_the_published_ones(golden, name, by, loss, inputs, constants):
    arrays, kept = [golden[key] for key in inputs], [golden[key] for key in constants]
    value, gradients = jax.jit(jax.value_and_grad(loss, tuple(range(len(arrays)))))(*arrays, *kept)
    np.testing.assert_allclose(value, golden[f"{name} {by} 0"], rtol=1e-5)
    for number, gradient in enumerate(gradients, start=1):
        np.testing.assert_allclose(gradient, golden[f"{name} {by} {number}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("by", ["lightly", "solo"])
def test_sinkhorn_is_the_published_one(golden, by):
    codes = sinkhorn(golden["scores"][0])
    np.testing.assert_allclose(codes, golden[f"sinkhorn {by} 0"], rtol=1e-4, atol=1e-7)
