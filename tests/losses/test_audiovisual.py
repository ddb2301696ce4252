"""AVID and CMA against loops in numpy, with two estimators; agreeing clips against a full sort."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_differences import numerical_gradient
from sharding import CASES, assert_same_in_pieces

from ssl_jax.losses.audiovisual import agreeing_clips, avid, cma, correspondence
from ssl_jax.losses.negatives import info_nce

pick = jax.jit(info_nce)
RNG = np.random.default_rng(0)
VIDEO, AUDIO, VIDEO_MEMORY, AUDIO_MEMORY = jnp.asarray(RNG.normal(0, 2, (4, 8, 3)), jnp.float32)
VIDEO_POSITIVES, AUDIO_POSITIVES = jnp.asarray(RNG.normal(0, 1, (2, 8, 2, 3)), jnp.float32)
SHARED = jnp.asarray(RNG.normal(0, 1, (2, 5, 3)), jnp.float32)
OWN = jnp.asarray(RNG.normal(0, 1, (2, 8, 5, 3)), jnp.float32)


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def by_loop(query, positives, negatives, temperature=0.07):
    """Mean over clips and positives of -log of the positive's share against the negatives; positives are `[B, P,
    D]`."""
    losses = []
    for i, clip in enumerate(unit(query)):
        wrong = unit(negatives[i] if np.ndim(negatives) == 3 else negatives)
        for positive in unit(positives[i]):
            scores = np.exp(np.array([clip @ positive, *(wrong @ clip)]) / temperature)
            losses.append(-np.log(scores[0] / scores.sum()))
    return np.mean(losses)


def numpy_avid(video, audio, video_memory, audio_memory, video_negatives, audio_negatives):
    to_audio = by_loop(video, np.asarray(audio_memory)[:, None], audio_negatives)
    return (to_audio + by_loop(audio, np.asarray(video_memory)[:, None], video_negatives)) / 2


def numpy_cma(video, audio, video_positives, audio_positives, video_negatives, audio_negatives):
    return (by_loop(video, video_positives, video_negatives) + by_loop(audio, audio_positives, audio_negatives)) / 2


AVID = avid, numpy_avid, (VIDEO, AUDIO, VIDEO_MEMORY, AUDIO_MEMORY)
CMA = cma, numpy_cma, (VIDEO, AUDIO, VIDEO_POSITIVES, AUDIO_POSITIVES)


@pytest.mark.parametrize(("loss", "definition", "arrays"), [AVID, CMA], ids=["avid", "cma"])
@pytest.mark.parametrize("negatives", [SHARED, OWN], ids=["shared negatives", "own negatives"])
def test_value_and_gradient_are_those_of_the_definition(loss, definition, arrays, negatives):
    arrays = *arrays, *negatives
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=tuple(range(6))))(*arrays)
    np.testing.assert_allclose(value, definition(*arrays), rtol=1e-5)
    for which in (0, 1):
        expected = numerical_gradient(definition, arrays, which)
        np.testing.assert_allclose(gradients[which], expected, rtol=1e-3, atol=1e-5)
    assert not any(gradient.any() for gradient in gradients[2:])  # memories are constants


def both(video, audio, video_memory, audio_memory, video_positives, audio_positives, *negatives, axis_name=None):
    estimator = functools.partial(info_nce, axis_name=axis_name)
    between = avid(video, audio, video_memory, audio_memory, *negatives, estimator=estimator)
    return between + cma(video, audio, video_positives, audio_positives, *negatives, estimator=estimator)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "shards"), CASES)
def test_shards_give_the_losses_of_the_whole_batch(way, shards):
    arrays = (VIDEO, AUDIO, VIDEO_MEMORY, AUDIO_MEMORY, VIDEO_POSITIVES, AUDIO_POSITIVES, *SHARED)
    assert_same_in_pieces(both, way, shards, arrays, cut=(0, 0, 0, 0, 0, 0, None, None))


def test_another_estimator_takes_the_place_of_the_softmax():
    """The papers' binary form: is it data or noise? Averaging over positives, it is what their code computes."""
    partition = 3.0

    def estimator(query, positive, negatives):
        right, wrong = jnp.sum(query * positive, axis=1), query @ negatives.T
        noise = len(negatives) * partition
        losses = jnp.log1p(noise / jnp.exp(right)) + jnp.log1p(jnp.exp(wrong) / noise).sum(axis=1)
        return losses.mean()

    came = cma(VIDEO, AUDIO, VIDEO_POSITIVES, AUDIO_POSITIVES, *SHARED, estimator=estimator)
    expected = 0.0
    for query, positives, negatives in ((VIDEO, VIDEO_POSITIVES, SHARED[0]), (AUDIO, AUDIO_POSITIVES, SHARED[1])):
        query, positives, negatives = (np.asarray(array, np.float64) for array in (query, positives, negatives))
        right, wrong = np.exp(np.einsum("bd,bpd->bp", query, positives)), np.exp(query @ negatives.T)
        right, wrong = right / (right + 5 * partition), 5 * partition / (wrong + 5 * partition)
        expected += np.mean(-np.log(right).mean(axis=1) - np.log(wrong).sum(axis=1)) / 2
    np.testing.assert_allclose(came, expected, rtol=1e-5)


def test_known_values():
    same = jnp.ones((4, 3))
    np.testing.assert_allclose(pick(same, same, jnp.ones((5, 3))), np.log(6), rtol=1e-6)
    axes = np.eye(3, dtype=np.float32)
    assert pick(axes[[0, 0, 0, 0]], axes[[0, 0, 0, 0]], axes[[1, 2, 1, 2, 1]]) < 1e-5
    swapped = jax.jit(avid)(AUDIO, VIDEO, AUDIO_MEMORY, VIDEO_MEMORY, SHARED[1], SHARED[0])
    np.testing.assert_allclose(swapped, numpy_avid(VIDEO, AUDIO, VIDEO_MEMORY, AUDIO_MEMORY, *SHARED), rtol=1e-5)


@pytest.mark.parametrize("case", ["zeros", "float16", "tiny temperature"])
def test_hard_input_stays_finite(case):
    arrays, temperature = (VIDEO, VIDEO_MEMORY, SHARED[0]), 0.07
    if case == "zeros":
        arrays = tuple(jnp.zeros_like(array) for array in arrays)
    elif case == "tiny temperature":
        temperature = 1e-3
    else:
        arrays = tuple(array.astype(case) for array in arrays)
    value, gradient = jax.jit(jax.value_and_grad(functools.partial(info_nce, temperature=temperature)))(*arrays)
    assert value.dtype == jnp.float32
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


OWN_ODDS, OTHER_ODDS = jnp.asarray(RNG.normal(0, 3, (2, 8)), jnp.float32)
MORE_ODDS = jnp.asarray(RNG.normal(0, 3, (8, 3)), jnp.float32)


def numpy_correspondence(own, other):
    own, other = np.asarray(own, np.float64), np.asarray(other, np.float64)
    right = [-np.log(1 / (1 + np.exp(-odds))) for odds in own]
    wrong = [-np.log(1 - 1 / (1 + np.exp(-odds))) for odds in other.ravel()]
    return (np.mean(right) + np.mean(wrong)) / 2


@pytest.mark.parametrize("other", [OTHER_ODDS, MORE_ODDS], ids=["one wrong", "three wrong"])
def test_correspondence_is_the_binary_cross_entropy_of_its_definition(other):
    value, gradients = jax.jit(jax.value_and_grad(correspondence, argnums=(0, 1)))(OWN_ODDS, other)
    np.testing.assert_allclose(value, numpy_correspondence(OWN_ODDS, other), rtol=1e-6)
    for which in (0, 1):
        expected = numerical_gradient(numpy_correspondence, (OWN_ODDS, other), which)
        np.testing.assert_allclose(gradients[which], expected, rtol=1e-3, atol=1e-5)


def test_correspondence_has_a_known_value_and_no_overflow():
    np.testing.assert_allclose(correspondence(jnp.zeros(3), jnp.zeros(3)), np.log(2), rtol=1e-6)
    assert correspondence(jnp.full(2, 1e4), jnp.full(2, 1e4)) == 5e3


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_shards_give_the_correspondence_of_the_whole_batch(way, shards):
    assert_same_in_pieces(correspondence, way, shards, (OWN_ODDS, MORE_ODDS), cut=(0, 0))


@pytest.mark.parametrize("agreement", ["either", "video", "audio"])
def test_clips_that_agree_otherwise(agreement):
    video, audio = RNG.normal(0, 1, (2, 16, 4))
    sight, sound = unit(video) @ unit(video).T, unit(audio) @ unit(audio).T
    similarity = {"either": np.maximum(sight, sound), "video": sight, "audio": sound}[agreement]
    np.fill_diagonal(similarity, -np.inf)
    found = agreeing_clips(jnp.float32(video), jnp.float32(audio), count=3, agreement=agreement)
    np.testing.assert_array_equal(found, np.argsort(-similarity, axis=1)[:, :3])
    with pytest.raises(ValueError, match="agreement must be one of both, either, video, audio, got 'none'"):
        agreeing_clips(jnp.float32(video), jnp.float32(audio), count=3, agreement="none")


@pytest.mark.parametrize("block_size", [1, 7, 1000])
def test_agreeing_clips_are_the_best_by_the_worse_modality(block_size):
    video, audio = RNG.normal(0, 1, (2, 16, 4))
    agreement = np.minimum(unit(video) @ unit(video).T, unit(audio) @ unit(audio).T)
    np.fill_diagonal(agreement, -np.inf)
    found = agreeing_clips(jnp.float32(video), jnp.float32(audio), count=3, block_size=block_size)
    np.testing.assert_array_equal(found, np.argsort(-agreement, axis=1)[:, :3])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: info_nce(VIDEO, VIDEO[:4], SHARED[0]), r"info_nce: .*got \(8, 3\), \(4, 3\) and \(5, 3\)"),
        (lambda: info_nce(VIDEO, VIDEO, OWN[0][:4]), r"got \(8, 3\), \(8, 3\) and \(4, 5, 3\)"),
        (lambda: info_nce(VIDEO[:0], VIDEO[:0], SHARED[0]), r"got \(0, 3\)"),
        (lambda: info_nce(VIDEO, VIDEO, SHARED[0], temperature=0.0), "temperature must be above 0, got 0.0"),
        (
            lambda: cma(VIDEO, AUDIO, VIDEO, AUDIO, *SHARED),
            r"cma: video_positives and audio_positives must be \[B, P, D\].*got \(8, 3\)",
        ),
        (
            lambda: agreeing_clips(VIDEO, AUDIO, count=8),
            r"agreeing_clips: count must be from 1 to 7, the other clips, got 8",
        ),
    ],
)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
