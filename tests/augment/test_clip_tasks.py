"""Views of pretext tasks on clips: what is in order, what is not, and which frame is seen with the sound."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.clip_tasks import frame_and_sound_evaluation, frame_and_sound_views, order_views, triples
from ssl_jax.augment.views import evaluation_view
from ssl_jax.errors import UsageError

NUMBERED = jnp.broadcast_to(jnp.arange(7, dtype=jnp.uint8).reshape(7, 1, 1, 1), (7, 4, 4, 1))  # frame 3 is all threes
KEYS = jax.random.split(jax.random.key(0), 4000)


def number(rng, frame):
    """A view that says which frame it is of."""
    return frame[None].astype(jnp.float32)


def drawn(video, **options):
    """The numbers of the three frames, `[N, 3]`, and whether they are in order."""
    augment = order_views(number, **options)
    views = jax.jit(jax.vmap(augment, in_axes=(0, None)))(KEYS, {"image": video, "audio": jnp.zeros(4)})
    return np.asarray(views["views"][:, :, 0, 0, 0], int), np.asarray(views["in_order"])


@pytest.mark.parametrize(("margin", "reach"), [(1, None), (2, None), (1, 3), (3, 2)])
def test_triples_are_in_order_or_have_a_middle_frame_from_outside(margin, reach):
    frames, in_order = drawn(NUMBERED, margin=margin, reach=reach)
    low, high, middle = frames[:, [0, 2]].min(axis=1), frames[:, [0, 2]].max(axis=1), frames[:, 1]
    assert ((low < middle) & (middle < high))[in_order == 1].all()
    assert ((middle <= low - margin) | (middle >= high + margin))[in_order == 0].all()
    assert (high - low >= 2).all() and (high - low).max() == min(reach or 9, 6 - margin)
    assert abs(in_order.mean() - 0.25) < 0.03
    assert abs((frames[:, 0] > frames[:, 2]).mean() - 0.5) < 0.03  # half of them backwards


def test_the_ends_reveal_nothing():
    """The class is independent of the first and the last frame."""
    frames, in_order = drawn(NUMBERED, in_order=0.5)
    ends = frames[:, 0] * 7 + frames[:, 2]
    shares = [in_order[ends == pair].mean() for pair in np.unique(ends) if (ends == pair).sum() > 150]
    assert len(shares) > 5 and np.ptp(shares) < 0.2


@pytest.mark.slow
def test_intervals_in_which_something_moves_are_preferred():
    """Frames 0 to 3 are equal; four are never drawn as an interval, since nothing moves there."""
    video = NUMBERED.at[:4].set(0)
    table = triples(NUMBERED.shape)
    assert ((table[:, 0] == 0) & (table[:, 3] == 3)).any()
    still = order_views(lambda rng, frame: frame[None, :1, :1].astype(jnp.float32), in_order=1.0)
    shown = jax.vmap(still, in_axes=(0, None))(KEYS[:500], video)["views"]
    assert (np.ptp(np.asarray(shown), axis=1) > 0).all()


def test_four_frames_give_two_intervals():
    np.testing.assert_array_equal(triples((4, 8, 8, 1)), [[0, 1, 3, 2], [1, 2, 0, 3]])


@pytest.mark.parametrize(("shape", "margin"), [((3, 8, 8, 1), 1), ((5, 8, 8, 1), 3), ((8, 8, 1), 1), ((5, 8, 8, 1), 0)])
def test_clips_that_are_too_short_are_one_sentence(shape, margin):
    with pytest.raises(UsageError, match=r"shuffle_and_learn: needs clips .* of 3 frames and one outside them, got"):
        order_views(number, margin=margin)(jax.random.key(0), jnp.zeros(shape, jnp.uint8))


@pytest.mark.slow
def test_every_frame_is_seen_with_the_sound():
    clip = {"image": NUMBERED, "audio": jnp.ones(64)}
    augment = frame_and_sound_views(number, window=16, hop=16)
    views = jax.vmap(augment, in_axes=(0, None))(KEYS[:300], clip)
    assert views["views"].shape == (300, 1, 4, 4, 1) and views["audio"].shape == (300, 4, 9, 1)
    assert set(np.asarray(views["views"]).ravel().tolist()) == set(range(7))
    loud = np.asarray(views["audio"])
    assert (loud[0] != loud[1]).any()  # the volume differs


@pytest.mark.slow
def test_the_middle_frame_is_evaluated():
    prepare = frame_and_sound_evaluation(partial(evaluation_view(size=4, mean=(0.0,), std=(1.0,))), window=16, hop=16)
    seen = prepare({"image": NUMBERED, "audio": jnp.zeros(64, jnp.int16)})
    np.testing.assert_allclose(seen["image"], 3 / 255, atol=1e-6)
    assert seen["audio"].shape == (4, 9, 1)
