"""Examples from outside the package: every accepted form gives the same batches, every other one a sentence."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import Batches, as_source, load_into_memory
from ssl_jax.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(10) % 3
NAMES = ("ant", "bee", "cat")


class Dataset:
    """As a dataset of PyTorch: `len` and `[number]`, pairs of a Pillow image and an integer, and no IndexError at the end."""

    def __len__(self):
        return 10

    def __getitem__(self, number):
        return Image.fromarray(IMAGES[number % 10]), int(LABELS[number % 10])


class Stream:
    """`len` and an iterator."""

    def __len__(self):
        return 10

    def __iter__(self):
        return zip(IMAGES, LABELS, strict=True)


FORMS = {
    "pair": (IMAGES, LABELS),
    "jax": (jnp.asarray(IMAGES), jnp.asarray(LABELS)),
    "named": {"image": IMAGES, "label": LABELS},
    "list": list(zip(IMAGES, LABELS, strict=True)),
    "list of dicts": [{"image": image, "label": label} for image, label in zip(IMAGES, LABELS, strict=True)],
    "dataset": Dataset(),
    "stream": Stream(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_batches_held_and_streamed(form):
    source = as_source(FORMS[form], classes=NAMES)
    assert (len(source), source.classes, source.image_shape) == (10, NAMES, (6, 5, 3))
    whole = load_into_memory(source)
    np.testing.assert_array_equal(whole["image"], IMAGES)
    np.testing.assert_array_equal(whole["label"], LABELS)
    for hold in (True, False):
        with Batches(source, 4, seed=0, load_into_memory=hold, threads=2) as batches:
            batch = next(batches)
        np.testing.assert_array_equal(batch["image"], IMAGES[batch["index"]])
        np.testing.assert_array_equal(batch["label"], LABELS[batch["index"]])


def test_images_alone_have_no_labels_and_grayscale_ones_get_their_axis():
    assert as_source(IMAGES).classes == () and set(as_source(IMAGES).labels) == {-1}
    for form in (IMAGES[..., 0], list(IMAGES[..., 0])):
        source = as_source(form)
        assert source.image_shape == (6, 5, 1) and source[3]["label"] == -1
        np.testing.assert_array_equal(source[3]["image"], IMAGES[3, ..., :1])
    assert as_source((IMAGES, LABELS)).classes == ("0", "1", "2")


def test_other_arrays_stay_beside_the_images_and_words_need_none():
    sound = np.arange(20.0).reshape(10, 2)
    source = as_source({"image": IMAGES, "audio": sound})
    np.testing.assert_array_equal(load_into_memory(source)["audio"], sound)
    words = as_source({"spelling": np.eye(4, dtype=np.int32)})
    np.testing.assert_array_equal(words[2]["spelling"], [0, 0, 1, 0])


WRONG = {
    "float": (IMAGES / 255, "got images of float64, expected uint8"),
    "empty": ([], "got no examples"),
    "no images": (IMAGES[:0], "got arrays of lengths {'image': 0}"),
    "generator": ((image for image in IMAGES), "got generator, whose length is unknown"),
    "channels": (IMAGES[..., :2], "got images of shape (10, 6, 5, 2), expected height, width, and 1 or 3 channels"),
    "one image": (IMAGES[0, ..., 0], "got images of shape (6, 5), expected height, width"),
    "lengths": ((IMAGES, LABELS[:9]), "got arrays of lengths {'image': 10, 'label': 9}"),
    "labels": ((IMAGES, LABELS / 2), "got labels of float64 (10,), expected integers of shape (10,)"),
    "names": ((IMAGES, LABELS + 1), "got label 3 and 3 names in classes"),
    "ragged": ([[[1, 2], [3]]], "got list, which is not an array"),
    "words": (["cat", "dog"], "example 0: got images of <U3, expected uint8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_anything_else_is_one_sentence(case):
    examples, sentence = WRONG[case]
    with pytest.raises(UsageError, match=re.escape(sentence)):
        as_source(examples, classes=NAMES)


def test_an_image_of_another_shape_is_named_when_it_is_read():
    source = as_source([IMAGES[0], IMAGES[1, :4]], name="mine")
    with pytest.raises(UsageError, match=re.escape("mine: example 1 has shape (4, 5, 3) and example 0 (6, 5, 3)")):
        source[1]
    with pytest.raises(IndexError):
        source[2]
