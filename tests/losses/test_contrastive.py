"""Contrastive losses within a batch: their definitions in float64, whole and in pieces, streamed and at once."""

import functools
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.contrastive import decoupled_contrastive, in_batch_info_nce, moco_v3, ntxent, supervised_contrastive
from ssl_jax.ops.comparison import Comparison, comparing
from ssl_jax.train.mesh import make_mesh

B, D = 16, 3
LABELS = jnp.asarray([0, 1, 2, 0, 1, 2, 0, -1, 3, 1, 1, 2, 0, 4, 4, -1], jnp.int32)  # a class of one, two unknown


def rows(count, seed=0, shape=(B, D)):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(count))


def unit(array):
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def log_sum(scores):
    return np.log(np.sum(np.exp(scores)))


def naive_ntxent(first, second, temperature=0.5, *, with_positive=True):
    z = unit(np.concatenate([first, second]))
    scores, n, total = z @ z.T / temperature, len(first), 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [j for j in range(2 * n) if j != i and (with_positive or j != partner)]
        total += log_sum(scores[i, others]) - scores[i, partner]
    return total / (2 * n)


def naive_dcl(first, second, temperature=0.5):
    return naive_ntxent(first, second, temperature, with_positive=False)


def naive_supcon(embeddings, temperature=0.5):
    z, labels = unit(embeddings), np.asarray(LABELS)
    scores, nats = z @ z.T / temperature, []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        mine = [j for j in others if labels[j] == labels[i] >= 0]
        if mine:
            nats.append(log_sum(scores[i, others]) - scores[i, mine].mean())
    return np.mean(nats)


def naive_moco_v3(first, second, first_keys, second_keys, temperature=0.5):
    total = 0.0
    for queries, keys in ((first, second_keys), (second, first_keys)):
        scores = unit(queries) @ unit(keys).T / temperature
        total += np.mean([log_sum(row) - row[i] for i, row in enumerate(scores)])
    return 2 * temperature * total


def naive_in_batch(queries, keys, temperature=0.5):
    scores = unit(queries) @ unit(keys).T / temperature
    return np.mean([log_sum(row) - row[i] for i, row in enumerate(scores)])


def supcon(embeddings, **arguments):
    """Labels go with the rows, whichever shard they are on."""
    name = arguments.get("axis_name")
    first = 0 if name is None else jax.lax.axis_index(name) * len(embeddings)
    return supervised_contrastive(embeddings, LABELS[first + jnp.arange(len(embeddings))], **arguments)


# ours, the definition, how many arrays come in, how many of them are differentiated
LOSSES = {
    "ntxent": (ntxent, naive_ntxent, 2, 2),
    "dcl": (decoupled_contrastive, naive_dcl, 2, 2),
    "supcon": (supcon, naive_supcon, 1, 1),
    "moco_v3": (moco_v3, naive_moco_v3, 4, 2),
    "in_batch_info_nce": (in_batch_info_nce, naive_in_batch, 2, 2),
}
ONE_OF_TWO_VIEWS = pytest.mark.parametrize("loss", [ntxent, decoupled_contrastive], ids=["ntxent", "dcl"])


@pytest.fixture(params=LOSSES, scope="module")
def case(request):
    return LOSSES[request.param]


@functools.cache
def compiled(function, differentiated, **arguments):
    return jax.jit(jax.value_and_grad(functools.partial(function, **arguments), tuple(range(differentiated))))


@functools.cache
def expected(naive, count, differentiated):
    arrays = [np.asarray(array, np.float64) for array in rows(count)]
    return naive(*arrays), [numerical_gradient(naive, arrays, which) for which in range(differentiated)]


