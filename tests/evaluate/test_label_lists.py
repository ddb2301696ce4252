"""A list has the same share of each class, whatever the order of the files, and is the same on every machine."""

import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.label_lists import label_list, with_share_of_labels

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2, -1], [200, 50, 3, 40]).astype(np.int32)
IMAGES = RNG.integers(0, 256, (len(LABELS), 4, 4, 1), np.uint8)


def source(order=slice(None)):
    return ArraySource("test", ("a", "b", "c"), IMAGES[order], LABELS[order])


@pytest.mark.parametrize(("share", "counts"), [(0.1, [20, 5, 1]), (0.01, [2, 1, 1]), (1, [200, 50, 3])])
def test_a_list_has_the_same_share_of_each_class_and_at_least_one_image(share, counts):
    chosen = label_list(source(), share=share)
    assert np.bincount(LABELS[chosen], minlength=3).tolist() == counts
    assert (np.diff(chosen) > 0).all()


def test_a_list_does_not_depend_on_the_order_of_the_files():
    order = RNG.permutation(len(LABELS))
    first, other = label_list(source(), share=0.1), label_list(source(order), share=0.1)
    assert set(order[other]) == set(first) and not np.array_equal(first, other)


def test_lists_are_fixed_nested_and_differ_by_seed():
    ones = ArraySource("ones", ("a",), np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), np.zeros(40, np.int32))
    assert label_list(ones, share=0.1).tolist() == FIXED
    assert set(label_list(source(), share=0.01)) < set(label_list(source(), share=0.1))
    assert not np.array_equal(label_list(source(), share=0.1), label_list(source(), share=0.1, seed=1))


FIXED = [3, 8, 28, 37]  # The four images of smallest hash: by blake2b(pixel, digest_size=16, key=bytes(8)).


def test_data_with_a_share_of_the_labels():
    data = Data("test", source(), source())
    few = with_share_of_labels(data, 0.1)
    assert few.name == "test, 10 % of the labels" and len(few.train) == 26 and few.test is data.test
    assert with_share_of_labels(data, 1) is data


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_wrong_shares_are_one_sentence(share):
    with pytest.raises(UsageError, match=f"labels: got {share}, expected a share above 0 and at most 1"):
        label_list(source(), share=share)


def test_without_labels_there_is_no_list():
    none = ArraySource("none", ("a",), IMAGES, np.full(len(LABELS), -1, np.int32))
    with pytest.raises(UsageError, match="labels: no image of none has a label"):
        label_list(none, share=0.1)
