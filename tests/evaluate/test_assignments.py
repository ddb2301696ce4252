"""Use and entropy of assignments against their definitions in float64, and at the trivial solutions that they tell apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.evaluate import assignment_entropy, prototype_use

EXAMPLES, PROTOTYPES = 96, 12
LOGITS = 3 * np.random.default_rng(0).normal(size=(EXAMPLES, PROTOTYPES))
SOFT = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype(np.float32)
EVEN = np.eye(PROTOTYPES, dtype=np.float32)[np.arange(EXAMPLES) % PROTOTYPES]
ONE = np.eye(PROTOTYPES, dtype=np.float32)[np.zeros(EXAMPLES, int)]
FLAT = np.full((EXAMPLES, PROTOTYPES), 1 / PROTOTYPES, np.float32)


def entropy_64(shares):
    shares = np.asarray(shares, np.float64)
    return -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=-1)


def test_both_are_their_definitions():
    np.testing.assert_allclose(
        jax.jit(prototype_use)(SOFT), np.exp(entropy_64(SOFT.mean(axis=0))) / PROTOTYPES, rtol=1e-5
    )
    expected = entropy_64(SOFT).mean() / np.log(PROTOTYPES)
    np.testing.assert_allclose(jax.jit(assignment_entropy)(SOFT), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("assignments", "use", "entropy"),
    [(EVEN, 1, 0), (ONE, 1 / PROTOTYPES, 0), (FLAT, 1, 1), (np.concatenate([ONE, ONE[:, ::-1]]), 2 / PROTOTYPES, 0)],
    ids=["each", "one for all", "all for each", "two"],
)
def test_trivial_solutions(assignments, use, entropy):
    np.testing.assert_allclose(prototype_use(jnp.asarray(assignments)), use, rtol=1e-5)
    np.testing.assert_allclose(assignment_entropy(jnp.asarray(assignments)), entropy, atol=1e-6)


def test_of_more_prototypes_than_examples_the_share_is_of_the_examples():
    np.testing.assert_allclose(prototype_use(jnp.eye(4, 100)), 1, rtol=1e-5)
    np.testing.assert_allclose(prototype_use(jnp.full((4, 100), 0.01)), 1, rtol=1e-5)
    assert assignment_entropy(jnp.ones((3, 1))) == 0


@pytest.mark.parametrize("shape", [(4,), (0, 3), (3, 0)])
def test_wrong_shapes_are_one_sentence(shape):
    for function in (prototype_use, assignment_entropy):
        with pytest.raises(ValueError, match=rf"{function.__name__}: assignments must be \[N, K\]"):
            function(jnp.ones(shape))
