"""Attention against its definition in float64 and jax.nn's, in blocks, in a ring, masked, hard."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec
from sharding import CASES, assert_same_in_pieces

from ssl_jax.ops import cudnn, tiles
from ssl_jax.ops.attention import attention, attention_weights
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.energy import free_energy
from ssl_jax.train.mesh import make_mesh

B, T, S, H, D, E = 2, 8, 8, 4, 3, 2
DOT_PRODUCT_ATTENTION = jax.nn.dot_product_attention


def arrays(groups=H, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((B, T, H, D), (B, S, groups, D), (B, S, groups, E))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def some_mask():
    """One query of one head of one example may look nowhere."""
    mask = np.random.default_rng(1).random((B, H, T, S)) < 0.6
    mask[0, 1, 2] = False
    return mask


def naive(query, key, value, *, mask=None, causal=False, scale=D**-0.5, hard=False):
    groups = key.shape[2]
    mask = np.ones((B, H, T, S), bool) if mask is None else np.broadcast_to(mask, (B, H, T, S))
    read = np.zeros((B, T, H, value.shape[3]))
    for b, t, h in np.ndindex(B, T, H):
        g = h // (H // groups)
        seen = [s for s in range(S) if mask[b, h, t, s] and not (causal and s > t)]
        if seen:
            scores = scale * key[b, seen, g] @ query[b, t, h]
            weights = np.exp(scores - scores.max())
            weights = np.eye(len(seen))[scores.argmax()] if hard else weights / weights.sum()
            read[b, t, h] = weights @ value[b, seen, g]
    return read


def number(read):
    return (read**3 + read).sum()


MASKS = {
    "none": {},
    "causal": {"causal": True},
    "whole": {"mask": some_mask()},
    "padding": {"mask": np.arange(S) < np.array([5, 8])[:, None, None, None]},
    "of heads": {"mask": some_mask()[:1, :, :1]},
    "matrix": {"mask": some_mask()[1, 0]},
}


@pytest.mark.parametrize("groups", [2, H])
@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize("masked", MASKS)
def test_it_is_its_definition(masked, block_size, groups):
    given, arguments = arrays(groups), MASKS[masked]
    wide = [np.asarray(array, np.float64) for array in given]
    ours = {name: jnp.asarray(value) if name == "mask" else value for name, value in arguments.items()}
    function = functools.partial(attention, block_size=block_size, **ours)
    read, back = jax.vjp(jax.jit(function), *given)
    np.testing.assert_allclose(read, naive(*wide, **arguments), rtol=1e-4, atol=1e-5)
    if masked in ("whole", "causal"):
        gradients = back(3 * read**2 + 1)
        slope = numerical_gradient(lambda *arrays: number(naive(*arrays, **arguments)), wide, 0)
        np.testing.assert_allclose(gradients[0], slope, rtol=1e-3, atol=1e-4)
    if block_size is None:
        weights = attention_weights(given[0], given[1], **ours)
        by_weights = jnp.einsum("bhts,bshe->bthe", weights, jnp.repeat(given[2], H // groups, axis=2))
        np.testing.assert_allclose(by_weights, read, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, H])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_jaxs(causal, groups, block_size=5):
    query, key, _ = arrays(groups)
    given = query, key, 2 * key[:, ::-1]  # which wants values of the size of keys

    def of(function, *arrays):
        return number(function(*arrays))

    ours = functools.partial(of, functools.partial(attention, causal=causal, block_size=block_size))
    theirs = functools.partial(of, functools.partial(jax.nn.dot_product_attention, is_causal=causal))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected = jax.value_and_grad(theirs, (0, 1, 2))(*given)
    found = jax.jit(jax.value_and_grad(ours, (0, 1, 2)))(*given)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def cut_small(monkeypatch, scores, rows):
    """As if a cache held so many scores, and a long sequence had more than so many rows."""
    small = {"CACHED_SCORES": scores, "ROWS": rows, "ALIGNED": 3, "FEWEST_KEYS": 1, "SHORT": 0}
    for name, value in small.items():
        monkeypatch.setattr(tiles, name, value)


# Several heads whole; rows of a head with all keys; rows with blocks of keys.
@pytest.mark.slow
@pytest.mark.parametrize(("scores", "rows"), [(2 * B * T * S, 99), (40, 5), (10, 5)])
@pytest.mark.parametrize("masked", MASKS)
def test_pieces_are_the_whole(monkeypatch, masked, scores, rows):
    def gradients(**arguments):
        of = lambda *arrays: number(attention(*arrays, **ours, **arguments))  # noqa: E731
        return jax.jit(jax.value_and_grad(of, (0, 1, 2)))(*arrays(2))

    ours = {name: jnp.asarray(value) if name == "mask" else value for name, value in MASKS[masked].items()}
    whole, hard = gradients(implementation="dense"), attention(*arrays(2), **ours, hard=True)
    cut_small(monkeypatch, scores, rows)
    for one, other in zip(jax.tree.leaves(gradients()), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(attention(*arrays(2), **ours, hard=True), hard)


@pytest.mark.parametrize(("length", "held"), [(128, True), (129, False)])
def test_a_cpu_holds_the_scores_of_short_sequences(length, held):
    """Of any number of them; here there are more than fit into the cache."""
    rows = jax.ShapeDtypeStruct((64, length, 4, 2), jnp.float32)
    tile = tiles.choose_tile(rows, rows, axis_name=None, block_size=None, dense=False, rows_only=False)
    assert (tile.heads == 256) == (not tile.recompute) == held


@pytest.mark.parametrize(
    ("length", "queries", "keys"),
    [(197, 197, 197), (512, 512, 256), (1024, 1024, 512), (1025, 513, 1025), (4096, 1024, 1024), (4097, 820, 1025)],
)
def test_a_cpu_takes_equal_parts_of_long_sequences(length, queries, keys):
    """All keys where their scores fit into the cache, but for lengths at which transposed products are slow."""
    rows = jax.ShapeDtypeStruct((64, length, 4, 2), jnp.float32)
    tile = tiles.choose_tile(rows, rows, axis_name=None, block_size=None, dense=False, rows_only=False)
    assert tile[1:] == (queries, keys, keys == length)


@pytest.mark.slow
def test_pieces_within_a_shard_are_the_whole(monkeypatch):
    def gradients():
        spec = PartitionSpec("data")
        read = jax.shard_map(
            functools.partial(attention, causal=True), mesh=make_mesh(2), in_specs=spec, out_specs=spec
        )
        return jax.jit(jax.value_and_grad(lambda *arrays: number(read(*arrays)), (0, 1, 2)))(*arrays())

    whole = gradients()
    cut_small(monkeypatch, 10, 5)
    for one, other in zip(jax.tree.leaves(gradients()), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_keys_after_the_last_query_cost_nothing():
    def operations(causal):
        rows = jax.ShapeDtypeStruct((1, 2048, 1, 8), jnp.float32)
        function = functools.partial(attention, causal=causal)
        return jax.jit(function).lower(rows, rows, rows).compile().as_text().count(" conditional(")

    assert operations(True) > operations(False) == 0


def in_ring(query, key, value, mask, *, axis_name=None):
    read = attention(query, key, value, mask=mask, causal=True, axis_name=axis_name, block_size=1)
    return mean_over_shards(jnp.mean(read**3 + read), axis_name)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "shards"), CASES)
def test_a_sequence_may_be_cut_over_shards(way, shards):
    given = (*arrays(2), jnp.asarray(some_mask()))
    assert_same_in_pieces(in_ring, way, shards, given, cut=(1, 1, 1, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_hard_attention_reads_the_best_key():
    given, mask = arrays(), some_mask()
    hard = functools.partial(attention, mask=jnp.asarray(mask), hard=True)
    wide = [np.asarray(array, np.float64) for array in given]
    np.testing.assert_allclose(hard(*given), naive(*wide, mask=mask, hard=True), rtol=1e-6)
    cold = attention(*given, mask=jnp.asarray(mask), inverse_temperature=1e5)
    np.testing.assert_allclose(cold, hard(*given), atol=1e-3)
    gradients = jax.grad(lambda *arrays: hard(*arrays).sum(), (0, 1, 2))(*given)
    assert not gradients[0].any() and not gradients[1].any() and gradients[2].any()


@pytest.mark.slow
def test_straight_through_has_the_gradient_of_soft_attention():
    given = arrays()
    cotangent = jnp.ones((B, T, H, E))
    hard, back = jax.vjp(functools.partial(attention, hard=True, straight_through=True), *given)
    np.testing.assert_allclose(hard, attention(*given, hard=True), atol=1e-6)
    _, soft_back = jax.vjp(attention, *given)
    for one, other in zip(back(cotangent)[:2], soft_back(cotangent)[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_attention_is_minus_the_gradient_of_the_free_energy():
    query, key, _ = arrays()
    energy = lambda rows: free_energy(rows, key[0, :, 0], inverse_temperature=D**-0.5).sum()  # noqa: E731
    read = attention(query[:1, :, :1], key[:1, :, :1], key[:1, :, :1])
    np.testing.assert_allclose(-jax.grad(energy)(query[0, :, 0]), read[0, :, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(0, T - 1))
def test_causality_and_equivariance(seed, place):
    query, key, value = arrays(seed=seed)
    read, changed = (causal(query, key.at[:, place:].add(by), value.at[:, place:].add(by)) for by in (0.0, 3.0))
    np.testing.assert_array_equal(read[:, :place], changed[:, :place])
    order = np.random.default_rng(seed).permutation(T)
    np.testing.assert_allclose(
        soft(query[:, order], key, value), soft(query, key, value)[:, order], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        soft(query, key[:, order], value[:, order]), soft(query, key, value), rtol=1e-4, atol=1e-5
    )


causal, soft = jax.jit(functools.partial(attention, causal=True, block_size=3)), jax.jit(attention)


@pytest.mark.parametrize("block_size", [None, 3])
def test_bfloat16_comes_back_as_bfloat16_and_sums_wide(block_size):
    narrow = [array.astype(jnp.bfloat16) for array in arrays()]
    read = attention(*narrow, block_size=block_size)
    assert read.dtype == jnp.bfloat16
    wide = [np.asarray(array, np.float64) for array in narrow]
    np.testing.assert_allclose(np.asarray(read, np.float64), naive(*wide), atol=3e-2)


@pytest.mark.slow
def test_memory_is_linear_in_the_length():
    def temporary_bytes(length, **arguments):
        rows = jax.ShapeDtypeStruct((1, length, 1, 8), jnp.float32)
        gradient = jax.grad(lambda q, k, v: attention(q, k, v, causal=True, **arguments).sum(), (0, 1, 2))
        return jax.jit(gradient).lower(rows, rows, rows).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(4096, implementation="dense") > 4 * 4096**2
    assert temporary_bytes(4096, block_size=64) < 4 * 4096**2 / 8
    assert temporary_bytes(8192, block_size=64) < 2.5 * temporary_bytes(4096, block_size=64)
    assert temporary_bytes(8192) < min(2 * temporary_bytes(4096), 4 * 8192**2 / 8)  # the default chooses tiles


def test_a_ring_holds_a_part_of_the_sequence():
    def temporary_bytes(**arguments):
        spec = PartitionSpec(None, "data")
        read = jax.shard_map(
            functools.partial(attention, axis_name="data", **arguments),
            mesh=make_mesh(8),
            in_specs=spec,
            out_specs=spec,
        )
        rows = jax.ShapeDtypeStruct((1, 8192, 1, 8), jnp.float32)
        program = jax.jit(jax.grad(lambda *rows: read(*rows).sum(), (0, 1, 2))).lower(rows, rows, rows).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(block_size=64) < 4 * 1024 * 8192 / 8


@pytest.fixture
def kernel(monkeypatch):
    """Stands in for cuDNN's kernel on a CPU, and records how it is called; its arguments are those of the real one."""
    calls = []

    def dot_product_attention(*rows, implementation, **arguments):
        calls.append({"implementation": implementation, "lengths": [row.shape[1] for row in rows], **arguments})
        wide = [row.astype(jnp.float32) for row in rows]
        return DOT_PRODUCT_ATTENTION(*wide, implementation="xla", **arguments).astype(rows[0].dtype)

    monkeypatch.setattr(cudnn, "platform_of", lambda rows: "gpu")
    monkeypatch.setattr(cudnn, "_nvidia", lambda: True)
    monkeypatch.setattr(jax.nn, "dot_product_attention", dot_product_attention)
    return calls


