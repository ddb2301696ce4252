"""What a method and an augmentation may return; each mistake is a sentence."""

import jax
import jax.numpy as jnp
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.train.contract import check_state, checked_embeddings, checked_objective, checked_views
from ssl_jax.train.mesh import make_mesh


class Mine:
    objective_state = {"queue": "whole"}  # noqa: RUF012


LOSS, IMAGES = jnp.ones(()), jnp.ones((2, 4, 4, 3))
STATE = {"encoder": {"mean": jnp.ones(3)}}


def test_what_is_right_passes():
    assert checked_objective(Mine(), (LOSS, {"queue": LOSS}, {"accuracy": LOSS}))[0] is LOSS
    assert checked_embeddings(Mine(), ({"embedding": LOSS}, STATE), STATE)[1] is STATE
    views = jnp.ones((2, 2, 4, 4, 3))
    assert checked_views(views, IMAGES)["views"] is views and checked_views({"tiles": views}, IMAGES)["tiles"] is views
    assert checked_views(IMAGES, None)["views"] is IMAGES


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (LOSS, "Mine.objective: it returned an array, expected a loss and two dicts"),
        ((LOSS, {}), "it returned a tuple of 2: "),
        (None, "it returned None"),
        ((jnp.ones(3), {}, {}), r"its loss has shape \(3,\), expected a scalar: take the mean"),
        ((LOSS, {}, {"share": jnp.ones(2)}), r"its share has shape \(2,\)"),
        ((LOSS, {"bank": LOSS}, {}), "it changes the state's bank, which objective_state of the class does not list"),
    ],
)
def test_an_objective_that_returns_something_else_is_a_sentence(found, sentence):
    with pytest.raises(UsageError, match=sentence):
        checked_objective(Mine(), found)


def test_a_loss_of_one_device_alone_is_a_sentence():
    spread = jax.sharding.PartitionSpec("data")

    def shard(rows):
        return checked_objective(Mine(), (rows.mean(), {}, {}))[0]

    run = jax.shard_map(shard, mesh=make_mesh(2), in_specs=spread, out_specs=jax.sharding.PartitionSpec())
    with pytest.raises(
        UsageError, match=r"its loss is that of one device's examples.*mean_over_shards\(loss, axis_name\)"
    ):
        jax.eval_shape(run, jnp.ones(4))


def test_embeddings_and_states_of_another_form_are_a_sentence():
    with pytest.raises(UsageError, match=r"Mine.encode: it returned an array, expected the embeddings and the state"):
        checked_embeddings(Mine(), LOSS, STATE)
    with pytest.raises(UsageError, match=r"it returned the embeddings projection, expected one called embedding"):
        checked_embeddings(Mine(), ({"projection": LOSS}, STATE), STATE)
    with pytest.raises(UsageError, match=r"Mine.encode: it returned a state without encoder; with head, expected"):
        checked_embeddings(Mine(), ({"embedding": LOSS}, {"head": LOSS}), STATE)
    with pytest.raises(UsageError, match=r"after_step: it returned a state of another structure"):
        check_state("after_step", STATE, {"encoder": {}})


def test_views_of_another_form_are_a_sentence():
    with pytest.raises(UsageError, match=r"views: the augmentation returned a tuple, expected an array of views"):
        checked_views((IMAGES, IMAGES), IMAGES)
    with pytest.raises(UsageError, match=r"returned an image of shape \(4, 4, 3\) without an axis of views"):
        checked_views(IMAGES, IMAGES)
