"""Collectives over shards that are given by name, and the sentence where nothing has that name."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import WITHOUT_GRADIENT, in_pieces

from ssl_jax.ops import bank, queue
from ssl_jax.ops.collectives import (
    gather_rows,
    max_over_shards,
    mean_over_shards,
    pass_on,
    platform_of,
    replicate_rows,
    return_to_owners,
    row_numbers,
    shards,
)
from ssl_jax.ops.kmeans import kmeans
from ssl_jax.ops.sinkhorn import sinkhorn

ROWS = jnp.arange(48.0).reshape(16, 3)


@pytest.mark.parametrize(("way", "count"), WITHOUT_GRADIENT)
def test_each_shard_says_what_the_whole_would(way, count):
    def look(rows):
        everyone = gather_rows(rows, "data")
        numbers = row_numbers(len(rows), "data")
        counted = jnp.full(len(rows), shards("data"))
        return (
            everyone[numbers],
            counted,
            mean_over_shards(rows.mean(), "data") * jnp.ones(len(rows)),
            max_over_shards(rows.max(), "data") * jnp.ones(len(rows)),
            pass_on(rows, "data"),
        )

    own, counted, mean, top, passed = in_pieces(look, way, count, cut=(0,), joined=(0, 0, 0, 0, 0))(ROWS)
    np.testing.assert_array_equal(own, ROWS)
    np.testing.assert_array_equal(counted, count)
    np.testing.assert_allclose(mean, ROWS.mean())
    np.testing.assert_array_equal(top, ROWS.max())
    np.testing.assert_array_equal(passed, jnp.roll(ROWS, len(ROWS) // count, axis=0))


@pytest.mark.parametrize(("way", "count"), WITHOUT_GRADIENT)
def test_answers_return_to_the_shard_that_asked(way, count):
    """Each shard answers every question with its own number; each asker gets all the answers to its own questions."""

    def ask(rows):
        questions = gather_rows(rows[:, 0], "data")
        answers = return_to_owners(questions + 1000.0 * row_numbers(1, "data").astype(float), "data")  # [S, B]
        return answers.T

    answers = in_pieces(ask, way, count, cut=(0,), joined=0)(ROWS)
    np.testing.assert_array_equal(answers, np.asarray(ROWS)[:, :1] + 1000 * np.arange(count))


@pytest.mark.parametrize(("way", "count"), WITHOUT_GRADIENT)
def test_what_is_replicated_may_leave_as_one_array(way, count):
    remember = in_pieces(lambda rows: replicate_rows(rows, "data"), way, count, cut=(0,), joined=None)
    np.testing.assert_array_equal(remember(ROWS), ROWS)


def test_without_a_name_nothing_is_moved():
    assert shards(None) == 1 and gather_rows(ROWS, None) is ROWS and mean_over_shards(ROWS, None) is ROWS
    np.testing.assert_array_equal(row_numbers(3, None), [0, 1, 2])
    np.testing.assert_array_equal(return_to_owners(ROWS, None), ROWS[None])


@pytest.mark.parametrize(
    "call",
    [
        lambda: shards("nowhere"),
        lambda: gather_rows(ROWS, "nowhere"),
        lambda: replicate_rows(ROWS, "nowhere"),
        lambda: row_numbers(3, "nowhere"),
        lambda: mean_over_shards(ROWS, "nowhere"),
        lambda: max_over_shards(ROWS, "nowhere"),
        lambda: pass_on(ROWS, "nowhere"),
        lambda: return_to_owners(ROWS, "nowhere"),
        lambda: sinkhorn(ROWS, axis_name="nowhere"),
        lambda: kmeans(jax.random.key(0), ROWS, clusters=2, axis_name="nowhere"),
        lambda: queue.read(queue.fresh(jax.random.key(0), 4, 3), axis_name="nowhere"),
        lambda: bank.read(bank.fresh(jax.random.key(0), 4, 3), jnp.arange(2), axis_name="nowhere"),
    ],
)
def test_a_name_that_is_not_bound_is_one_sentence(call):
    with pytest.raises(ValueError, match=r"^axis_name: 'nowhere' is not bound: call inside shard_map, pmap or vmap"):
        call()


@pytest.mark.parametrize(
    ("kind", "platform"), [("cpu", "cpu"), ("TPU v5 lite", "tpu"), ("NVIDIA H100 80GB HBM3", "gpu"), (None, "cpu")]
)
def test_the_platform_is_known_by_the_kind_of_the_device(monkeypatch, kind, platform):
    """Also where the device of a mesh has no `platform`, as in jax 0.10.0."""
    mesh = SimpleNamespace(abstract_device=kind and SimpleNamespace(device_kind=kind))
    monkeypatch.setattr(jax, "typeof", lambda _: SimpleNamespace(sharding=SimpleNamespace(mesh=mesh)))
    assert platform_of(jnp.zeros(1)) == platform
