"""The contract of a method, for sequences, and the definition of the energy of a transcription."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import CASES, assert_same_in_pieces, in_pieces

from ssl_jax.data import Arrays, Batches
from ssl_jax.networks.functional import Net
from ssl_jax.optimizers import sgd
from ssl_jax.runs import read_metrics
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.transcription import Transcription, energies, symbol_accuracy
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, PADDING, START
from ssl_jax.sequences.word_noise import denoised, noise, transcribed
from ssl_jax.train import Execution, fit
from ssl_jax.train.mesh import batch_sharding, make_mesh

SYMBOLS, DIM, BATCH = 9, 6, 16
RNG, STEP = jax.random.key(1), jnp.int32(0)


def bag_and_last(symbols=SYMBOLS, dim=DIM):
    """A symbol from the bag of what was read and the symbol before: a sequence network that compiles at once."""

    def init(rng):
        keys = jax.random.split(rng, 3)
        shapes = {"read": (symbols, dim), "before": (symbols, dim), "logits": (dim, symbols)}
        return {
            name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)
        }, {}

    def apply(params, stats, source, target, *, train, rng=None):
        before = jnp.pad(target, ((0, 0), (1, 0)), constant_values=START)[:, :-1]
        encoded = params["read"][source]
        features = encoded.mean(axis=1)
        logits = jnp.tanh(features[:, None] + params["before"][before]) @ params["logits"]
        return {"encoded": encoded, "features": features, "logits": logits}, stats

    return Net(init, apply, dim)


METHOD = Transcription(net=bag_and_last())
OPTIMIZER = sgd(lambda step: 0.3, momentum=0.9)


def words(count, length, *, seed):
    """Sequences of 1 to `length` - 1 symbols with an END and PADDING, `[count, length]`."""
    random = np.random.default_rng(seed)
    rows = random.integers(3, SYMBOLS, (count, length), np.int32)
    sizes = random.integers(1, length, count)
    positions = np.arange(length)[None]
    return np.where(positions < sizes[:, None], rows, np.where(positions == sizes[:, None], END, PADDING)).astype(
        np.int32
    )


SOURCE = Arrays("pairs", {"spelling": words(40, 5, seed=0), "sounds": words(40, 7, seed=1)})
ALONE = Arrays("words", {"spelling": words(40, 5, seed=0)})
LOGITS = np.random.default_rng(2).normal(size=(BATCH, 7, SYMBOLS)).astype(np.float32)
TARGET = words(BATCH, 7, seed=3)


def nats(logits, target):
    """Of each symbol, in float64, `[B, T]`."""
    logits = np.asarray(logits, np.float64)
    right = np.take_along_axis(logits, np.asarray(target)[..., None], axis=-1)[..., 0]
    return np.log(np.exp(logits).sum(axis=-1)) - right


def embeddings(logits=LOGITS, target=TARGET):
    return {"embedding": jnp.zeros((len(target), 1, 2)), "logits": jnp.asarray(logits), "target": jnp.asarray(target)}


def train(run=None, *, steps=12, devices=1, source=SOURCE, augment=transcribed, **options):
    mesh = make_mesh(devices)
    batches = Batches(source, BATCH, seed=0, sharding=batch_sharding(mesh))
    every = {"log_every": 1, "hook_every": 50, "save_every": 6, "quiet": True}
    return fit(METHOD, augment, OPTIMIZER, batches, steps=steps, run=run, mesh=mesh, **(every | options))


def losses(run):
    return [record["loss"] for record in read_metrics(run)]


def test_the_loss_is_the_mean_over_symbols_and_ends():
    loss, _, metrics = METHOD.objective(embeddings(), {}, RNG, STEP)
    counted = TARGET != PADDING
    np.testing.assert_allclose(loss, nats(LOGITS, TARGET)[counted].mean(), rtol=1e-5)
    right = (LOGITS.argmax(axis=-1) == TARGET)[counted]
    assert 0 < right.mean() < 1
    np.testing.assert_allclose(metrics["symbol_accuracy"], right.mean(), rtol=1e-6)


def test_chance_level_is_the_logarithm_of_the_symbols():
    loss, _, _ = METHOD.objective(embeddings(np.zeros_like(LOGITS)), {}, RNG, STEP)
    np.testing.assert_allclose(loss, np.log(SYMBOLS), rtol=1e-6)
    smooth = Transcription(net=METHOD.net, label_smoothing=0.3)
    expected = 0.7 * nats(LOGITS, TARGET) + 0.3 * np.mean(
        [nats(LOGITS, np.full_like(TARGET, symbol)) for symbol in range(SYMBOLS)], axis=0
    )
    loss, _, _ = smooth.objective(embeddings(), {}, RNG, STEP)
    np.testing.assert_allclose(loss, expected[TARGET != PADDING].mean(), rtol=1e-5)


@pytest.mark.parametrize(("way", "shards"), CASES)
def test_sharded_equals_whole(way, shards):
    """Shards hold different numbers of symbols, and still each symbol of the whole batch counts the same."""
    assert len({(part != PADDING).sum() for part in np.split(TARGET, shards)}) > 1
    assert_same_in_pieces(loss_of, way, shards, (jnp.asarray(LOGITS), jnp.asarray(TARGET)), cut=(0, 0))


@pytest.mark.parametrize(("way", "shards"), CASES[:2])
def test_the_accuracy_of_all_shards_is_that_of_the_whole(way, shards):
    arrays = jnp.asarray(LOGITS), jnp.asarray(TARGET)
    found = in_pieces(functools.partial(symbol_accuracy, axis_name="data"), way, shards, cut=(0, 0))(*arrays)
    np.testing.assert_allclose(found, symbol_accuracy(*arrays), rtol=1e-6)


def loss_of(logits, target, *, axis_name=None):
    return METHOD.objective({"logits": logits, "target": target}, {}, RNG, STEP, axis_name=axis_name)[0]


def test_the_energy_is_that_of_all_symbols_together():
    found = energies(jnp.asarray(LOGITS), jnp.asarray(TARGET))
    np.testing.assert_allclose(found, np.where(TARGET == PADDING, 0, nats(LOGITS, TARGET)).sum(axis=1), rtol=1e-5)

    params, state = METHOD.init(jax.random.key(0))
    source, target = (jnp.asarray(SOURCE.arrays[name][:5]) for name in ("spelling", "sounds"))
    logits = METHOD.net.apply(params["net"], state["net"], source, target, train=False)[0]["logits"]
    np.testing.assert_allclose(METHOD.energies(params, state, source, target), energies(logits, target), rtol=1e-6)


def test_probabilities_of_all_transcriptions_of_a_length_sum_to_one():
    """The energy is a negative log-probability: over all pairs of symbols, whatever follows each, they sum to 1."""
    params, state = METHOD.init(jax.random.key(0))
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(1, SYMBOLS), np.arange(1, SYMBOLS)))
    target = np.stack([first, second], axis=1).astype(np.int32)
    source = np.broadcast_to(SOURCE.arrays["spelling"][:1], (len(target), 5))
    logits = METHOD.net.apply(params["net"], state["net"], jnp.asarray(source), jnp.asarray(target), train=False)[0]
    without_padding = np.where(np.arange(SYMBOLS) == PADDING, -np.inf, logits["logits"])
    found = energies(jnp.asarray(without_padding), jnp.asarray(target))
    np.testing.assert_allclose(np.exp(-np.asarray(found, np.float64)).sum(), 1, rtol=1e-5)


def test_the_method_keeps_its_contract():
    params, state = METHOD.init(jax.random.key(0))
    views = {"source": jnp.asarray(words(BATCH, 5, seed=4)), "target": jnp.asarray(TARGET)}
    found, after = METHOD.encode(params, state, views, jax.random.key(0), STEP)
    assert {name: leaf.shape for name, leaf in found.items()} == {
        "embedding": (BATCH, 1, DIM),
        "logits": (BATCH, 7, SYMBOLS),
        "target": (BATCH, 7),
    }
    assert jax.tree.structure(after) == jax.tree.structure(state)
    layers = METHOD.features(params, state, views["source"])
    assert list(layers) == ["encoded", "features"] and layers["features"].shape == (BATCH, DIM)
    np.testing.assert_allclose(layers["features"], found["embedding"][:, 0], rtol=1e-6)


@pytest.mark.parametrize(
    "net",
    [
        transformer(sources=SYMBOLS, symbols=SYMBOLS, dim=DIM, depth=1, heads=2, dropout=0.1),
        recurrent(sources=SYMBOLS, symbols=SYMBOLS, dim=DIM, depth=1, attention=False, dropout=0.1),
    ],
    ids=["transformer", "recurrent"],
)
def test_it_takes_every_sequence_network(net):
    method = Transcription(net=net)
    views = {"source": jnp.asarray(words(BATCH, 5, seed=4)), "target": jnp.asarray(TARGET)}

    def both(rng):
        params, state = method.init(rng)
        found, _ = method.encode(params, state, views, rng, STEP)
        energies = method.energies(params, state, views["source"], views["target"])
        return (
            found,
            method.objective(found, state, RNG, STEP)[0],
            energies,
            method.features(params, state, views["source"]),
        )

    found, loss, energies, layers = jax.eval_shape(both, jax.random.key(0))
    assert found["embedding"].shape == (BATCH, 1, DIM) and found["logits"].shape == (BATCH, 7, SYMBOLS)
    assert loss.shape == () and energies.shape == (BATCH,)
    assert list(layers) == ["encoded", "features"] and layers["features"].shape == (BATCH, DIM)


@pytest.mark.slow
def test_the_loss_falls_in_the_one_trainer(tmp_path):
    train(tmp_path, steps=40)
    found = losses(tmp_path)
    assert np.mean(found[-5:]) < np.mean(found[:5]) - 0.3
    assert {"symbol_accuracy", "std", "effective_rank"} <= set(read_metrics(tmp_path)[-1])


@pytest.mark.slow
def test_one_device_in_microbatches_equals_eight(tmp_path):
    one = train(tmp_path / "one", execution=Execution(microbatches=4, rematerialize=True))
    eight = train(tmp_path / "eight", devices=8)
    np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / "eight"), rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        *map(jax.device_get, (one.params, eight.params)),
    )


def test_stopped_and_resumed_equals_uninterrupted(tmp_path):
    train(tmp_path, steps=6)
    resumed, whole = jax.device_get((train(tmp_path), train()))
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


@pytest.mark.slow
def test_words_in_noise_train_without_labels(tmp_path):
    """A source of one array: the augmentation gets the word itself, and a number beyond the letters is the mask."""
    method_sees = []

    def augment(rng, word):
        method_sees.append(word.shape)
        return denoised(noise(mask=SYMBOLS - 1))(rng, word)

    train(tmp_path, steps=40, source=ALONE, augment=augment)
    assert set(method_sees) == {(5,)}
    found = losses(tmp_path)
    assert np.mean(found[-5:]) < np.mean(found[:5]) - 0.3
