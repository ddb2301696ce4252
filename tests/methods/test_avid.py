"""AVID: across modalities only, against banks that are read before they are written, with the first batch's constant."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.methods.avid import AVID
from ssl_jax.methods.cma import CMA, others_than
from ssl_jax.networks import projection_head, small_convnet
from ssl_jax.networks.audio_video import small_video_convnet

CLIPS, BATCH, NEGATIVES, SIZE = 40, 6, 9, 5
VIDEO, AUDIO = small_video_convnet(widths=(3, 4), strides=(2, 2)), small_convnet(widths=(3, 5), strides=(2, 2))
NETWORKS = {
    "video": VIDEO,
    "audio": AUDIO,
    "video_head": projection_head(inputs=VIDEO.width, widths=(SIZE,)),
    "audio_head": projection_head(inputs=AUDIO.width, widths=(SIZE,)),
}
METHOD = AVID(**NETWORKS, clips=CLIPS, negatives=NEGATIVES, temperature=0.2, momentum=0.3)
AGREE = CMA(
    **NETWORKS,
    clips=CLIPS,
    negatives=NEGATIVES,
    temperature=0.2,
    start_step=3,
    refresh_every=4,
    positive_pool=5,
    positives_per_clip=2,
    negatives_within=4,
)
RNG, KEY = np.random.default_rng(0), jax.random.key(2)
INDEX = jnp.asarray(RNG.permutation(CLIPS)[:BATCH], jnp.int32)
VIEWS = {
    "views": jnp.asarray(RNG.normal(size=(BATCH, 1, 2, 8, 8, 1)), jnp.float32),
    "audio": jnp.asarray(RNG.normal(size=(BATCH, 8, 9, 1)), jnp.float32),
    "index": INDEX,
    "label": INDEX % 3,
}


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture(scope="module", params=[METHOD, AGREE], ids=["avid", "cma"])
def method(request):
    return request.param


@pytest.fixture(scope="module")
def start(method):
    return jax.jit(method.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def encoded(method, start):
    """Embeddings and state after `encode` at step 7, with any state."""
    params, state = start
    return jax.jit(method.encode)(params, state, VIEWS, jax.random.key(1), jnp.int32(7))


def bank_by_hand(bank, embedding, momentum):
    """Entry by entry, in float64."""
    rows = np.array(bank, np.float64)
    for number, new in zip(np.asarray(INDEX), unit(embedding), strict=True):
        rows[number] = unit(momentum * rows[number] + (1 - momentum) * new)
    return rows


def nce_by_hand(query, positives, negatives, log_partition):
    """Mean over queries, and over the positives of each, of the nats of telling data from noise."""
    total = 0.0
    for clip, own, others in zip(unit(query), positives, negatives, strict=True):
        right, wrong = np.exp(unit(own) @ clip / 0.2), np.exp(unit(others) @ clip / 0.2)
        noise = len(others) * np.exp(log_partition)
        total += -np.log(right / (right + noise)).mean() - np.log(noise / (wrong + noise)).sum()
    return total / len(query)


@pytest.mark.slow
def test_sight_asks_for_sound_and_sound_for_sight(method, start, encoded):
    """And not within a modality; for CMA before `start`."""
    embeddings, state = encoded
    loss, _, _ = jax.jit(method.objective)(embeddings, {**state, "log_partition": jnp.float32(0.4)}, KEY, jnp.int32(2))
    video, audio = np.moveaxis(np.asarray(embeddings["embedding"]), 1, 0)
    banks = {name: np.asarray(bank.rows) for name, bank in state["banks"].items()}
    own, others = np.asarray(INDEX)[:, None], np.asarray(embeddings["negatives"])
    expected = nce_by_hand(video, banks["audio"][own], banks["audio"][others], 0.4)
    expected += nce_by_hand(audio, banks["video"][own], banks["video"][others], 0.4)
    np.testing.assert_allclose(loss, expected / 2, rtol=1e-5)


def test_banks_are_written_after_they_were_read_at_unit_length(method, encoded):
    embeddings, state = encoded
    _, after, _ = jax.jit(method.objective)(embeddings, state, KEY, jnp.int32(1))
    for place, name in enumerate(("video", "audio")):
        by_hand = bank_by_hand(state["banks"][name].rows, embeddings["embedding"][:, place], method.momentum)
        np.testing.assert_allclose(after["banks"][name].rows, by_hand, atol=1e-6)
        np.testing.assert_allclose(jnp.linalg.norm(after["banks"][name].rows, axis=1), 1, atol=1e-6)


def test_the_constant_is_that_of_the_first_batch(encoded):
    embeddings, state = encoded
    _, first, _ = jax.jit(METHOD.objective)(embeddings, state, KEY, jnp.int32(0))
    _, later, _ = jax.jit(METHOD.objective)(embeddings, {**first, "banks": state["banks"]}, KEY, jnp.int32(1))
    sound = np.asarray(state["banks"]["audio"].rows)[np.asarray(embeddings["negatives"])]
    scores = np.einsum("bd,bkd->bk", unit(embeddings["embedding"][:, 0]), unit(sound)) / 0.2
    np.testing.assert_allclose(first["log_partition"], np.log(np.exp(scores).mean()), rtol=1e-5)
    assert later["log_partition"] == first["log_partition"]


def test_negatives_are_never_the_clip_itself(method, start):
    params, state = start
    encode = jax.jit(lambda rng: method.encode(params, state, VIEWS, rng, jnp.int32(0))[0]["negatives"])
    drawn = np.stack([encode(jax.random.key(seed)) for seed in range(40)], axis=1).reshape(BATCH, -1)
    assert (drawn != np.asarray(INDEX)[:, None]).all() and drawn.min() == 0 and drawn.max() == CLIPS - 1


def test_what_is_drawn_follows_the_clip_not_its_place(method, start):
    params, state = start
    encode = jax.jit(lambda views: method.encode(params, state, views, jax.random.key(1), jnp.int32(7))[0])
    turned = {name: rows[::-1] for name, rows in VIEWS.items()}
    for name in ("negatives", *(["positives"] if method is AGREE else [])):
        drawn = encode(VIEWS)[name]
        np.testing.assert_array_equal(drawn, encode(turned)[name][::-1])
        assert len({tuple(row) for row in drawn.tolist()}) == BATCH


def test_features_are_those_of_both_and_each_can_be_judged_alone(method, start):
    params, state = start
    clips = {"image": VIEWS["views"][:, 0], "audio": VIEWS["audio"]}
    layers = method.features(params, state, clips)
    assert list(layers) == [
        "video_layer1",
        "video_layer2",
        "audio_layer1",
        "audio_layer2",
        "video",
        "audio",
        "features",
    ]
    both = np.concatenate([unit(layers["video"]), unit(layers["audio"])], axis=1)
    np.testing.assert_allclose(layers["features"], both, atol=1e-6)
    for name, other in (("video", "audio"), ("audio", "image")):
        embed = feature_extractor(method, lambda clip: clip, layer=name)
        alone = embed(params, state, clips)
        np.testing.assert_allclose(alone, layers[name], atol=1e-6)
        np.testing.assert_array_equal(embed(params, state, {**clips, other: 2 * clips[other]}), alone)


# What is CMA's own


def test_positives_come_when_they_are_due():
    """At the end of step 2, for step 3 to have them, and of every fourth step from there."""
    params, state = jax.jit(AGREE.init)(jax.random.key(0))
    after_step = jax.jit(AGREE.after_step)
    agreeing = [np.asarray(after_step(params, state, jnp.int32(step))[1]["agreeing"]) for step in range(13)]
    assert [step for step in range(13) if (agreeing[step] != state["agreeing"]).any()] == [2, 6, 10]
    video, audio = (unit(state["banks"][name].rows) for name in ("video", "audio"))
    agreement = np.minimum(video @ video.T, audio @ audio.T)
    np.fill_diagonal(agreement, -np.inf)
    np.testing.assert_array_equal(agreeing[2], np.argsort(-agreement, axis=1)[:, :5])


def test_from_start_on_clips_that_agree_are_positives_within_a_modality():
    params, state = jax.jit(AGREE.init)(jax.random.key(0))
    _, state = AGREE.after_step(params, state, jnp.int32(2))
    embeddings, state = jax.jit(AGREE.encode)(params, state, VIEWS, jax.random.key(1), jnp.int32(3))
    positives, negatives = np.asarray(embeddings["positives"]), np.asarray(embeddings["negatives"])
    agreeing = np.asarray(state["agreeing"])[np.asarray(INDEX)]
    assert positives.shape == (BATCH, 2) and all(np.isin(p, a).all() for p, a in zip(positives, agreeing, strict=True))
    assert not any(np.isin(n, a).any() for n, a in zip(negatives, agreeing, strict=True))

    loss, _, metrics = jax.jit(AGREE.objective)(embeddings, state, KEY, jnp.int32(3))
    video, audio = np.moveaxis(np.asarray(embeddings["embedding"]), 1, 0)
    banks = {name: np.asarray(bank.rows) for name, bank in state["banks"].items()}
    within = sum(
        nce_by_hand(query, banks[name][positives], banks[name][negatives[:, :4]], float(state["log_partition"]))
        for query, name in ((video, "video"), (audio, "audio"))
    )
    np.testing.assert_allclose(metrics["within"], within / 2, rtol=1e-5)
    np.testing.assert_allclose(loss, metrics["across"] + metrics["within"], rtol=1e-6)


def test_within_a_modality_the_estimator_may_have_no_constant():
    without = dataclasses.replace(AGREE, estimator_within="info_nce", positives_per_clip=AGREE.positive_pool)
    params, state = jax.jit(without.init)(jax.random.key(0))
    embeddings, state = jax.jit(without.encode)(params, state, VIEWS, jax.random.key(1), jnp.int32(3))
    positives, negatives = (np.asarray(embeddings[name]) for name in ("positives", "negatives"))
    found = [
        jax.jit(without.objective)(embeddings, {**state, "log_partition": jnp.float32(constant)}, KEY, jnp.int32(3))[2]
        for constant in (0.0, 3.0)
    ]
    assert found[0]["within"] == found[1]["within"] and found[0]["across"] != found[1]["across"]
    expected = 0.0
    for place, name in enumerate(("video", "audio")):
        query, bank = unit(embeddings["embedding"][:, place]), unit(state["banks"][name].rows)
        right = np.exp(np.einsum("bd,bpd->bp", query, bank[positives]) / 0.2)
        wrong = np.exp(np.einsum("bd,bkd->bk", query, bank[negatives[:, :4]]) / 0.2).sum(axis=1, keepdims=True)
        expected -= np.log(right / (right + wrong)).mean() / 2
    np.testing.assert_allclose(found[0]["within"], expected, rtol=1e-5)
    with pytest.raises(UsageError, match="unknown estimator_within"):
        dataclasses.replace(AGREE, estimator_within="softmax")


@pytest.mark.parametrize("agreement", ["either", "video", "audio"])
def test_positives_may_agree_otherwise(agreement):
    other = dataclasses.replace(AGREE, agreement=agreement)
    params, state = jax.jit(other.init)(jax.random.key(0))
    _, after = jax.jit(other.after_step)(params, state, jnp.int32(2))
    video, audio = (unit(state["banks"][name].rows) for name in ("video", "audio"))
    sight, sound = video @ video.T, audio @ audio.T
    similarity = {"either": np.maximum(sight, sound), "video": sight, "audio": sound}[agreement]
    np.fill_diagonal(similarity, -np.inf)
    np.testing.assert_array_equal(after["agreeing"], np.argsort(-similarity, axis=1)[:, :5])


def test_all_clips_that_agree_are_positives_once_where_as_many_are_drawn():
    """As the authors' code, which has 32 of 32; drawn with replacement, a third of them would be missing."""
    everyone = dataclasses.replace(AGREE, positives_per_clip=AGREE.positive_pool)
    agreeing = jnp.array([3, 5, 8, 13, 21], jnp.int32)
    positives, negatives = everyone.draw_disjoint(jax.random.key(0), jnp.int32(2), agreeing)
    np.testing.assert_array_equal(np.sort(positives), agreeing)
    assert not np.isin(negatives, [2, *agreeing]).any()


