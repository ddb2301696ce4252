"""Energies and the key-value store against their definitions; a store that is cut over shards; attention from energy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.evaluate.knn import knn_votes
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.energy import free_energy, key_value_lookup
from ssl_jax.ops.normalize import unit_length

B, K, D, E = 8, 24, 3, 2


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((B, D), (K, D), (K, E)))


def naive_energy(query, keys, inverse_temperature=2.0):
    return -np.log(np.exp(inverse_temperature * query @ keys.T).sum(axis=1)) / inverse_temperature


def naive_lookup(query, keys, values, inverse_temperature=2.0, top=None):
    read = []
    for scores in query @ keys.T:
        nearest = np.argsort(-scores, kind="stable")[:top]
        weights = np.exp(inverse_temperature * (scores[nearest] - scores.max()))
        read.append(weights @ values[nearest] / weights.sum())
    return np.array(read)


def energy_number(query, keys, *, axis_name=None, block_size=None):
    energies = free_energy(query, keys, inverse_temperature=2.0, axis_name=axis_name, block_size=block_size)
    return mean_over_shards((energies**2).mean(), axis_name)


def lookup_number(query, keys, values, *, axis_name=None, **options):
    read = key_value_lookup(query, keys, values, inverse_temperature=2.0, axis_name=axis_name, **options)
    return mean_over_shards((read**3 + read).mean(), axis_name)


@pytest.mark.parametrize("block_size", [None, 1, 7])
def test_free_energy_is_its_definition(block_size):
    query, keys, _ = arrays()
    wide = [np.asarray(array, np.float64) for array in (query, keys)]
    found = free_energy(query, keys, inverse_temperature=2.0, block_size=block_size)
    np.testing.assert_allclose(found, naive_energy(*wide), rtol=1e-5)
    gradients = jax.jit(jax.grad(functools.partial(energy_number, block_size=block_size), (0, 1)))(query, keys)
    for which, gradient in enumerate(gradients):
        slope = numerical_gradient(lambda *pair: np.mean(naive_energy(*pair) ** 2), wide, which)
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("top", [None, 1, 5, K])
@pytest.mark.parametrize("block_size", [None, 7])
def test_a_look_up_is_its_definition(block_size, top):
    given = arrays()
    wide = [np.asarray(array, np.float64) for array in given]
    found = key_value_lookup(*given, inverse_temperature=2.0, top=top, block_size=block_size)
    np.testing.assert_allclose(found, naive_lookup(*wide, top=top), rtol=1e-4, atol=1e-5)

    def number(*arrays):
        read = naive_lookup(*arrays, top=top)
        return (read**3 + read).mean()

    function = functools.partial(lookup_number, block_size=block_size, top=top)
    gradients = jax.jit(jax.grad(function, (0, 1, 2)))(*given)
    for which, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, numerical_gradient(number, wide, which), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "shards"), CASES)
def test_a_cut_store_is_the_whole_store(way, shards):
    assert_same_in_pieces(energy_number, way, shards, arrays()[:2], cut=(0, 0), rtol=1e-4)
    assert_same_in_pieces(lookup_number, way, shards, arrays(), cut=(0, 0, 0), rtol=1e-4, atol=1e-5)
    for block_size in (None, 2):
        nearest = functools.partial(lookup_number, top=5, block_size=block_size)
        assert_same_in_pieces(nearest, way, shards, arrays(), cut=(0, 0, 0), rtol=1e-4, atol=1e-5)
    classes = functools.partial(lookup_number, top=5, num_classes=7)
    assert_same_in_pieces(classes, way, shards, (*arrays()[:2], labels()), cut=(0, 0, 0), rtol=1e-4, atol=1e-5)


def labels():
    return jnp.asarray(np.random.default_rng(3).integers(0, 7, K))


@pytest.mark.parametrize("top", [None, 1, 5])
def test_classes_are_read_as_their_one_hot_rows(top):
    query, keys, _ = arrays()
    read = key_value_lookup(query, keys, labels(), num_classes=7, inverse_temperature=2.0, top=top)
    wide = [np.asarray(array, np.float64) for array in (query, keys)]
    np.testing.assert_allclose(read, naive_lookup(*wide, np.eye(7)[labels()], top=top), rtol=1e-4, atol=1e-6)


def test_k_nn_is_the_look_up_of_labels():
    query, keys, _ = arrays()
    votes = knn_votes(keys, labels(), query, num_classes=7, k=5, temperature=0.5)
    similar = unit_length(query), unit_length(keys)
    read = key_value_lookup(*similar, labels(), num_classes=7, inverse_temperature=2.0, top=5)
    np.testing.assert_allclose(read, votes, rtol=1e-5)


@pytest.mark.slow
def test_attention_is_minus_the_gradient_of_the_free_energy():
    query, keys, _ = arrays()
    energy = lambda query: free_energy(query, keys, inverse_temperature=3.0).sum()  # noqa: E731
    attended = key_value_lookup(query, keys, keys, inverse_temperature=3.0)
    np.testing.assert_allclose(-jax.grad(energy)(query), attended, rtol=1e-5, atol=1e-6)


def test_cold_reading_is_hard_and_cold_energy_is_the_best_score():
    query, keys, values = arrays()
    hard = key_value_lookup(query, keys, values, hard=True)
    np.testing.assert_array_equal(hard, key_value_lookup(query, keys, values, top=1))
    np.testing.assert_allclose(key_value_lookup(query, keys, values, inverse_temperature=1e5), hard, rtol=1e-4)
    np.testing.assert_array_equal(hard, values[np.argmax(query @ keys.T, axis=1)])
    best = np.max(query @ keys.T, axis=1)
    cold = free_energy(query, keys, inverse_temperature=1e5)
    np.testing.assert_allclose(-cold, best, rtol=1e-3)
    warm = free_energy(query, keys, inverse_temperature=2.0)
    assert (warm < -best).all()  # from below
    flat = free_energy(query * 0, keys, inverse_temperature=2.0)
    np.testing.assert_allclose(flat, -np.log(K) / 2, rtol=1e-6)


@pytest.mark.slow
def test_of_equal_scores_the_lower_number_is_nearer():
    keys = jnp.ones((5, 2))
    read = key_value_lookup(jnp.ones((1, 2)), keys, jnp.arange(5.0)[:, None], top=2, block_size=2)
    np.testing.assert_allclose(read, [[0.5]])


@pytest.mark.parametrize("block_size", [None, 1000])
def test_on_cpu_the_nearest_are_found_without_sorting_all(block_size):
    query, keys, labels = (
        jax.ShapeDtypeStruct(*each) for each in (((64, D), "f4"), ((5000, D), "f4"), ((5000,), "i4"))
    )
    read = functools.partial(key_value_lookup, top=5, num_classes=7, block_size=block_size)
    program = jax.jit(read).lower(query, keys, labels).compile().as_text()
    assert '"TopK"' in program and " sort(" not in program


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sums_of_narrow_arrays_are_wide(dtype):
    keys = jnp.zeros((4096, 2), dtype)
    energy = free_energy(keys[:2], keys, inverse_temperature=1.0, block_size=100)
    assert energy.dtype == jnp.float32
    np.testing.assert_allclose(energy, -np.log(4096), rtol=1e-6)
    read = key_value_lookup(keys[:2], keys, jnp.ones((4096, 1), dtype), top=7)
    assert read.dtype == jnp.float32
    np.testing.assert_allclose(read, 1, rtol=1e-2)


@pytest.mark.slow
def test_wrong_arguments_are_named():
    query, keys, values = arrays()
    mistakes = (
        (lambda: free_energy(query[0], keys, inverse_temperature=1.0), r"free_energy: .*got \(3,\) and \(24, 3\)"),
        (lambda: free_energy(query, keys[:0], inverse_temperature=1.0), "not empty"),
        (lambda: free_energy(query, keys, inverse_temperature=0), "inverse_temperature must be above 0, got 0"),
        (lambda: free_energy(query, keys, inverse_temperature=1.0, axis_name="nowhere"), "'nowhere' is not bound"),
        (lambda: key_value_lookup(query, keys, values[:4]), r"values must be \[K, E\] with K = 24, .* \(4, 2\)"),
        (lambda: key_value_lookup(query, keys, labels()), r"or integers \[K\] with num_classes, got \(24,\)"),
        (lambda: key_value_lookup(query, keys, values, num_classes=7), r"must be integers .* got float32 \(24, 2\)"),
        (lambda: key_value_lookup(query, keys, values, hard=True, top=2), "hard uses one key, got top=2: leave out"),
        (lambda: key_value_lookup(query, keys, values, top=0), "top must be a whole number of at least 1, got 0"),
        (lambda: key_value_lookup(query, keys, values, top=25), "got 25"),
    )
    for call, words in mistakes:
        with pytest.raises(ValueError, match=words):
            call()
