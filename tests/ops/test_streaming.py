"""The softmax-weighted reduction against its definition in numpy: in blocks, in a ring, hidden, huge and narrow."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, PartitionSpec
from sharding import CASES, assert_same_in_pieces, in_pieces

from ssl_jax.ops.collectives import mean_over_shards, shards
from ssl_jax.ops.comparison import BY_SIZE, Comparison, comparing
from ssl_jax.ops.streaming import log_sum_exp, softmax_sum

QUERIES, KEYS = 16, 24


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((QUERIES, 3), (KEYS, 3), (KEYS, 2))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def hidden(seed=1):
    """Keys to skip, of which some do not exist; last keys to see; a mask under which query 3 sees nothing."""
    rng = np.random.default_rng(seed)
    skip, last = rng.integers(-1, KEYS + 2, (QUERIES, 2)), rng.integers(0, KEYS, QUERIES)
    mask = rng.random((QUERIES, KEYS)) < 0.7
    mask[3] = False
    return jnp.asarray(skip, jnp.int32), jnp.asarray(last, jnp.int32), jnp.asarray(mask)


def definition(queries, keys, values, scale, skip, last, mask):
    log_sums, means = np.full(len(queries), -np.inf), np.zeros((len(queries), values.shape[1]))
    for i, query in enumerate(queries):
        seen = [j for j in range(len(keys)) if mask[i, j] and j <= last[i] and j not in np.asarray(skip[i])]
        if seen:
            exponentials = np.exp([scale * query @ keys[j] for j in seen])
            log_sums[i] = np.log(exponentials.sum())
            means[i] = exponentials @ np.stack([values[j] for j in seen]) / exponentials.sum()
    return log_sums, means


def in_one_number(log_sums, means):
    """Something that depends on each output in its own way; queries that see nothing count by their zeros."""
    module = np if isinstance(log_sums, np.ndarray) else jnp
    finite = module.where(log_sums == -np.inf, 0, log_sums)
    return module.sum(finite**2) + module.sum(means**3 + means)


def total(queries, keys, values, scale, skip, last, mask, *, axis_name=None, block_size=None):
    sums = softmax_sum(
        queries,
        keys,
        values,
        inverse_temperature=scale,
        skip=skip,
        last=last,
        mask=mask,
        axis_name=axis_name,
        block_size=block_size,
    )
    return mean_over_shards(in_one_number(*sums), axis_name) * shards(axis_name)


@pytest.mark.parametrize("block_size", [None, 7, 8, 1])
def test_value_and_gradient_are_those_of_the_definition(block_size):
    arguments = (*arrays(), jnp.float32(2), *hidden())
    function = jax.value_and_grad(functools.partial(total, block_size=block_size), argnums=(0, 1, 2, 3))
    value, gradients = jax.jit(function)(*arguments)
    expected = [np.asarray(array, np.float64 if array.dtype == jnp.float32 else None) for array in arguments]
    np.testing.assert_allclose(value, in_one_number(*definition(*expected)), rtol=1e-5)

    def number(*arguments):
        return in_one_number(*definition(*arguments))

    for which, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, numerical_gradient(number, expected, which), rtol=1e-4, atol=1e-4)


def test_a_query_that_sees_nothing_has_no_sum_and_no_mean():
    sums = [softmax_sum(*arrays(), mask=hidden()[2], block_size=block_size) for block_size in (None, 5)]
    for log_sums, means in sums:
        assert log_sums[3] == -jnp.inf
        np.testing.assert_array_equal(means[3], 0)
        assert np.isfinite(np.delete(log_sums, 3)).all()


@pytest.mark.parametrize(("way", "shards"), [*CASES, ("shard_map", 1), ("shard_map", 2)])
def test_a_ring_of_shards_gives_the_sums_of_the_whole(way, shards):
    ring = functools.partial(total, block_size=2 if shards > 2 else 5)  # 5 divides neither 12 nor 24
    cut = (0, 0, 0, None, 0, 0, 0)
    arguments = (*arrays(), jnp.float32(2), *hidden())
    assert_same_in_pieces(ring, way, shards, arguments, cut=cut, rtol=1e-4, atol=1e-5)


def test_keys_that_are_the_same_on_all_shards_are_all_counted():
    """The ring meets every shard's keys, and the gradient of a replicated array is the sum over the shards."""
    queries, keys, _ = arrays()

    def loss(queries, keys):
        return jax.lax.psum(log_sum_exp(queries, keys, axis_name="data", block_size=4).sum(), "data")

    pieces = in_pieces(loss, "shard_map", 2, cut=(0, None))
    value, gradient = jax.jit(jax.value_and_grad(pieces, 1))(queries, keys)
    expected = jax.value_and_grad(lambda keys: log_sum_exp(queries, jnp.tile(keys, (2, 1))).sum())(keys)
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-5)


