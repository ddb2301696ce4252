"""Average precision is scikit-learn's, and the probe ranks what is linear, by a strength that test targets do not choose."""

import numpy as np
import pytest

from ssl_jax.evaluate.multi_label import average_precision, mean_average_precision, multi_label_probe

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(120, 6)).astype(np.float32)
TARGETS = (FEATURES @ RNG.normal(size=(6, 3)) + RNG.normal(size=(120, 3)) > 0.5).astype(np.int32)
PARTS = FEATURES[:80], TARGETS[:80], FEATURES[80:], TARGETS[80:]


def test_average_precision_is_scikit_learns_with_equal_scores():
    """average_precision_score of scikit-learn 1.9.1."""
    scores = [0.9, 0.8, 0.8, 0.5, 0.5, 0.3, 0.3, 0.1]
    assert average_precision(scores, [1, 0, 1, 1, 0, 0, 1, 0]) == pytest.approx(0.7095238095238094, rel=1e-9)
    assert np.isnan(average_precision(scores, [0] * 8)) and average_precision([1.0] * 4, [1, 0, 0, 0]) == 0.25


@pytest.mark.slow
def test_the_probe_ranks_linear_targets_and_test_targets_choose_nothing():
    found = multi_label_probe(*PARTS)
    assert found.interval[0] < found.average_precision < found.interval[1] <= 1
    assert (
        found.average_precision == pytest.approx(np.mean(found.of_classes))
        and found.average_precision > 0.7 > found.chance
    )
    assert found.chance == pytest.approx(TARGETS[80:].mean())
    other = multi_label_probe(*PARTS[:3], np.roll(PARTS[3], 1, axis=0))
    assert other.strength == found.strength and other.average_precision < found.average_precision
    assert mean_average_precision(PARTS[3], PARTS[3]) == 1


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((FEATURES, TARGETS[:5], FEATURES, TARGETS), r"got \(120, 6\), \(5, 3\)"),
        ((FEATURES, TARGETS + 1, FEATURES, TARGETS), "targets must be booleans, or 0 and 1, got 2"),
        ((FEATURES * np.nan, TARGETS, FEATURES, TARGETS), "features must be finite"),
        ((FEATURES, TARGETS, FEATURES, 0 * TARGETS), "test_targets with an example of a class, got 120 and 0"),
    ],
)
def test_wrong_input_is_one_sentence(parts, sentence):
    with pytest.raises(ValueError, match=sentence):
        multi_label_probe(*parts)
