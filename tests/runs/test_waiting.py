"""What the loop waited for, over all records of a run."""

import pytest

from ssl_jax.runs.waiting import WAITS, in_words, waited

NOTHING = dict.fromkeys(WAITS, 0.0)


def test_longer_intervals_count_for_more():
    records = [
        {"step": 50, "seconds": 1.0, **NOTHING, "waits_input": 1.0},
        {"step": 50, "knn": 0.5},
        {"step": 100, "seconds": 9.0, **NOTHING, "waits_device": 0.5, "waits_writing": 0.04},
    ]
    found = waited(records)
    assert found["input"] == pytest.approx(0.1) and found["device"] == pytest.approx(0.45)
    assert in_words(found) == "waited for input 10 %, device 45 %, writing 4 %"


@pytest.mark.parametrize("value", [None, "1", -1.0, 1e300, float("nan")])
def test_a_record_without_times_or_with_impossible_ones_is_left_out(value):
    records = [{"step": 1, "seconds": value, **NOTHING}, {"step": 2, "seconds": 1.0, **NOTHING, "waits_input": value}]
    assert waited(records) == {} and in_words({}) == ""
