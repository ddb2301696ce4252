"""Features in a file or in the host's memory, a block at a time on the device: the same probe as of features that fit it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blobs import CLASSES, blobs, problem

from ssl_jax.evaluate import checks, feature_blocks, few_label_probe, linear_probe
from ssl_jax.evaluate.feature_blocks import HostFeatures, over_blocks, placed, standardized_by, statistics_of
from ssl_jax.evaluate.standardization import moments, standardized

TRAIN, LABELS, TEST, ANSWERS = problem()
ROWS = 7  # Of a block: 60 training features are eight blocks and a part.


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(feature_blocks, "CACHED_BLOCK_BYTES", ROWS * 4 * TRAIN.shape[1])


def in_file(folder, features):
    np.save(folder / "features.npy", features)
    return np.load(folder / "features.npy", mmap_mode="r")


def assert_same_probe(found, expected):
    assert found[:4] == expected[:4]
    size = np.abs(expected.weights).max()
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-3, atol=2e-4 * size)
    np.testing.assert_allclose(found.bias, expected.bias, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("stored", [np.float32, np.float16])
def test_the_probe_of_a_file_is_that_of_the_whole(tmp_path, small_blocks, missing, stored):
    features, labels = TRAIN.astype(stored), LABELS.copy()
    labels[::4] = -1 if missing else labels[::4]
    options = {"num_classes": CLASSES, "strengths": [1.0, 1e-2]}
    whole = linear_probe(features, labels, TEST, ANSWERS, **options)
    streamed = linear_probe(in_file(tmp_path, features), labels, TEST, ANSWERS, **options, memory_budget=1)
    assert_same_probe(streamed, whole)
    assert whole.accuracy > 1.5 / CLASSES


def test_features_above_the_budget_stay_on_the_host():
    size = 4 * TRAIN.size
    assert isinstance(placed(TRAIN, budget=size), jax.Array)
    assert isinstance(placed(TRAIN, budget=size - 1), HostFeatures)
    assert isinstance(placed(jnp.asarray(TRAIN), budget=1), jax.Array)
    assert isinstance(placed(TRAIN), jax.Array)


@pytest.mark.parametrize("stated", [None, {}, {"bytes_limit": 4 * 4 * TRAIN.size - 1}])
def test_without_a_budget_the_device_decides(monkeypatch, stated):
    class Device:
        def memory_stats(self):
            return stated

    monkeypatch.setattr(feature_blocks.jax, "local_devices", lambda: [Device()])
    assert isinstance(placed(TRAIN), HostFeatures if stated else jax.Array)


def test_the_device_holds_two_blocks(small_blocks):
    """While a block is visited only the next one is there, or on its way."""
    features = standardized_by(placed(np.random.default_rng(0).random((60, 5)), budget=1), moments(jnp.asarray(TRAIN)))
    there = []

    def visit(carry, rows, place):
        there.append(sum(array.shape == (ROWS, 5) for array in jax.live_arrays()))
        return carry + rows.sum()

    over_blocks(visit, jnp.float32(0), features, size=60)
    assert len(there) == 9 and max(there) <= 2


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_each_row_is_new_once(monkeypatch, size):
    """On the device and from the host, rows and their places are the same."""
    monkeypatch.setattr(feature_blocks, "CACHED_BLOCK_BYTES", size * 4 * TRAIN.shape[1])
    statistics = moments(jnp.asarray(TRAIN))
    expected = np.asarray(standardized(jnp.asarray(TRAIN), *statistics))
    for features in (placed(TRAIN), placed(TRAIN, budget=1)):
        found = []

        def visit(carry, rows, place, found=found):
            first, new = np.asarray(place)
            np.testing.assert_allclose(rows, expected[first : first + len(rows)], rtol=1e-6)
            found += range(new, first + len(rows))
            return carry

        over_blocks(visit, jnp.float32(0), standardized_by(features, statistics), size=size)
        assert found == list(range(60))


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_statistics_of_blocks_are_those_of_the_whole(small_blocks, size):
    features = np.column_stack([TRAIN, np.full(len(TRAIN), 7.1, np.float32)]) * np.float32(size)
    expected, found = statistics_of(placed(features)), statistics_of(placed(features, budget=1))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6 * size)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    assert found[1][-1] == 0


def test_few_labels_are_standardised_by_a_file(monkeypatch, small_blocks):
    features, labels = blobs(each=10)
    whole = few_label_probe(features, labels, TEST, ANSWERS, num_classes=CLASSES)
    monkeypatch.setattr(feature_blocks, "OF_UNKNOWN_DEVICE", 1)
    assert few_label_probe(features, labels, TEST, ANSWERS, num_classes=CLASSES) == whole


def test_a_bad_row_at_the_end_of_a_file_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "READ_AT_ONCE", 20)
    features = TRAIN.copy()
    features[-1, -1] = np.inf
    with pytest.raises(ValueError, match="training features must be finite"):
        linear_probe(in_file(tmp_path, features), LABELS, TEST, ANSWERS, num_classes=CLASSES, memory_budget=1)


def test_only_explicit_transfers(small_blocks):
    with jax.transfer_guard("disallow"):
        linear_probe(TRAIN, LABELS, TEST, ANSWERS, num_classes=CLASSES, strengths=[1.0], memory_budget=1)
