"""Audio-visual correspondence: pairs and their scores by hand, the map of positions, and shards."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.methods.avc import AVC
from ssl_jax.networks import linear_head, small_convnet, vit
from ssl_jax.optimizers import adamw
from ssl_jax.train.state import init_state
from ssl_jax.train.step import make_step

BATCH, WIDTH = 6, 5
VIDEO, AUDIO = (small_convnet(widths=(3, 4), strides=(2, 2)) for _ in range(2))
HEAD, MAP_HEAD = linear_head(inputs=8, outputs=WIDTH), linear_head(inputs=4, outputs=WIDTH)
CONCATENATE = AVC(video=VIDEO, audio=AUDIO, video_head=HEAD, audio_head=HEAD)
MAP = AVC(video=VIDEO, audio=AUDIO, video_head=MAP_HEAD, audio_head=HEAD, fusion="map", negatives=3)
RANDOM = np.random.default_rng(0)
VIEWS = {
    "views": jnp.asarray(RANDOM.normal(size=(BATCH, 1, 8, 12, 1)), jnp.float32),
    "audio": jnp.asarray(RANDOM.normal(size=(BATCH, 8, 9, 1)), jnp.float32),
}
KEY, STEP = jax.random.key(2), jnp.int32(0)


@pytest.fixture(scope="module", params=[CONCATENATE, MAP], ids=["concatenate", "map"])
def method(request):
    return request.param


@pytest.fixture(scope="module")
def encoded(method):
    params, state = jax.jit(method.init)(jax.random.key(0))
    params["classifier"]["bias"] = jnp.float32(0.3)
    return params, *jax.jit(method.encode)(params, state, VIEWS, jax.random.key(1), STEP)


def score_by_hand(method, params, video, audio):
    video, audio = np.asarray(video, np.float64), np.asarray(audio, np.float64)
    weights, bias = (np.asarray(params["classifier"][name], np.float64) for name in ("weights", "bias"))
    if method is MAP:
        return max(position @ audio * weights + bias for position in video)
    return np.maximum(video + audio, 0) @ weights + bias


def test_pairs_are_a_frame_with_its_sound_and_with_those_of_the_next_clips(method, encoded):
    params, embeddings, state = encoded
    loss, _, metrics = jax.jit(method.objective)(embeddings, state, KEY, STEP)
    video, audio = embeddings["video"], embeddings["audio"]
    own = np.array([score_by_hand(method, params, video[row], audio[row]) for row in range(BATCH)])
    other = np.array(
        [
            [score_by_hand(method, params, video[row], audio[(row + shift) % BATCH]) for row in range(BATCH)]
            for shift in range(1, method.negatives + 1)
        ]
    )
    expected = (np.log1p(np.exp(-own)).mean() + np.log1p(np.exp(other)).mean()) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    correct = ((own > 0).mean() + (other <= 0).mean()) / 2
    np.testing.assert_allclose(metrics["task_accuracy"], correct, rtol=1e-6)


def test_the_first_layer_is_one_of_both_concatenated():
    """A sum of linear layers of each is a linear layer of [video, audio]."""
    params, state = jax.jit(CONCATENATE.init)(jax.random.key(0))
    rows = jnp.asarray(RANDOM.normal(size=(2, BATCH, 8)), jnp.float32)
    projected = [CONCATENATE.projected(name, params, state, rows[at]) for at, name in enumerate(("video", "audio"))]
    kernels = np.concatenate([np.asarray(params[f"{name}_head"]["layer1"]["kernel"]) for name in ("video", "audio")])
    np.testing.assert_allclose(sum(projected), np.concatenate(rows, axis=1) @ kernels, rtol=1e-4, atol=1e-5)


def test_shards_give_the_loss_of_the_whole_batch(method, encoded):
    """Sounds of the next clip come from the next shard, and the gradient of the last layer is that of all pairs."""
    _, embeddings, state = encoded

    def whole(embeddings):
        return method.objective(embeddings, state, KEY, STEP)[0]

    def sharded(embeddings):
        cut = jax.tree.map(lambda leaf: leaf.reshape(3, 2, *leaf.shape[1:]), embeddings)
        run = partial(method.objective, state=state, rng=KEY, step=STEP, axis_name="data")
        return jax.vmap(lambda part: run(part)[0], axis_name="data")(cut).mean()

    both = [jax.jit(jax.value_and_grad(objective))(embeddings) for objective in (whole, sharded)]
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_the_map_has_the_shape_of_the_last_layer_and_its_largest_value_decides(encoded):
    params, state = jax.jit(MAP.init)(jax.random.key(0))
    images = {"image": VIEWS["views"][:, 0], "audio": VIEWS["audio"]}
    shown = MAP.localize(params, state, images)
    assert shown.shape == (BATCH, 2, 3) and (shown > 0).all() and (shown < 1).all()
    layers = MAP.features(params, state, images)
    video = MAP.projected("video", params, state, layers["video_layer2"])
    audio = MAP.projected("audio", params, state, layers["audio"])
    odds = [score_by_hand(MAP, params, video[row], audio[row]) for row in range(BATCH)]
    np.testing.assert_allclose(shown.max(axis=(1, 2)), 1 / (1 + np.exp(-np.array(odds))), rtol=1e-5)


@pytest.mark.slow
def test_it_learns_which_sound_belongs(method):
    """Sixteen pairs of patterns: after 200 steps most pairs are told apart, where chance is a half."""
    patterns = RANDOM.normal(size=(2, 16, 8, 8, 1)).astype(np.float32)
    optimizer = adamw(lambda step: 1e-2, weight_decay=0.0)

    def augment(rng, clip):
        return {"views": clip["image"][None], "audio": clip["audio"]}

    state = jax.jit(lambda: init_state(method, optimizer.transformation, seed=0))()
    step = jax.jit(make_step(method, augment, optimizer, seed=0))
    for number in range(200):
        order = np.random.default_rng(number).permutation(16)
        batch = {"image": patterns[0][order], "audio": patterns[1][order], "label": order * 0, "index": order}
        state, metrics = step(state, batch)
    assert metrics["task_accuracy"] > 0.9


def test_wrong_sounds_come_from_one_batch():
    few = AVC(video=VIDEO, audio=AUDIO, video_head=HEAD, audio_head=HEAD, negatives=BATCH)
    params, state = jax.jit(few.init)(jax.random.key(0))
    embeddings, state = jax.jit(few.encode)(params, state, VIEWS, KEY, STEP)
    with pytest.raises(UsageError, match="negatives: must be below the batch size of 6, got 6"):
        few.objective(embeddings, state, KEY, STEP)


def test_a_map_needs_positions():
    tokens = vit(image_size=8, patch_size=4, dim=8, depth=1, heads=2, channels=1)
    with pytest.raises(UsageError, match="fusion map needs an encoder whose layers have positions"):
        AVC(video=tokens, audio=AUDIO, video_head=HEAD, audio_head=HEAD, fusion="map")
    with pytest.raises(UsageError, match="fusion"):
        AVC(video=VIDEO, audio=AUDIO, video_head=HEAD, audio_head=HEAD, fusion="sum")