@pytest.mark.parametrize("length", [6, 7])
def test_narrow_self_attention_on_a_gpu_is_left_to_cudnn(kernel, length):
    """Its gradient refuses odd lengths: they are padded, and the padding changes nothing."""
    rows = [jax.random.normal(jax.random.key(seed), (2, length, 4, 8)) for seed in (0, 1, 2, 3)]

    def value_and_gradients(read, *rows):
        query, key, value, cotangent = (row.astype(jnp.bfloat16) for row in rows)
        result, backwards = jax.vjp(read, query, key, value)
        return [result, *backwards(cotangent)]

    ours = value_and_gradients(attention, *rows)
    assert [call["implementation"] for call in kernel] == ["cudnn"]
    assert kernel[0]["lengths"] == [length + length % 2] * 3
    dense = value_and_gradients(functools.partial(attention, implementation="dense"), *rows)
    for result, expected in zip(ours, dense, strict=True):
        np.testing.assert_allclose(result.astype(jnp.float32), expected.astype(jnp.float32), atol=0.03)
    assert len(kernel) == 1
    scale = jax.jit(lambda scale, row: attention(row, row, row, inverse_temperature=scale))
    row = rows[0].astype(jnp.bfloat16)
    for temperature in (0.5, 2.0):
        exact = attention(row, row, row, inverse_temperature=temperature, implementation="dense")
        result = scale(temperature, row)
        np.testing.assert_allclose(result.astype(jnp.float32), exact.astype(jnp.float32), atol=0.03)


