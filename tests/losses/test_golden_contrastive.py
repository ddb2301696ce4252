"""Losses with negatives against published implementations; golden/README.md names their versions."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ssl_jax.losses.contrastive import (
    decoupled_contrastive,
    in_batch_info_nce,
    moco_v3,
    ntxent,
    supervised_contrastive,
)
from ssl_jax.losses.negatives import cpc, estimate_log_partition, info_nce, nce

FILE = Path(__file__).parents[1] / "golden" / "contrastive.npz"
TEMPERATURE = 0.3


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE, allow_pickle=False) as stored:
        return {
            name: array.astype(np.float32 if array.dtype.kind == "f" else np.int32) for name, array in stored.items()
        }


def supervised(first, second, labels, **arguments):
    return supervised_contrastive(jnp.concatenate([first, second]), jnp.tile(labels, 2), **arguments)


def log_partition_of_npid(query, positive, negatives, **arguments):
    """Over the pairs of the batch, right ones among them."""
    negatives = jnp.broadcast_to(negatives, (len(query), *negatives.shape))
    return estimate_log_partition(query, jnp.concatenate([positive[:, None], negatives], axis=1), **arguments)


def nce_of_npid(query, positive, negatives, **arguments):
    positive, negatives = lax.stop_gradient(positive), lax.stop_gradient(negatives)  # rows of the bank
    constant = log_partition_of_npid(query, positive, negatives, **arguments)
    return nce(query, positive, negatives, log_partition=constant, **arguments)


def nce_of_avid(query, positive, negatives, **arguments):
    constant = estimate_log_partition(query, negatives, **arguments)
    return nce(query, positive, negatives, log_partition=constant, **arguments)


def nce_in_batch(first, second, **arguments):
    others = (np.arange(len(first))[:, None] + np.arange(1, len(first))) % len(first)
    negatives = jnp.concatenate([first[others], second[others]], axis=1)
    return nce(first, second, negatives, log_partition=0.4, **arguments)


VIEWS = ("first", "second")
LOSSES = {  # ours, from which arrays: differentiated ones, then constants
    "ntxent": (ntxent, VIEWS, ()),
    "decoupled": (decoupled_contrastive, VIEWS, ()),
    "supervised": (supervised, VIEWS, ("labels",)),
    "supervised alone": (supervised_contrastive, ("first",), ("labels",)),
    "in_batch": (in_batch_info_nce, VIEWS, ()),
    "info_nce": (info_nce, (*VIEWS, "negatives"), ()),
    "info_nce own": (info_nce, (*VIEWS, "own_negatives"), ()),
    "nce npid": (nce_of_npid, (*VIEWS, "negatives"), ()),
    "nce avid": (nce_of_avid, (*VIEWS, "negatives"), ()),
    "nce in_batch": (nce_in_batch, VIEWS, ()),
    "cpc": (partial(cpc, first_step=2), ("predictions", "targets"), ()),
    "moco_v3": (moco_v3, (*VIEWS, "first_keys", "second_keys"), ()),
}
CASES = [
    ("ntxent", "lightly"),
    ("ntxent", "solo"),
    ("ntxent", "stable-pretraining"),
    ("ntxent", "metric-learning"),
    ("decoupled", "lightly"),
    ("decoupled", "raminnakhli"),
    ("supervised", "solo"),
    ("supervised", "metric-learning"),
    ("supervised alone", "metric-learning"),
    ("in_batch", "solo"),
    ("in_batch", "stable-pretraining"),
    ("info_nce", "lightly"),
    ("info_nce", "solo"),
    ("info_nce", "info-nce-pytorch"),
    ("info_nce own", "info-nce-pytorch"),
    ("nce npid", "vissl"),
    ("nce avid", "authors"),
    ("nce in_batch", "contrastive-ne"),
    ("cpc", "bolts"),
    ("moco_v3", "authors"),
    ("moco_v3", "solo"),
    ("moco_v3", "stable-pretraining"),
]


@pytest.mark.parametrize(("name", "by"), CASES, ids=[" ".join(case) for case in CASES])
def test_value_and_gradients_are_the_published_ones(golden, name, by):
    loss, inputs, constants = LOSSES[name]
    function = jax.value_and_grad(partial(loss, temperature=TEMPERATURE), tuple(range(len(inputs))))
    value, gradients = jax.jit(function)(*(golden[key] for key in (*inputs, *constants)))
    np.testing.assert_allclose(value, golden[f"{name} {by} 0"], rtol=1e-5)
    for number, gradient in enumerate(gradients, start=1):
        np.testing.assert_allclose(gradient, golden[f"{name} {by} {number}"], rtol=1e-4, atol=1e-6)


def test_partition_constant_is_the_published_one(golden):
    arrays = (golden[key] for key in (*VIEWS, "negatives"))
    found = log_partition_of_npid(*arrays, temperature=TEMPERATURE)
    np.testing.assert_allclose(found, golden["log_partition npid vissl 0"], rtol=1e-5)
