"""Losses with negatives from elsewhere: their definitions in float64, whole and in pieces."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.negatives import cpc, estimate_log_partition, info_nce, nce

B, K, D = 16, 24, 3
STEPS, HEIGHT, WIDTH = 2, 4, 2


def arrays(shared=True, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((B, D), (B, D), (K, D) if shared else (B, K, D))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def grids(seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((STEPS, 8, HEIGHT, WIDTH, D), (8, HEIGHT, WIDTH, D))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def unit(array):
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def scores(query, positive, negatives, temperature):
    """Each query with its positive, `[B]`, and with its negatives, `[B, K]`."""
    query, positive, negatives = unit(query), unit(positive), unit(negatives)
    negatives = np.broadcast_to(negatives, (len(query), *negatives.shape[-2:]))
    wrong = np.stack([mine @ query[i] for i, mine in enumerate(negatives)])
    return np.sum(query * positive, axis=1) / temperature, wrong / temperature


def naive_info_nce(query, positive, negatives, temperature=0.5):
    right, wrong = scores(query, positive, negatives, temperature)
    return np.mean([np.log(np.exp(r) + np.exp(w).sum()) - r for r, w in zip(right, wrong, strict=True)])


def naive_nce(query, positive, negatives, temperature=0.5, log_partition=0.3):
    """Probability of data against K draws of noise, 1/L each: p / (p + K / L), p = exp(score) / (L Z). L cancels."""
    right, wrong = scores(query, positive, negatives, temperature)
    length, count = 1000, wrong.shape[1]
    p_right, p_wrong = (np.exp(score) / (length * np.exp(log_partition)) for score in (right, wrong))
    data = np.log(p_right / (p_right + count / length))
    noise = np.log((count / length) / (p_wrong + count / length))
    return -np.mean(data + noise.sum(axis=1))


def naive_cpc(predictions, targets, temperature=0.5, first_step=1):
    everything, total = targets.reshape(-1, D), 0.0
    for number, prediction in enumerate(predictions):
        step, nats = first_step + number, []
        for image, row, column in np.ndindex(len(targets), HEIGHT - step, WIDTH):
            made = prediction[image, row, column]
            all_scores = everything @ made / temperature
            nats.append(np.log(np.exp(all_scores).sum()) - targets[image, row + step, column] @ made / temperature)
        total += np.mean(nats) / len(predictions)
    return total


@functools.cache
def compiled(loss, count, **arguments):
    return jax.jit(jax.value_and_grad(functools.partial(loss, **arguments), tuple(range(count))))


def assert_is(loss, naive, given, **arguments):
    value, gradients = compiled(loss, len(given), **arguments)(*given)
    wide = [np.asarray(array, np.float64) for array in given]
    np.testing.assert_allclose(value, naive(*wide), rtol=1e-5)
    for which, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, numerical_gradient(naive, wide, which), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("block_size", [None, 1, 7, 8])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_info_nce_is_its_definition(shared, block_size):
    assert_is(info_nce, naive_info_nce, arrays(shared), temperature=0.5, block_size=block_size)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_nce_is_its_definition(shared):
    assert_is(nce, naive_nce, arrays(shared), temperature=0.5, log_partition=0.3)


@pytest.mark.parametrize("first_step", [1, 2])
@pytest.mark.parametrize("block_size", [None, 7])
def test_cpc_is_its_definition(first_step, block_size):
    naive = functools.partial(naive_cpc, first_step=first_step)
    given = grids()
    value, gradients = compiled(cpc, 2, temperature=0.5, first_step=first_step, block_size=block_size)(*given)
    wide = [np.asarray(array, np.float64) for array in given]
    np.testing.assert_allclose(value, naive(*wide), rtol=1e-5)
    np.testing.assert_allclose(gradients[1], numerical_gradient(naive, wide, 1), rtol=1e-4, atol=1e-6)
    some = tuple(np.random.default_rng(1).integers(0, size, 20) for size in given[0].shape)
    for place in zip(*some, strict=True):  # all of them would take half a minute
        moved = [wide[0].copy(), wide[0].copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        slope = (naive(moved[0], wide[1]) - naive(moved[1], wide[1])) / 2e-5
        np.testing.assert_allclose(gradients[0][place], slope, rtol=1e-4, atol=1e-6)


def with_negatives_of_all(query, positive, negatives, *, axis_name=None):
    return info_nce(query, positive, negatives, temperature=0.5, axis_name=axis_name)


def with_cut_negatives(query, positive, negatives, *, axis_name=None):
    return info_nce(query, positive, negatives, temperature=0.5, axis_name=axis_name, negatives_axis_name=axis_name)


def noise_contrastive(query, positive, negatives, *, axis_name=None):
    partition = estimate_log_partition(query, negatives, temperature=0.5, axis_name=axis_name)
    return nce(query, positive, negatives, temperature=0.5, log_partition=partition, axis_name=axis_name)


@pytest.mark.parametrize(("way", "shards"), CASES)
@pytest.mark.parametrize(
    ("loss", "cut", "shared"),
    [
        (with_negatives_of_all, (0, 0, 0), False),
        (with_cut_negatives, (0, 0, 0), True),
        (noise_contrastive, (0, 0, 0), False),
    ],
    ids=["own", "cut", "nce"],
)
def test_sharded_is_whole(loss, cut, shared, way, shards):
    assert_same_in_pieces(loss, way, shards, arrays(shared), cut=cut, atol=1e-5)


@pytest.mark.parametrize(("way", "shards"), CASES)
@pytest.mark.parametrize("block_size", [None, 3])
def test_sharded_cpc_is_whole(way, shards, block_size):
    assert_same_in_pieces(sharded_cpc(block_size), way, shards, grids(), cut=(1, 0), rtol=1e-4, atol=1e-5)


@functools.cache
def sharded_cpc(block_size):
    return functools.partial(cpc, temperature=0.5, block_size=block_size)


@pytest.mark.slow
def test_known_values():
    ones = jnp.ones((B, D))
    np.testing.assert_allclose(info_nce(ones, ones, jnp.ones((K, D))), np.log(K + 1), rtol=1e-5)
    even = nce(ones, ones, jnp.ones((K, D)), log_partition=1 / 0.07)
    np.testing.assert_allclose(even, np.log(K + 1) + K * np.log(1 + 1 / K), rtol=1e-4)
    np.testing.assert_allclose(estimate_log_partition(ones, jnp.ones((K, D))), 1 / 0.07, rtol=1e-5)
    same = jnp.ones((STEPS, 8, HEIGHT, WIDTH, D))
    np.testing.assert_allclose(cpc(same, same[0]), np.log(8 * HEIGHT * WIDTH), rtol=1e-5)
    east, west = jnp.eye(1, D), -jnp.eye(1, D)
    np.testing.assert_allclose(info_nce(2 * east, 3 * east, west), np.log1p(np.exp(-2 / 0.07)), atol=1e-6)


def test_the_partition_is_the_mean_over_pairs_and_has_no_gradient():
    query, _, negatives = arrays()
    _, wrong = scores(*(np.asarray(array, np.float64) for array in (query, query, negatives)), 0.5)
    found, gradient = jax.value_and_grad(lambda query: estimate_log_partition(query, negatives, temperature=0.5))(query)
    np.testing.assert_allclose(found, np.log(np.exp(wrong).mean()), rtol=1e-5)
    assert not gradient.any()


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("loss", [info_nce, functools.partial(nce, log_partition=0.0)], ids=["info_nce", "nce"])
def test_huge_logits_zeros_and_narrow_types_stay_finite(loss, shared):
    given = arrays(shared)
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        for query in (given[0], jnp.zeros_like(given[0])):
            narrow = [array.astype(dtype) for array in (query, *given[1:])]
            value, gradients = jax.value_and_grad(functools.partial(loss, temperature=1e-3), (0, 1, 2))(*narrow)
            assert np.isfinite(value) and value.dtype == jnp.float32
            assert all(np.isfinite(np.asarray(gradient, np.float32)).all() for gradient in gradients)


def test_wrong_arguments_are_named():
    query, positive, negatives = arrays()
    predictions, targets = grids()
    mistakes = (
        (lambda: info_nce(query, positive[:4], negatives), r"info_nce: .*got \(16, 3\), \(4, 3\) and \(24, 3\)"),
        (lambda: info_nce(query, positive, negatives[:, :2]), r"\(24, 2\)"),
        (lambda: info_nce(query, positive, negatives[:0]), "not empty"),
        (lambda: info_nce(query, positive, negatives, temperature=0), "info_nce: temperature must be above 0, got 0"),
        (lambda: info_nce(query, positive, negatives, axis_name="nowhere"), "'nowhere' is not bound"),
        (lambda: nce(query, positive, negatives[None, :4], log_partition=0.0), r"nce: .*\(1, 4, 3\)"),
        (lambda: nce(query, positive, negatives, log_partition=0.0, temperature=-1), "nce: temperature"),
        (lambda: estimate_log_partition(query, negatives[:0]), "estimate_log_partition: .*not empty"),
        (lambda: cpc(predictions[0], targets), r"cpc: .*got \(8, 4, 2, 3\)"),
        (lambda: cpc(predictions, targets, first_step=3), "steps must be from 1 to 3 on a grid of 4 rows, got 3 to 4"),
        (lambda: cpc(predictions, targets, first_step=0), "first_step must be a whole number of at least 1, got 0"),
        (lambda: cpc(predictions, targets, temperature=0), "cpc: temperature"),
    )
    for call, words in mistakes:
        with pytest.raises(ValueError, match=words):
            call()
