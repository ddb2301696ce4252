"""Views of clips: one view for all frames, two times, and a window that follows what moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.video import audio_video_evaluation, audio_video_views, follow, frame_views, track_views, two_times
from ssl_jax.augment.views import digit_views, evaluation_view
from ssl_jax.errors import UsageError

VIEW = digit_views(size=8, views=1, mean=(0.0,), std=(1.0,))
NUMBERED = jnp.broadcast_to(jnp.arange(6, dtype=jnp.uint8).reshape(6, 1, 1, 1), (6, 8, 8, 1))  # frame 3 is all threes


def number(rng, frame):
    """A view that says which frame it is of."""
    return frame[None].astype(jnp.float32)


def moving_dot(*, textured):
    """A square of 3 pixels that goes from corner to corner, on a ground, and its middles."""
    ground = np.random.default_rng(0).uniform(0, 0.6, (16, 16)) if textured else np.zeros((16, 16))
    video = np.stack([ground] * 8)
    for time in range(8):
        video[time, 1 + time : 4 + time, 2 + time : 5 + time] = 1
    return jnp.asarray(video[..., None], jnp.float32), np.stack([np.arange(8) + 2.5, np.arange(8) + 3.5], axis=1)


@pytest.mark.slow
def test_frames_of_a_clip_get_the_same_draws_and_clips_others():
    still = jnp.broadcast_to(jnp.asarray(np.random.default_rng(0).integers(0, 256, (8, 8, 1)), jnp.uint8), (3, 8, 8, 1))
    augment = audio_video_views(VIEW, window=16, hop=16)
    first, second = (augment(jax.random.key(s), {"image": still, "audio": jnp.ones(64)}) for s in (0, 1))
    assert first["views"].shape == (1, 3, 8, 8, 1) and first["audio"].shape == (4, 9, 1)
    np.testing.assert_array_equal(first["views"][:, 0], first["views"][:, 2])
    assert (first["views"] != second["views"]).any() and (first["audio"] != second["audio"]).any()


def test_evaluation_prepares_each_frame_and_the_sound():
    prepare = audio_video_evaluation(evaluation_view(size=8, mean=(0.5,), std=(0.5,)), window=16, hop=16)
    seen = prepare({"image": NUMBERED, "audio": jnp.zeros(64, jnp.int16)})
    np.testing.assert_allclose(seen["image"], NUMBERED / 255 * 2 - 1, atol=1e-6)
    assert seen["audio"].shape == (4, 9, 1)


@pytest.mark.parametrize("reach", [1, 2, 5, 9])
def test_two_times_differ_and_every_pair_within_reach_comes(reach):
    pairs = jax.vmap(lambda rng: two_times(rng, frames=6, reach=reach))(jax.random.split(jax.random.key(0), 2000))
    came = {tuple(pair) for pair in np.asarray(pairs).tolist()}
    assert came == {(a, b) for a in range(6) for b in range(6) if 0 < abs(a - b) <= reach}


@pytest.mark.slow
def test_views_are_of_two_frames():
    views = frame_views(number, reach=1)(jax.random.key(3), {"image": NUMBERED, "audio": jnp.zeros(4)})
    assert views.shape == (2, 8, 8, 1) and abs(views[0, 0, 0, 0] - views[1, 0, 0, 0]) == 1


@pytest.mark.parametrize("textured", [False, True])
def test_the_window_follows_what_moves(textured):
    video, middles = moving_dot(textured=textured)
    windows = follow(video, size=7)
    assert windows.shape == (8, 7, 7, 1)
    for window, (row, column) in zip(windows, middles, strict=True):
        top, left = (int(np.clip(round(middle - 3.5), 0, 9)) for middle in (row, column))
        held = np.asarray(window[..., 0]) == 1
        assert held.sum() == 9, (top, left)  # the whole square
    np.testing.assert_allclose(windows[4, :, :, 0], video[4, 3:10, 4:11, 0], atol=1e-6)


@pytest.mark.slow
def test_where_nothing_moves_the_window_stays_in_the_middle():
    video = jnp.broadcast_to(jnp.arange(100, dtype=jnp.uint8).reshape(1, 10, 10, 1), (4, 10, 10, 1))
    np.testing.assert_allclose(follow(video, size=4), video[:, 3:7, 3:7] / 255, atol=1e-6)


def test_tracks_are_windows_at_two_times():
    video, _ = moving_dot(textured=False)
    views = track_views(number, size=7, reach=3)(jax.random.key(0), video)
    assert views.shape == (2, 7, 7, 1)
    assert (views == 1).sum(axis=(1, 2, 3)).tolist() == [9, 9]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: frame_views(number, reach=1)(jax.random.key(0), NUMBERED[0]),
            r"frames: needs clips .*got \(8, 8, 1\)",
        ),
        (lambda: frame_views(number, reach=0)(jax.random.key(0), NUMBERED), "frames: needs clips .*reach=0"),
        (
            lambda: track_views(number, size=4, reach=1)(jax.random.key(0), NUMBERED[:1]),
            r"tracks: .*got \(1, 8, 8, 1\)",
        ),
        (lambda: follow(NUMBERED, size=9), "tracks: the window of 9 pixels must fit into frames of 8 x 8"),
    ],
)
def test_what_cannot_be_is_one_sentence(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