def test_last_key_makes_attention_causal_and_batches_are_mapped():
    queries, keys, values = (jnp.stack([array[:QUERIES], 2 * array[:QUERIES]]) for array in arrays())
    last = jnp.arange(QUERIES)

    def attend(queries, keys, values):
        return softmax_sum(queries, keys, values, last=last, block_size=5)[1]

    scores = jnp.einsum("hqd,hkd->hqk", queries, keys)
    weights = jax.nn.softmax(jnp.where(jnp.tri(QUERIES, dtype=bool)[None], scores, -jnp.inf))
    np.testing.assert_allclose(
        jax.jit(jax.vmap(attend))(queries, keys, values),
        jnp.einsum("hqk,hkd->hqd", weights, values),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("block_size", [None, 7])
def test_huge_scores_neither_overflow_nor_vanish(block_size):
    queries, keys, values = arrays()
    gradient = jax.jit(jax.grad(functools.partial(total, block_size=block_size), argnums=(0, 1, 2)))
    sums = softmax_sum(queries, keys, values, inverse_temperature=1e4, block_size=block_size)
    best = np.asarray(queries @ keys.T).argmax(axis=1)
    np.testing.assert_allclose(sums[0], 1e4 * np.sum(queries * keys[best], axis=1), rtol=1e-5)
    np.testing.assert_allclose(sums[1], values[best], rtol=1e-3)
    for part in gradient(queries, keys, values, jnp.float32(1e4), *hidden()):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sums_of_narrow_arrays_are_wide(dtype):
    """With bfloat16 sums, the total would stop at 256 and its logarithm at 5.5."""
    queries, keys, values = (array.astype(dtype) for array in arrays())
    many = jnp.zeros((4096, 3), dtype)
    np.testing.assert_allclose(log_sum_exp(queries, many, block_size=64), np.log(4096), rtol=1e-6)
    at_once, in_blocks = (softmax_sum(queries, keys, values, block_size=block) for block in (None, 7))
    wide = [np.asarray(array, np.float64) for array in (queries, keys, values)]
    nothing = np.full((QUERIES, 1), -1), np.full(QUERIES, KEYS), np.full((QUERIES, KEYS), True)
    for sums in (at_once, in_blocks):
        assert sums[0].dtype == sums[1].dtype == jnp.float32
        log_sums, means = definition(*wide, 1.0, *nothing)
        np.testing.assert_allclose(sums[0], log_sums, rtol=1e-5)
        np.testing.assert_allclose(sums[1], means, atol=2e-2 if dtype == jnp.bfloat16 else 2e-3)
    gradient = jax.jit(jax.grad(lambda queries: log_sum_exp(queries, keys, block_size=7).sum()))(queries)
    assert gradient.dtype == dtype
    assert np.isfinite(gradient.astype(jnp.float32)).all()


def test_nothing_of_size_queries_times_keys_is_held():
    rows = jax.ShapeDtypeStruct((4096, 4), jnp.float32)

    def temporary_bytes(block_size):
        gradient = jax.grad(lambda rows: log_sum_exp(rows, rows, block_size=block_size).sum())
        return jax.jit(gradient).lower(rows).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(None) > 4096 * 4096 * 4
    assert temporary_bytes(64) < 4096 * 4096 * 4 / 8


def test_forward_mode_works_at_once_and_is_refused_in_blocks():
    queries, keys, _ = arrays()
    _, slope = jax.jvp(lambda queries: log_sum_exp(queries, keys).sum(), (queries,), (queries,))
    gradient = jax.grad(lambda queries: log_sum_exp(queries, keys).sum())(queries)
    np.testing.assert_allclose(slope, jnp.sum(gradient * queries), rtol=1e-5)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda queries: log_sum_exp(queries, keys, block_size=7).sum(), (queries,), (queries,))


