"""Parts have every class, lose nothing, and hold nothing twice."""

import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data, at_most, hold, split_training
from ssl_jax.errors import UsageError

IMAGES = np.arange(21 * 16, dtype=np.uint8).reshape(21, 4, 4, 1)
LABELS = np.repeat(np.arange(3, dtype=np.int32), 7)  # Sorted by class, as folders are.
SOURCE = ArraySource("letters:train", ("a", "b", "c"), IMAGES, LABELS)


def test_at_most_is_evenly_spaced():
    part = at_most(SOURCE, 5)
    assert [int(part[i]["image"][0, 0, 0]) for i in range(len(part))] == list(IMAGES[[0, 5, 10, 15, 20], 0, 0, 0])
    assert at_most(SOURCE, 21) is SOURCE


def test_a_fifth_is_held_out_and_no_test_image_is_seen():
    test = ArraySource("letters:test", SOURCE.classes, np.zeros((9, 4, 4, 1), np.uint8), np.zeros(9, np.int32))
    split = split_training(Data("letters", SOURCE, test))
    train, apart = hold(split.train), hold(split.test)
    assert (len(train["label"]), len(apart["label"])) == (17, 4)
    assert set(apart["label"]) == set(train["label"]) == {0, 1, 2}
    both = np.concatenate([train["image"], apart["image"]])
    np.testing.assert_array_equal(np.sort(both[:, 0, 0, 0]), np.sort(IMAGES[:, 0, 0, 0]))
    assert split.name == "letters, a fifth of its training images held out"


@pytest.mark.parametrize("rows, classes", [(4, ("a", "b", "c")), (21, ())])
def test_nothing_to_hold_out(rows, classes):
    source = ArraySource("letters:train", classes, IMAGES[:rows], LABELS[:rows])
    with pytest.raises(
        UsageError, match=f"held_out: letters has {rows} training images of {len(classes)} classes, exp"
    ):
        split_training(Data("letters", source, None))
