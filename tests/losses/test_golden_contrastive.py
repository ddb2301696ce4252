"""Losses with negatives against published implementations; golden/README.md names their versions."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.losses.contrastive import (
    decoupled_contrastive,
    in_batch_info_nce,
    moco_v3,
    ntxent,
    supervised_contrastive,
)
from ssl_jax.losses.negatives import info_nce

FILE = Path(__file__).parents[1] / "golden" / "contrastive.npz"
VIEWS = ("first", "second")
LOSSES = {  # ours, and what it takes
    "ntxent": (ntxent, VIEWS),
    "decoupled": (decoupled_contrastive, VIEWS),
    "in_batch": (in_batch_info_nce, VIEWS),
    "info_nce": (info_nce, (*VIEWS, "negatives")),
    "info_nce own": (info_nce, (*VIEWS, "own_negatives")),
    "moco_v3": (moco_v3, (*VIEWS, "first_keys", "second_keys")),
}


@pytest.fixture(scope="module")
def golden():
    with np.load(FILE, allow_pickle=False) as stored:
        return {
            name: array.astype(np.float32 if array.dtype.kind == "f" else np.int32) for name, array in stored.items()
        }


def supervised(labels, first, second, **arguments):
    return supervised_contrastive(jnp.concatenate([first, second]), jnp.tile(labels, 2), **arguments)


CASES = [
    ("ntxent", "lightly"),
    ("ntxent", "solo"),
    ("ntxent", "stable-pretraining"),
    ("ntxent", "metric-learning"),
    ("decoupled", "lightly"),
    ("supervised", "solo"),
    ("supervised", "metric-learning"),
    ("in_batch", "solo"),
    ("in_batch", "stable-pretraining"),
    ("info_nce", "lightly"),
    ("info_nce", "solo"),
    ("info_nce", "info-nce-pytorch"),
    ("info_nce own", "info-nce-pytorch"),
    ("moco_v3", "solo"),
    ("moco_v3", "stable-pretraining"),
]


@pytest.mark.parametrize(("name", "by"), CASES, ids=[" ".join(case) for case in CASES])
def test_value_and_gradients_are_the_published_ones(golden, name, by):
    labelled = (partial(supervised, golden["labels"]), VIEWS)
    loss, inputs = labelled if name == "supervised" else LOSSES[name]
    function = jax.value_and_grad(partial(loss, temperature=0.3), tuple(range(len(inputs))))
    value, gradients = jax.jit(function)(*(golden[key] for key in inputs))
    np.testing.assert_allclose(value, golden[f"{name} {by} 0"], rtol=1e-5)
    for number, gradient in enumerate(gradients, start=1):
        np.testing.assert_allclose(gradient, golden[f"{name} {by} {number}"], rtol=1e-4, atol=1e-6)