def test_what_cudnn_has_not_been_tried_with_is_not_left_to_it(kernel):
    narrow, wide = (jnp.ones((2, 6, 4, 8), dtype) for dtype in (jnp.bfloat16, jnp.float32))
    attention(wide, wide, wide)
    attention(narrow, narrow, narrow, causal=True)
    attention(narrow, narrow, narrow, mask=jnp.ones((6, 6), bool))
    attention(narrow, narrow, narrow, hard=True)
    attention(narrow, narrow[:, :4], narrow[:, :4])
    attention(narrow, narrow, narrow[..., :4])
    attention(narrow[..., :6], narrow[..., :6], narrow[..., :6])
    attention(narrow, narrow, narrow, block_size=2)
    assert not kernel
    with pytest.raises(ValueError, match="even lengths where it is causal"):
        attention(narrow[:, :5], narrow[:, :5], narrow[:, :5], causal=True, implementation="cudnn")


def test_wrong_arguments_are_named():
    query, key, value = arrays()
    mistakes = (
        (lambda: attention(query[0], key, value), r"got \(8, 4, 3\), \(2, 8, 4, 3\) and"),
        (lambda: attention(query, key[:, :0], value[:, :0]), "not empty"),
        (lambda: attention(query, key[..., :2], value), r"\(2, 8, 4, 2\)"),
        (lambda: attention(query, key[:, :, :3], value[:, :, :3]), "heads of key must divide .*, got 3 and 4"),
        (lambda: attention(query, key, value, mask=jnp.ones((3, 3), bool)), r"broadcast to \(2, 4, 8, 8\), got bool \(3, 3\)"),
        (lambda: attention(query, key, value, mask=jnp.ones((T, S))), "got float32"),
        (lambda: attention(query, key, value, inverse_temperature=0), "attention: inverse_temperature must be above 0"),
        (lambda: attention(query, key, value, axis_name="nowhere"), "'nowhere' is not bound"),
        (lambda: jax.vmap(functools.partial(attention, hard=True, axis_name="x"), axis_name="x")(
            query[None], key[None], value[None]), "hard attention has no axis_name"),
        (lambda: attention(query, key, value, implementation="flash"), "must be one of dense, streaming, cudnn, got 'flash'"),
        (lambda: attention(query, key, value, implementation="dense", hard=True), "'dense' is for soft attention"),
        (lambda: attention(query, key, value, implementation="dense", block_size=4), "has no blocks: .* got 4"),
        (lambda: attention(query, key, key, implementation="cudnn"), "needs an NVIDIA GPU.*got cpu, float32"),
    )  # fmt: skip
    for call, words in mistakes:
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.slow
def test_the_sanity_checks_of_the_practicum():
    """Inputs and printed outputs of the practicum's notebook 15-transformer.ipynb (Atcold/NYU-DLSP20, commit 3049c832).

    Its heads have 512 / 8 values, so its inverse temperature is 1/8. A query on the second of four keys reads the second value,
    10; one on two equal keys their mean, 549.998; one between the first two keys 5.502.
    """
    keys = jnp.array([[10.0, 0, 0], [0, 10, 0], [0, 0, 10], [0, 0, 10]])[None, :, None]
    values = jnp.array([[1.0, 0, 0], [10, 0, 0], [100, 5, 0], [1000, 6, 0]])[None, :, None]
    queries = jnp.array([[0.0, 10, 0], [0, 0, 10], [10, 10, 0]])[None, :, None]
    found = attention(queries, keys, values, inverse_temperature=1 / 8)[0, :, 0]
    expected = [[10.004, 4.0993e-05, 0], [549.9979, 5.5, 0], [5.502, 2.0497e-05, 0]]
    np.testing.assert_allclose(found, expected, rtol=6e-5, atol=1e-9)
    weights = attention_weights(queries, keys, inverse_temperature=1 / 8)[0, 0]
    np.testing.assert_allclose(weights[0], [3.7266e-06, 9.9999e-01, 3.7266e-06, 3.7266e-06], rtol=2e-5)
    np.testing.assert_allclose(weights[1], [1.8633e-06, 1.8633e-06, 0.5, 0.5], rtol=2e-5)
    np.testing.assert_allclose(weights[2], [0.5, 0.5, 1.8633e-06, 1.8633e-06], rtol=2e-5)