blocks = jax.jit(functools.partial(softmax_sum, block_size=5))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(-20, 20))
def test_order_of_keys_does_not_matter_and_means_are_between_values(seed, shift):
    queries, keys, values = arrays(seed)
    order = np.random.default_rng(seed).permutation(KEYS)
    log_sums, means = blocks(queries, keys, values)
    shuffled = blocks(queries, keys[order], values[order])
    np.testing.assert_allclose(shuffled[0], log_sums, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(shuffled[1], means, rtol=1e-4, atol=1e-4)
    assert (means <= values.max(axis=0, keepdims=True) + 1e-5).all()
    assert (means >= values.min(axis=0, keepdims=True) - 1e-5).all()
    moved = blocks(queries, keys, values + jnp.float32(shift))
    np.testing.assert_allclose(moved[1], means + jnp.float32(shift), rtol=1e-4, atol=1e-4)


def test_wrong_arguments_are_named():
    queries, keys, values = arrays()
    mistakes = (
        ((queries[0], keys), {}, "queries"),
        ((queries, keys[:, :2]), {}, r"\(24, 2\)"),
        ((queries, keys[:0]), {}, "not empty"),
        ((queries, keys, values[:5]), {}, "values must be"),
        ((queries, keys), {"block_size": 0}, "block_size"),
        ((queries, keys), {"skip": jnp.zeros(QUERIES, jnp.int32)}, "skip must be"),
        ((queries, keys), {"last": jnp.zeros(3, jnp.int32)}, "last must be"),
        ((queries, keys), {"mask": jnp.ones((QUERIES, 5), bool)}, "mask must be"),
        ((queries, keys), {"axis_name": "nowhere"}, "'nowhere' is not bound"),
    )
    for arguments, keywords, words in mistakes:
        with pytest.raises(ValueError, match=words):
            softmax_sum(*arguments, **keywords)


@pytest.mark.parametrize(
    ("comparison", "collective"),
    [
        (Comparison("gather", block_size=8), "all_gather"),
        (Comparison("ring"), "ppermute"),
        (Comparison(block_size=8), "ppermute"),
        (BY_SIZE, "all_gather"),  # few keys
    ],
)
def test_the_exchange_of_keys_can_be_chosen_and_changes_nothing(comparison, collective):
    rows = jax.random.normal(jax.random.key(0), (64, 3))
    shard = functools.partial(softmax_sum, axis_name="data")
    spec = PartitionSpec("data")
    run = jax.shard_map(
        lambda rows: shard(rows, rows)[0],
        mesh=Mesh(np.array(jax.devices()[:4]), ("data",)),
        in_specs=spec,
        out_specs=spec,
    )
    with comparing(comparison):
        program = str(jax.make_jaxpr(run)(rows))
        found = jax.jit(run)(rows)
    np.testing.assert_allclose(found, softmax_sum(rows, rows)[0], rtol=1e-6)
    assert {name for name in ("all_gather", "ppermute") if f"{name}[" in program} == {collective}
