"""The gauges of a record: what they are of, and that each is there where the method has what it measures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.evaluate import (
    alignment,
    assignment_entropy,
    cross_correlation,
    diagnostics,
    eigenvalue_decay,
    memory_cosine,
    prototype_use,
    teacher_distance,
    uniformity,
)
from ssl_jax.evaluate.gauges import MOST_EXAMPLES, training_gauges
from ssl_jax.methods.method import Watched

RNG = np.random.default_rng(0)


def rows(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


@pytest.mark.slow
def test_each_is_the_public_function_of_an_even_sample():
    size = 2 * MOST_EXAMPLES + 6
    embedding, probabilities, memory = rows(size, 3, 4), jax.nn.softmax(rows(size, 5)), (rows(size, 4), rows(size, 4))
    teacher = {"w": rows(3)}, {"w": rows(3)}
    found = training_gauges(embedding, Watched(probabilities, teacher, memory))
    first, second = embedding[::3, 0], embedding[::3, 1]
    assert len(first) <= MOST_EXAMPLES
    expected = {
        **diagnostics(first),
        "eigenvalue_decay": eigenvalue_decay(first),
        "uniformity": uniformity(first),
        "alignment": alignment(first, second),
        "view_correlation": cross_correlation(first, second).diagonal,
        "redundancy": cross_correlation(first, second).off_diagonal,
        "prototype_use": prototype_use(probabilities[::3]),
        "assignment_entropy": assignment_entropy(probabilities[::3]),
        "teacher_distance": teacher_distance(*teacher),
        "memory_cosine": memory_cosine(memory[0][::3], memory[1][::3])[0],
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == () and found[name].dtype == jnp.float32
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.slow
def test_of_one_view_without_anything_else_there_are_four():
    found = training_gauges(rows(8, 1, 4), Watched())
    assert found.keys() == {"std", "effective_rank", "eigenvalue_decay", "uniformity"}


@pytest.mark.slow
def test_sharded_equals_whole():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    arrays = rows(64, 2, 6), Watched(jax.nn.softmax(rows(64, 5)), None, (rows(64, 6), rows(64, 6)))
    sharded = jax.device_put(arrays, NamedSharding(mesh, PartitionSpec("data")))
    run = jax.jit(training_gauges)
    for name, value in run(*arrays).items():
        np.testing.assert_allclose(run(*sharded)[name], value, rtol=1e-4, err_msg=name)