@pytest.mark.slow
def test_shards_give_the_loss_of_the_whole_batch_with_positives():
    """The contract tests this at step 0, where there are none."""
    params, state = jax.jit(AGREE.init)(jax.random.key(0))
    embeddings, _ = jax.jit(AGREE.encode)(params, state, VIEWS, jax.random.key(1), jnp.int32(3))

    def whole(embedding, *, axis_name=None, numbers=None):
        given = {
            **(numbers or {name: embeddings[name] for name in ("index", "positives", "negatives")}),
            "embedding": embedding,
        }
        loss, after, _ = AGREE.objective(given, state, jax.random.key(2), jnp.int32(5), axis_name=axis_name)
        return loss, after["banks"]

    def cut(array):
        return array.reshape(2, BATCH // 2, *array.shape[1:])

    def sharded(embedding):
        numbers = {name: cut(embeddings[name]) for name in ("index", "positives", "negatives")}
        losses, banks = jax.vmap(
            lambda part, numbers: whole(part, axis_name="data", numbers=numbers), axis_name="data"
        )(cut(embedding), numbers)
        return losses.mean(), jax.tree.map(lambda leaf: leaf[1], banks)

    both = [jax.jit(jax.value_and_grad(f, has_aux=True))(embeddings["embedding"]) for f in (whole, sharded)]
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("excluded", [[0, 3, 7], [9, 1, 2], [4, 6, 5]])
def test_others_than_are_uniform_over_the_rest(excluded):
    counts = np.bincount(others_than(jax.random.key(0), jnp.array(excluded), 7000, length=10), minlength=10)
    assert not counts[excluded].any() and (abs(np.delete(counts, excluded) - 1000) < 150).all()


def test_more_positives_than_clips_are_refused():
    with pytest.raises(UsageError, match="positive_pool: must be below 39 for 40 clips, got 39"):
        CMA(**NETWORKS, clips=CLIPS, start_step=1, refresh_every=1, positive_pool=39)


def test_the_loss_of_even_odds_is_the_chance_level(method, start):
    """CMA's becomes another one at `start_step`, and has none."""
    if isinstance(method, CMA):
        assert method.chance_loss(BATCH) is None
        return
    rows = jnp.zeros((BATCH, 2, SIZE))
    embeddings = {"embedding": rows, "index": INDEX, "negatives": jnp.zeros((BATCH, NEGATIVES), jnp.int32)}
    state = jax.tree.map(jnp.zeros_like, start[1])
    loss, _, _ = method.objective(embeddings, state, KEY, jnp.int32(0))
    np.testing.assert_allclose(loss, method.chance_loss(BATCH), rtol=1e-5)
