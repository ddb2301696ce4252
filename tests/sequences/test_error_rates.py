"""Edit distance against its recursive definition, and the error rates of the field."""

import functools
import itertools

import numpy as np
import pytest

from ssl_jax.evaluate.linear import wilson_interval
from ssl_jax.sequences.error_rates import edit_distance, error_rates


@functools.cache
def by_definition(first, second):
    if not first or not second:
        return len(first) + len(second)
    return min(
        by_definition(first[1:], second) + 1,
        by_definition(first, second[1:]) + 1,
        by_definition(first[1:], second[1:]) + (first[0] != second[0]),
    )


def test_the_edit_distance_is_its_definition():
    random = np.random.default_rng(0)
    sequences = [tuple(random.integers(0, 3, size)) for size in (0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8)]
    pairs = list(itertools.product(sequences, repeat=2))
    found = [edit_distance(*pair) for pair in pairs]
    assert found == [by_definition(*pair) for pair in pairs] and max(found) == 8


@pytest.mark.parametrize(
    ("first", "second", "distance"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("flaw", "lawn", 2)]
)
def test_known_distances(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance


def test_of_several_references_the_nearest_counts():
    hypotheses = [("K", "AE", "T"), ("D", "AO", "G"), ("T", "AH", "M"), ()]
    references = [
        [("K", "AE", "T")],  # right
        [("D", "AA", "G", "Z"), ("D", "AO", "G")],  # right, the second
        [("T", "AH", "M", "EY", "T", "OW"), ("T", "AA", "M")],  # 1 edit of 3
        [("AH", "B")],  # 2 edits of 2
    ]
    found = error_rates(hypotheses, references)
    assert found.symbol_error_rate == pytest.approx((0 + 0 + 1 + 2) / (3 + 3 + 3 + 2))
    assert found.word_error_rate == 0.5 and found.words == 4
    assert found.interval == wilson_interval(0.5, 4)


def test_of_equals_the_first_counts_and_more_than_everything_can_be_wrong():
    assert error_rates([("A",)], [[("B",), ("A", "B")]]).symbol_error_rate == 1
    assert error_rates([("A",)], [[("A", "B"), ("B",)]]).symbol_error_rate == 0.5
    assert error_rates([("A", "B", "C")], [[("D",)]])[:2] == (3, 1)


@pytest.mark.parametrize(
    ("hypotheses", "references"), [([], []), ([("A",)], [[("A",)], [("B",)]]), ([("A",), ("B",)], [[("A",)], []])]
)
def test_what_does_not_fit_together_is_refused(hypotheses, references):
    with pytest.raises(ValueError, match="error_rates: needs one hypothesis and one reference or more for each word"):
        error_rates(hypotheses, references)
