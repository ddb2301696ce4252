"""A whole step of eight methods against lightly's, from the same weights and views; golden/README.md names the versions."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.dino import DINO
from ssl_jax.methods.moco import MoCo
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.methods.swav import SwAV
from ssl_jax.methods.vicreg import VICReg
from ssl_jax.networks import projection_head, prototype_head, small_convnet

FILE = Path(__file__).parents[1] / "golden" / "steps.npz"
PARTS = ("embeddings", "loss", "gradient/embeddings", "gradient/params", "after")
STEP, STEPS, LEARNING_RATE = jnp.int32(2), 8, 0.1

ENCODER = small_convnet(widths=(4, 8), strides=(2, 2))
PREDICTOR = projection_head(inputs=8, widths=(4, 8), last_bias=True)
PROTOTYPES = prototype_head(inputs=ENCODER.width, widths=(12, 12, 8), outputs=6)
head = partial(projection_head, inputs=ENCODER.width, last_bias=True)
rising = {"steps": STEPS, "momentum": 0.9}
constant = {**rising, "final_momentum": 0.9}
METHODS = {
    "barlow_twins": BarlowTwins(ENCODER, head(widths=(12, 12, 8))),
    "byol": BYOL(ENCODER, head(widths=(12, 8)), predictor=PREDICTOR, **rising),
    "dino": DINO(ENCODER, PROTOTYPES, teacher_temperature=0.07, warmup=6, **rising),
    "moco": MoCo(ENCODER, head(widths=(12, 8), norm=False), queue_length=16, temperature=0.2, **constant),
    "simclr": SimCLR(ENCODER, head(widths=(12, 8), last_norm=True), temperature=0.2),
    "simsiam": SimSiam(ENCODER, head(widths=(12, 12, 8), last_norm=True, last_norm_affine=False), PREDICTOR),
    "swav": SwAV(ENCODER, head(widths=(12, 8)), prototypes=6),
    "vicreg": VICReg(ENCODER, head(widths=(12, 12, 8))),
}
MANY_CROPS = ("dino", "swav")


def named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def within(arrays, folder):
    return {name.removeprefix(f"{folder}/"): arrays[name] for name in arrays if name.startswith(f"{folder}/")}


def in_our_places(name, array, batch):
    """The published queue holds one batch after the other, ours the keys of one row of the batch side by side."""
    ours = name.replace("queue/", "queues/0/")
    if name.endswith("queue/rows"):
        return ours, array.reshape(-1, batch, array.shape[1]).swapaxes(0, 1).reshape(array.shape)
    if name.endswith("queue/next"):
        pushes = array // batch + 2 * name.startswith("after")  # the push that comes round starts from 0 again
        return ours.removesuffix("next") + "pushes", pushes.astype(np.int32)
    return name, array


def filled(tree, arrays):
    """The arrays in the place of the leaves of that name, each of which has one."""
    assert set(arrays) == set(named(tree))
    return jax.tree.unflatten(jax.tree.structure(tree), [jnp.asarray(arrays[name]) for name in named(tree)])


@partial(jax.jit, static_argnums=0)
def whole_step(method, params, state, views):
    """Embeddings, loss, gradient at embeddings and parameters, and all after SGD and what follows it."""

    def encode(params):
        return method.encode(params, state, views, jax.random.key(0), STEP)

    def objective(embeddings):
        loss, changes, _ = method.objective(embeddings, encoded, jax.random.key(1), STEP)
        return loss, {**encoded, **changes}

    embeddings, back, encoded = jax.vjp(encode, params, has_aux=True)
    (loss, carried), at_embeddings = jax.value_and_grad(objective, has_aux=True)(embeddings)
    (at_params,) = back(at_embeddings)
    params = jax.tree.map(lambda weight, slope: weight - LEARNING_RATE * slope, params, at_params)
    params, state = method.after_step(params, carried, STEP)
    gradient = {"embeddings": at_embeddings, "params": at_params}
    return {"embeddings": embeddings, "loss": loss, "gradient": gradient, "after": {"params": params, "state": state}}


@pytest.fixture(scope="module", params=METHODS)
def found_and_golden(request):
    method, names = METHODS[request.param], ("views", "small_views")
    with np.load(FILE, allow_pickle=False) as stored:
        views = {name: stored[name] for name in names[: 2 if request.param in MANY_CROPS else 1]}
        golden = within(stored, request.param)
    golden = {name: array for name, array in golden.items() if not name.endswith("queue/filled")}
    golden = dict(in_our_places(name, array, len(views["views"])) for name, array in golden.items())
    params, state = jax.eval_shape(method.init, jax.random.key(0))
    params, state = filled(params, within(golden, "params")), filled(state, within(golden, "state"))
    return named(whole_step(method, params, state, views)), golden


@pytest.mark.parametrize("part", PARTS)
def test_a_whole_step_is_the_published_one(found_and_golden, part):
    found, golden = found_and_golden
    expected = {name: array for name, array in golden.items() if name.startswith(part)}
    assert expected
    sizes = {name: np.abs(array).max() for name, array in expected.items()}
    for name, array in expected.items():
        size = max(sizes[name], max(sizes.values()) / 10)  # some gradients are rounding of what should be zero
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5 * size, err_msg=name)
