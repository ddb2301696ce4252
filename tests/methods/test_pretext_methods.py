"""Pretext tasks and PIRL: labels by hand, and what is commonly got wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.methods.pirl import PIRL
from ssl_jax.methods.relative_position import RelativePosition
from ssl_jax.methods.rotation import Rotation
from ssl_jax.methods.shuffle_and_learn import ShuffleAndLearn
from ssl_jax.networks import linear_head, small_convnet

ENCODER = small_convnet(channels=1, widths=(4,), strides=(2,))
HEAD = linear_head(inputs=ENCODER.width, outputs=5)
RANDOM = np.random.default_rng(0)
RNG, STEP = jax.random.key(1), jnp.int32(0)


def test_rotations_are_told_by_their_place():
    method = Rotation(ENCODER, linear_head(inputs=ENCODER.width, outputs=4))
    right = 20 * jnp.broadcast_to(jnp.eye(4)[None], (3, 4, 4))
    loss, _, metrics = method.objective({"embedding": right}, {}, RNG, STEP)
    assert loss < 1e-6 and metrics["task_accuracy"] == 1
    loss, _, metrics = method.objective({"embedding": right[:, ::-1]}, {}, RNG, STEP)
    assert loss > 19 and metrics["task_accuracy"] == 0
    with pytest.raises(UsageError, match="must have 4 outputs, got 5"):
        Rotation(ENCODER, HEAD)


def test_relative_position_pairs_each_tile_with_the_middle_one():
    """A classifier that reads out tile by tile: the middle comes first, the eight others in order."""
    method = RelativePosition(ENCODER, HEAD, classifier=linear_head(inputs=10, outputs=8))
    params, state = jax.jit(method.init)(jax.random.key(0))
    views = jnp.asarray(RANDOM.normal(size=(2, 9, 6, 6, 1)), jnp.float32)
    embeddings, _ = jax.jit(method.encode)(params, state, {"views": views}, jax.random.key(1), STEP)
    tiles = np.asarray(embeddings["embedding"])
    kernel, bias = (np.asarray(params["classifier"]["layer1"][name]) for name in ("kernel", "bias"))
    for row, place in enumerate((0, 1, 2, 3, 5, 6, 7, 8)):
        pair = np.concatenate([tiles[:, 4], tiles[:, place]], axis=1)
        np.testing.assert_allclose(embeddings["logits"][:, row], pair @ kernel + bias, rtol=1e-4, atol=1e-5)
    loss, _, _ = method.objective({"logits": 20 * jnp.eye(8)[None]}, state, RNG, STEP)
    assert loss < 1e-6


def test_jigsaw_reads_its_tiles_as_they_are_shown():
    method = Jigsaw(ENCODER, HEAD, classifier=linear_head(inputs=45, outputs=4))
    params, state = jax.jit(method.init)(jax.random.key(0))
    views = {"views": jnp.asarray(RANDOM.normal(size=(3, 9, 6, 6, 1)), jnp.float32), "order": jnp.array([0, 3, 1])}
    embeddings, _ = jax.jit(method.encode)(params, state, views, jax.random.key(1), STEP)
    tiles = np.asarray(embeddings["embedding"]).reshape(3, 45)
    kernel, bias = (np.asarray(params["classifier"]["layer1"][name]) for name in ("kernel", "bias"))
    logits = tiles @ kernel + bias
    np.testing.assert_allclose(embeddings["logits"], logits, rtol=1e-4, atol=1e-5)
    nats = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), [0, 3, 1]]
    np.testing.assert_allclose(method.objective(embeddings, state, RNG, STEP)[0], nats.mean(), rtol=1e-5)
    with pytest.raises(UsageError, match="make them with jigsaw_views"):
        method.encode(params, state, {"views": views["views"]}, jax.random.key(1), STEP)


def test_shuffle_and_learn_reads_its_frames_as_they_are_shown():
    method = ShuffleAndLearn(ENCODER, HEAD, classifier=linear_head(inputs=15, outputs=2))
    params, state = jax.jit(method.init)(jax.random.key(0))
    views = {"views": jnp.asarray(RANDOM.normal(size=(3, 3, 6, 6, 1)), jnp.float32), "in_order": jnp.array([0, 1, 1])}
    embeddings, _ = jax.jit(method.encode)(params, state, views, jax.random.key(1), STEP)
    frames = np.asarray(embeddings["embedding"]).reshape(3, 15)
    assert (frames >= 0).all()
    kernel, bias = (np.asarray(params["classifier"]["layer1"][name]) for name in ("kernel", "bias"))
    logits = frames @ kernel + bias
    np.testing.assert_allclose(embeddings["logits"], logits, rtol=1e-4, atol=1e-5)
    loss, _, metrics = method.objective(embeddings, state, RNG, STEP)
    nats = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), [0, 1, 1]]
    np.testing.assert_allclose(loss, nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["task_accuracy"], (logits.argmax(axis=1) == [0, 1, 1]).mean(), rtol=1e-6)
    with pytest.raises(UsageError, match="make them with order_views"):
        method.encode(params, state, {"views": views["views"]}, jax.random.key(1), STEP)


def pirl(**changes):
    joined = linear_head(inputs=15, outputs=5)
    options = {"part_head": HEAD, "joined_head": joined, "examples": 12, "negatives": 7, "temperature": 0.3} | changes
    return PIRL(ENCODER, HEAD, **options)


def encoded(method):
    params, state = jax.jit(method.init)(jax.random.key(0))
    views = {
        "views": jnp.asarray(RANDOM.normal(size=(4, 1, 8, 8, 1)), jnp.float32),
        "transformed": jnp.asarray(RANDOM.normal(size=(4, 3, 4, 4, 1)), jnp.float32),
        "index": jnp.array([3, 0, 11, 5], jnp.int32),
    }
    return jax.jit(method.encode)(params, state, views, jax.random.key(1), STEP)


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_both_terms_of_pirl_ask_for_the_memory_of_the_image(weight):
    method = pirl(weight=weight)
    embeddings, state = encoded(method)
    index, negatives = np.asarray(embeddings["index"]), np.asarray(embeddings["negatives"])
    assert negatives.shape == (4, 7) and (negatives != index[:, None]).all()
    bank = np.asarray(state["bank"].rows, np.float64)
    image, transformed = (unit(embeddings["embedding"][:, place]) for place in (0, 1))
    noise = 7 * np.mean(np.exp(np.einsum("bd,bkd->bk", image, bank[negatives]) / 0.3))

    def nce(query):
        right = np.exp((query * bank[index]).sum(axis=1) / 0.3)
        wrong = np.exp(np.einsum("bd,bkd->bk", query, bank[negatives]) / 0.3)
        return (-np.log(right / (right + noise)) - np.log(noise / (wrong + noise)).sum(axis=1)).mean()

    loss, after, metrics = method.objective(embeddings, state, RNG, STEP)
    np.testing.assert_allclose(loss, weight * nce(transformed) + (1 - weight) * nce(image), rtol=1e-5)
    np.testing.assert_allclose(metrics["of_image"], nce(image), rtol=1e-5)

    written = bank.copy()
    written[index] = unit(0.5 * bank[index] + 0.5 * image)  # with the image, at unit length; the others as they were
    np.testing.assert_allclose(after["bank"].rows, written, atol=1e-6)


def test_the_constant_of_pirl_is_that_of_the_first_batch():
    method = pirl()
    embeddings, state = encoded(method)
    _, after, _ = method.objective(embeddings, state, RNG, STEP)
    moved = {**embeddings, "embedding": -embeddings["embedding"]}
    _, later, _ = method.objective(moved, after, RNG, STEP + 1)
    assert after["log_partition"] != 0 and later["log_partition"] == after["log_partition"]


def test_a_weight_out_of_range_is_one_sentence():
    with pytest.raises(UsageError, match=r"weight: got 1\.5, expected 0 to 1"):
        pirl(weight=1.5)