@pytest.mark.parametrize("block_size", [None, 1, 5, 8])  # 5 divides no number of rows here
def test_value_and_gradient_are_those_of_the_definition(case, block_size):
    loss, naive, count, differentiated = case
    value, gradients = expected(naive, count, differentiated)
    ours = compiled(loss, differentiated, temperature=0.5, block_size=block_size)(*rows(count))
    np.testing.assert_allclose(ours[0], value, rtol=1e-5)
    for gradient, other in zip(ours[1], gradients, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("block_size", [None, 5])
def test_a_traced_temperature_gives_the_same_and_has_a_gradient(case, block_size):
    loss, naive, count, differentiated = case

    def of_temperature(temperature, *arrays):
        return loss(*arrays, temperature=temperature, block_size=block_size)

    value, gradient = jax.jit(jax.value_and_grad(of_temperature))(jnp.float32(0.5), *rows(count))
    arrays = [np.asarray(array, np.float64) for array in rows(count)]
    slope = (naive(*arrays, 0.5 + 1e-5) - naive(*arrays, 0.5 - 1e-5)) / 2e-5
    np.testing.assert_allclose(value, expected(naive, count, differentiated)[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, slope, rtol=1e-4)


@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize(("way", "shards"), [*CASES, ("shard_map", 1)])
def test_sharded_is_whole(case, way, shards, block_size):
    loss, _, count, differentiated = case
    function = sharded_loss(loss, differentiated, block_size)
    assert_same_in_pieces(function, way, shards, rows(count)[:differentiated], cut=(0,) * differentiated, atol=1e-5)


@functools.cache
def sharded_loss(loss, differentiated, block_size):
    def function(*arrays, axis_name=None):
        arrays = (*arrays, *arrays[::-1]) if loss is moco_v3 else arrays  # its keys are constants
        return loss(*arrays, temperature=0.5, axis_name=axis_name, block_size=block_size)

    return function


def test_global_arrays_on_eight_devices_give_the_same(case):
    loss, naive, count, differentiated = case
    mesh = make_mesh(8)
    arrays = jax.device_put(rows(count), NamedSharding(mesh, PartitionSpec("data")))
    for block_size in (None, 5):
        value, gradients = compiled(loss, differentiated, temperature=0.5, block_size=block_size)(*arrays)
        np.testing.assert_allclose(value, expected(naive, count, differentiated)[0], rtol=1e-5)
        for gradient, other in zip(gradients, expected(naive, count, differentiated)[1], strict=True):
            np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [None, 5])
def test_known_values(block_size):
    same = jnp.ones((B, D))
    np.testing.assert_allclose(ntxent(same, same, block_size=block_size), np.log(2 * B - 1), rtol=1e-5)
    np.testing.assert_allclose(decoupled_contrastive(same, same, block_size=block_size), np.log(2 * B - 2), rtol=1e-5)
    np.testing.assert_allclose(supcon(same, block_size=block_size), np.log(B - 1), rtol=1e-5)
    collapsed = moco_v3(same, same, same, same, temperature=0.2, block_size=block_size)
    np.testing.assert_allclose(collapsed, 4 * 0.2 * np.log(B), rtol=1e-5)
    agreeing = jnp.eye(B)
    best = np.log(1 + (2 * B - 2) * np.exp(-10))
    np.testing.assert_allclose(ntxent(agreeing, 3 * agreeing, block_size=block_size), best, atol=1e-6)


@pytest.mark.slow
def test_labels_that_name_the_example_make_supcon_ntxent():
    first, second = rows(2)
    labels = jnp.tile(jnp.arange(B), 2)
    ours = supervised_contrastive(jnp.concatenate([first, second]), labels, temperature=0.5)
    np.testing.assert_allclose(ours, ntxent(first, second, temperature=0.5), rtol=1e-5)


@pytest.mark.slow
def test_supcon_without_pairs_is_zero():
    (embeddings,) = rows(1)
    value, gradient = jax.value_and_grad(supervised_contrastive)(embeddings, jnp.arange(B))
    assert value == 0 and not gradient.any()


def test_keys_of_moco_v3_are_constants():
    gradients = jax.grad(lambda *arrays: moco_v3(*arrays), argnums=(2, 3))(*rows(4))
    assert not any(gradient.any() for gradient in gradients)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_swapping_scaling_and_permuting_change_nothing(seed, scale):
    first, second = rows(2, seed)
    order = np.random.default_rng(seed).permutation(B)
    for loss in (ntxent, decoupled_contrastive):
        value = compiled(loss, 2, temperature=0.5)(first, second)[0]
        for other in ((second, first), (scale * first, second), (first[order], second[order])):
            np.testing.assert_allclose(compiled(loss, 2, temperature=0.5)(*other)[0], value, rtol=1e-5)


@ONE_OF_TWO_VIEWS
@pytest.mark.parametrize("temperature", [1e-3, 1 / 30])
@pytest.mark.parametrize("block_size", [None, 5])
def test_huge_logits_zeros_and_equal_rows_stay_finite(loss, temperature, block_size):
    run = compiled(loss, 2, temperature=temperature, block_size=block_size)
    first, second = rows(2)
    for arrays in ((first, second), (first * 0, second), (first, first), (jnp.ones((B, D)), jnp.ones((B, D)))):
        value, gradients = run(*arrays)
        z = [np.asarray(array, np.float64) for array in arrays]
        if np.all(z[0] != 0):
            naive = naive_with_top(*z, temperature, with_positive=loss is ntxent)
            np.testing.assert_allclose(value, naive, rtol=1e-4, atol=1e-3)
        assert np.isfinite(value) and all(np.isfinite(gradient).all() for gradient in gradients)


def naive_with_top(first, second, temperature, *, with_positive):
    z = unit(np.concatenate([first, second]))
    scores, n, total = z @ z.T / temperature, len(first), 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = scores[i, [j for j in range(2 * n) if j != i and (with_positive or j != partner)]]
        total += others.max() + log_sum(others - others.max()) - scores[i, partner]
    return total / (2 * n)


def test_one_example_has_no_negatives():
    first, second = rows(2, shape=(1, D))
    np.testing.assert_allclose(ntxent(first, second), 0, atol=1e-6)
    with pytest.raises(ValueError, match="decoupled_contrastive: needs at least 2 examples"):
        decoupled_contrastive(first, second)
    with pytest.raises(ValueError, match="supervised_contrastive: needs at least 2 rows"):
        supervised_contrastive(first, jnp.zeros(1, jnp.int32))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_input_is_widened(case, dtype):
    loss, _, count, differentiated = case
    narrow = [array.astype(dtype) for array in rows(count)]
    value, gradients = compiled(loss, differentiated, temperature=0.5)(*narrow)
    wide, _ = compiled(loss, differentiated, temperature=0.5)(*(array.astype(jnp.float32) for array in narrow))
    assert value.dtype == jnp.float32 and all(gradient.dtype == dtype for gradient in gradients)
    np.testing.assert_allclose(value, wide, rtol=1e-6)


def test_with_blocks_the_matrix_of_all_pairs_is_never_whole():
    views = jax.ShapeDtypeStruct((4096, 8), jnp.float32)

    def temporary_bytes(block_size):
        program = jax.jit(jax.grad(functools.partial(ntxent, block_size=block_size))).lower(views, views).compile()
        return program.memory_analysis().temp_size_in_bytes

    whole = 4 * 8192**2
    assert temporary_bytes(8192) > whole
    assert temporary_bytes(256) < whole / 16
    assert temporary_bytes(None) < whole / 16  # the default chooses blocks at this size


def test_a_ring_holds_a_block_where_gathering_holds_all_keys():
    views = jax.ShapeDtypeStruct((4096, 64), jnp.float32)

    def temporary_bytes(block_size):
        loss = functools.partial(ntxent, axis_name="data", block_size=block_size)
        spec = PartitionSpec("data")
        whole = jax.shard_map(loss, mesh=make_mesh(8), in_specs=spec, out_specs=PartitionSpec())
        program = jax.jit(jax.grad(whole)).lower(views, views).compile()
        return program.memory_analysis().temp_size_in_bytes

    rows_here = 2 * 4096 // 8
    assert temporary_bytes(64) < 4 * (30 * rows_here * 64 + 8 * rows_here * 64) < temporary_bytes(None) / 2


@pytest.mark.slow
def precisions(differentiated, loss, *arrays, **arguments):
    """Those of the products in the lowered program of value and gradient."""
    program = compiled.__wrapped__(
        loss, differentiated, temperature=0.5, **arguments
    )  # Traced anew: the context decides.
    text = program.lower(*arrays).as_text()
    return set(re.findall(r"precision = \[(\w+), \w+\]", text))


@pytest.mark.parametrize("block_size", [None, 5])
def test_products_are_taken_in_the_precision_that_is_asked_for(case, block_size):
    """An argument, or the choice of the context; forward and backward, all at once and in blocks."""
    loss, _, count, differentiated = case
    programs = partial(precisions, differentiated, loss, *rows(count), block_size=block_size)
    assert programs() == {"HIGHEST"}
    assert programs(precision="high") == {"HIGH"}
    with comparing(Comparison(precision="high")):
        assert programs() == {"HIGH"}
        assert programs(precision="highest") == {"HIGHEST"}


def test_a_ring_takes_the_precision_along():
    arguments = {"temperature": 0.5, "axis_name": "data", "block_size": 4, "precision": "high"}
    for loss in (ntxent, in_batch_info_nce):
        sharded = jax.vmap(jax.value_and_grad(partial(loss, **arguments)), axis_name="data")
        text = jax.jit(sharded).lower(*rows(2, shape=(4, 8, D))).as_text()
        assert set(re.findall(r"precision = \[(\w+), \w+\]", text)) == {"HIGH"}


def test_wrong_arguments_are_named():
    first, second = rows(2)
    mistakes = (
        (
            lambda: ntxent(first, second[:4]),
            r"ntxent: first and second must be \[B, D\] of one shape.*got \(16, 3\) and \(4, 3\)",
        ),
        (lambda: ntxent(first[0], second[0]), r"got \(3,\) and \(3,\)"),
        (lambda: ntxent(first[:0], second[:0]), "not empty"),
        (lambda: ntxent(first, second, temperature=0), "ntxent: temperature must be above 0, got 0"),
        (
            lambda: in_batch_info_nce(first, second, precision="tf32"),
            "in_batch_info_nce: precision must be one of highest, high, got 'tf32'",
        ),
        (lambda: ntxent(first, second, block_size=0), "ntxent: block_size must be a whole number of at least 1, got 0"),
        (lambda: ntxent(first, second, axis_name="nowhere"), "axis_name: 'nowhere' is not bound"),
        (lambda: decoupled_contrastive(first, second, temperature=-1.0), "decoupled_contrastive: temperature"),
        (
            lambda: moco_v3(first, second, first, second[:4]),
            r"moco_v3: .* must be .*\(16, 3\) and \(4, 3\)",
        ),
        (lambda: supervised_contrastive(first, LABELS[:4]), r"supervised_contrastive: .*int32 \(4,\)"),
        (lambda: supervised_contrastive(first, first[:, 0]), "float32"),
    )
    for call, words in mistakes:
        with pytest.raises(ValueError, match=words):
            call()
