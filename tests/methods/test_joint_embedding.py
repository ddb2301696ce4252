"""What the authors' code adds to a loss, remembers of each view, and leaves out of a teacher."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.losses.coding_rate import simdino
from ssl_jax.losses.negatives import info_nce
from ssl_jax.methods.dcl import DCL
from ssl_jax.methods.dino import DINO
from ssl_jax.methods.moco import MoCo
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.simdino import SimDINO
from ssl_jax.methods.supcon import SupCon
from ssl_jax.networks import encoder, projection_head, prototype_head

RNG, STEP = jax.random.key(0), jnp.int32(0)
NET = encoder("small", image_shape=(8, 8, 1))
HEAD = projection_head(inputs=NET.width, widths=(4,))


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


@pytest.mark.parametrize("method", [SimCLR, DCL, SupCon])
def test_a_scale_multiplies_the_loss(method):
    embeddings = {"embedding": drawn(0, 6, 2, 4), "label": jnp.array([0, 0, 1, 1, 2, 2])}
    plain = method(NET, HEAD)
    loss = [one.objective(embeddings, {}, RNG, STEP)[0] for one in (plain, dataclasses.replace(plain, scale=3.0))]
    np.testing.assert_allclose(loss[1], 3 * loss[0], rtol=1e-6)


@pytest.mark.slow
def test_symmetric_moco_compares_each_view_with_a_queue_of_the_other_views_keys():
    """solo-learn's MoCo v2+: one queue for both would hold two views of each image, and half as many batches."""
    method = MoCo(NET, HEAD, 10, queue_length=6, temperature=0.2, symmetric=True)
    queues = jax.jit(lambda: method.init(RNG)[1]["queues"])()
    query, target = drawn(1, 3, 2, 4), drawn(2, 3, 2, 4)
    loss, state, _ = method.objective({"embedding": query, "target": target}, {"queues": queues}, RNG, STEP)
    directions = [
        info_nce(query[:, view], target[:, 1 - view], queues[str(view)].rows, temperature=0.2) for view in range(2)
    ]
    np.testing.assert_allclose(loss, np.mean(directions), rtol=1e-6)
    keys = target / jnp.linalg.norm(target, axis=2, keepdims=True)
    for query, other in ((0, 1), (1, 0)):
        rows = np.asarray(state["queues"][str(query)].rows)
        away = np.abs(rows[:, None, None] - np.asarray(keys)[None]).max(-1)  # [K, B, V]
        assert (away[..., other].min(0) < 1e-5).all() and (away[..., query].min(0) > 1e-3).all()
        assert (away[..., other].min(1) > 1e-3).sum() == 3  # the rest are former rows


def test_simdino_passes_its_settings_to_the_loss():
    settings = {"distortion": 0.3, "invariance": 2.0}
    embeddings = {"embedding": drawn(4, 6, 3, 4), "target": drawn(5, 6, 2, 4)}
    loss, *_ = SimDINO(NET, HEAD, 10, rate_groups=3, **settings).objective(embeddings, {}, RNG, STEP)
    student, teacher = (embeddings[name].swapaxes(0, 1) for name in ("embedding", "target"))
    np.testing.assert_allclose(loss, simdino(student, teacher, groups=3, **settings), rtol=1e-6)


@pytest.mark.slow
def test_a_teacher_has_no_stochastic_depth():
    """As in facebookresearch/dino, whose drop_path_rate is the student's alone."""
    net = encoder("vit_micro", image_shape=(14, 14, 1), drop_path=0.9)
    method = DINO(net, prototype_head(inputs=net.width, widths=(8, 4), outputs=6), 10)
    params, state = jax.jit(lambda: method.init(RNG))()
    views = {"views": drawn(3, 4, 2, 14, 14, 1)}
    made = [jax.jit(method.encode)(params, state, views, jax.random.key(seed), STEP)[0] for seed in (1, 2)]
    np.testing.assert_array_equal(made[0]["target"], made[1]["target"])
    assert abs(made[0]["embedding"] - made[1]["embedding"]).max() > 1e-3
