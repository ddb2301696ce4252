"""Parts have every class, lose nothing, and hold nothing twice."""

import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data, Emblems, load_into_memory, split_training, subsample
from ssl_jax.data.source import labels_of
from ssl_jax.data.subsets import labelled, stratified
from ssl_jax.errors import UsageError

IMAGES = np.arange(21 * 16, dtype=np.uint8).reshape(21, 4, 4, 1)
LABELS = np.repeat(np.arange(3, dtype=np.int32), 7)  # Sorted by class, as folders are.
SOURCE = ArraySource("letters:train", ("a", "b", "c"), IMAGES, LABELS)


def of(labels, *, cheap=True, classes=None):
    """A source of these labels, image i all of grey i; `cheap`: the labels are at hand."""
    labels = np.asarray(labels, np.int32)
    images = np.broadcast_to(np.arange(len(labels)).astype(np.uint8)[:, None, None, None], (len(labels), 2, 2, 1))
    names = tuple(map(str, range(labels.max() + 1))) if classes is None else classes
    if cheap:
        return ArraySource("labels", names, images, labels)
    return Slow(names, labels)


class Slow:
    """Labels that are known only when an example is read."""

    name, image_shape = "slow", (1, 1, 1)

    def __init__(self, classes, labels):
        self.classes, self._labels = classes, labels

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, number):
        return {"image": np.full((1, 1, 1), number % 256, np.uint8), "label": self._labels[number]}


IN_TURN, SORTED = np.arange(400) % 10, np.arange(400) // 40
ORDERS = {
    "in turn": IN_TURN,
    "sorted": SORTED,
    "two in turn": np.arange(400) % 2 * 5 + SORTED // 2,
    "pairs": IN_TURN // 2 * 2,
}


@pytest.mark.parametrize("cheap", [True, False])
@pytest.mark.parametrize("labels", ORDERS.values(), ids=ORDERS)
def test_a_part_has_every_class_whatever_the_order(labels, cheap):
    source = of(labels, cheap=cheap)
    kinds = np.unique(labels)
    for size in (80, 100, 133, 200):
        part = subsample(source, size)
        counts = np.bincount(load_into_memory(part)["label"], minlength=10)[kinds]
        expected = size * np.bincount(labels, minlength=10)[kinds] / 400
        assert len(part) == size and (np.abs(counts - expected) < (1 if cheap else 0.8 * expected)).all()
    split = split_training(Data("labels", source, None))
    train, test = (
        np.bincount(load_into_memory(part)["label"], minlength=10)[kinds] for part in (split.train, split.test)
    )
    assert (len(split.train), len(split.test)) == (320, 80) and train.min() > 0 and test.min() > 0
    if cheap:
        np.testing.assert_array_equal(4 * test, train)


def test_a_part_is_the_same_each_time_ascending_and_without_repeats():
    source = of(IN_TURN[:200], cheap=False)
    one, other = (load_into_memory(subsample(source, 60))["image"][:, 0, 0, 0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (np.diff(one.astype(int)) > 0).all()
    assert subsample(source, 200) is source
    assert np.bincount(stratified(of([0, 1]), 4)).tolist() == [2, 2]  # Of fewer images than are wanted.


def test_emblems_are_held_out_of_every_plan():
    split = split_training(Data("emblems", Emblems(size=100), None))
    assert [np.bincount(labels_of(part)).tolist() for part in (split.train, split.test)] == [[8] * 10, [2] * 10]
    assert labels_of(split.test)[3] == split.test[3]["label"]


def test_a_fifth_is_held_out_and_no_test_image_is_seen():
    test = ArraySource("letters:test", SOURCE.classes, np.zeros((9, 4, 4, 1), np.uint8), np.zeros(9, np.int32))
    split = split_training(Data("letters", SOURCE, test))
    train, apart = load_into_memory(split.train), load_into_memory(split.test)
    assert (len(train["label"]), len(apart["label"])) == (18, 3)
    assert set(apart["label"]) == set(train["label"]) == {0, 1, 2}
    both = np.concatenate([train["image"], apart["image"]])
    np.testing.assert_array_equal(np.sort(both[:, 0, 0, 0]), np.sort(IMAGES[:, 0, 0, 0]))
    assert split.name == "letters, a fifth of its training images held out"


def test_single_images_and_images_without_a_label_are_not_held_out():
    source = of([0, 0, 1, -1, -1, -1, -1, -1, -1, 2, 2, 2, 2, 2, 2])
    split = split_training(Data("rare", source, None))
    assert sorted(load_into_memory(split.test)["label"]) == [0, 2]
    assert sorted(load_into_memory(split.train)["label"]) == [-1] * 6 + [0, 1] + [2] * 5
    with pytest.raises(UsageError, match=r"^held_out: none has 6 training images of 1 classes, expected labels"):
        split_training(Data("none", of([-1] * 6, classes=("a",)), None))


@pytest.mark.parametrize("rows, classes", [(4, ("a", "b", "c")), (21, ())])
def test_nothing_to_hold_out(rows, classes):
    source = ArraySource("letters:train", classes, IMAGES[:rows], LABELS[:rows])
    with pytest.raises(
        UsageError, match=f"held_out: letters has {rows} training images of {len(classes)} classes, exp"
    ):
        split_training(Data("letters", source, None))


def test_images_with_a_label():
    images = np.zeros((6, 2, 2, 1), np.uint8)
    some = ArraySource("some", ("a", "b"), images, np.array([-1, 0, -1, -1, 1, 0], np.int32))
    assert labelled(some).labels.tolist() == [0, 1, 0] and len(labelled(some)) == 3
    for labels in ([-1] * 6, [0, 1] * 3):
        same = ArraySource("same", ("a", "b"), images, np.array(labels, np.int32))
        assert labelled(same) is same
