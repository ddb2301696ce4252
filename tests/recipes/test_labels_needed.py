"""Recipes that learn from labels refuse data that has none, before anything is trained."""

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data.source import ArraySource
from ssl_jax.errors import UsageError
from ssl_jax.recipes import find
from ssl_jax.recipes.images import has_labels


@pytest.mark.parametrize("method", ["supcon", "supervised"])
def test_a_folder_without_classes_is_refused(method, tmp_path):
    for number in range(8):
        Image.new("L", (28, 28), 9 * number).save(tmp_path / f"{number}.png")
    with pytest.raises(UsageError, match=f"data: {method} learns from labels and none of the 8 training images"):
        find(method, "demo")(data=str(tmp_path), batch_size=8)


def images(labels, classes=("a", "b")):
    return ArraySource("drawn", classes, np.zeros((len(labels), 4, 4, 1), np.uint8), np.asarray(labels, np.int32))


class OneByOne:
    """A source whose labels are not at hand, as those of a prepared tfds data set."""

    def __init__(self, source):
        self._source = source
        self.name, self.classes, self.image_shape = source.name, source.classes, source.image_shape

    def __len__(self):
        return len(self._source)

    def __getitem__(self, number):
        return self._source[number]


@pytest.mark.parametrize("kind", [lambda source: source, OneByOne])
def test_a_label_of_minus_one_is_none(kind):
    assert not has_labels(kind(images([-1, -1, -1])))
    assert has_labels(kind(images([-1, -1, 1])))
    assert not has_labels(kind(images([0, 0, 0], classes=())))
