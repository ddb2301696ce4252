"""Which image and which label is used where a tfds data set has several, and labels that are plain integers."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data.source import labels_of
from ssl_jax.data.tfds.prepared import open_tfds
from ssl_jax.errors import UsageError


class Several(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Examples whose every feature is told apart: image k is all grey 10 * k, label k is k modulo its classes."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name, features, *, supervised=None, labels=(0, 1, 2, 1), **options):
        Several.name, self._features, self._supervised, self._labels = name, features, supervised, labels
        super().__init__(file_format="array_record", **options)

    def _info(self):
        features = tfds.features.FeaturesDict(self._features)
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=self._supervised)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        for number, label in enumerate(self._labels):
            yield number, {key: self.value(key, feature, label) for key, feature in self._features.items()}

    def value(self, key, feature, label):
        if isinstance(feature, tfds.features.ClassLabel):
            return (label + "abc".index(key[-1])) % 3
        if not isinstance(feature, tfds.features.Image):
            return label
        encoded = io.BytesIO()
        Image.new("L", (4, 4), 10 * "123456789".index(key[-1]) + 10).save(encoded, "PNG")
        encoded.seek(0)
        return encoded


def image(**options):
    return tfds.features.Image(shape=(4, 4, 1), **options)


def label():
    return tfds.features.ClassLabel(num_classes=3)


TWO = {"image1": image(), "image2": image(), "label_a": label(), "label_b": label()}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tfds")
    depth = tfds.features.LabeledImage(labels=["x", "y"], shape=(4, 4, 1))
    for name, features, options in (
        ("undecided", TWO, {}),
        ("supervised", TWO, {"supervised": ("image2", "label_b")}),
        ("segmented", {"image3": image(), "mask1": depth, "label_c": label()}, {"supervised": ("image3", "mask1")}),
        ("whole", {"image1": image(), "label": np.int64}, {"labels": (0, 4, -1, 1)}),
        ("numbered", {"image1": image(), "height": np.int32, "id": np.int64}, {}),
        ("measured", {"image1": image(), "label": np.float32}, {}),
        ("negative", {"image1": image(), "label": np.int64}, {"labels": (0, -2)}),
        ("huge", {"image1": image(), "label": np.int64}, {"labels": (0, 2**40)}),
    ):
        Several(name, features, data_dir=folder, **options).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def prepared(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))


def seen(source):
    """Grey value / 10 of the images, and the labels in ascending order."""
    examples = [source[number] for number in range(len(source))]
    (grey,) = {int(example["image"].max()) // 10 for example in examples}
    return grey, sorted(int(example["label"]) for example in examples)


@pytest.mark.parametrize(
    "name, grey, labels",
    [
        ("supervised", 2, [0, 1, 2, 2]),  # b: the label and one more, modulo 3.
        ("supervised,image=image1", 1, [0, 1, 2, 2]),
        ("supervised:train[:100%],label=label_a", 2, [0, 1, 1, 2]),
        ("supervised:1.0.0:train,label=none", 2, [-1, -1, -1, -1]),
        ("undecided,label=label_a,image=image2", 2, [0, 1, 1, 2]),
        ("segmented", 3, [0, 0, 1, 2]),
        ("whole", 1, [-1, 0, 1, 4]),
        ("numbered", 1, [-1, -1, -1, -1]),
        ("numbered,label=id", 1, [0, 1, 1, 2]),
        ("huge,label=none", 1, [-1, -1]),
    ],
)
def test_the_supervised_the_only_or_the_named_feature_is_used(name, grey, labels):
    data = open_tfds(name)
    assert seen(data.train) == (grey, labels)
    assert sorted(labels_of(data.train)) == labels
    assert (data.test is None) == (max(labels) < 0)


def test_the_classes_of_whole_numbers_are_counted():
    data = open_tfds("whole")
    assert data.train.classes == data.test.classes == ("0", "1", "2", "3", "4")


def test_whole_numbers_that_are_not_used_are_mentioned(capsys):
    assert open_tfds("numbered").train.classes == ()
    assert capsys.readouterr().err == (
        "data: numbered/1.0.0 has no class label, and its integers height, id are not used: add ,label=height to its name "
        "to use that one.\n"
    )


def test_a_label_that_is_no_whole_number_is_mentioned(capsys):
    assert open_tfds("measured").train.classes == ()
    assert capsys.readouterr().err == (
        "data: measured/1.0.0 has no class label and no integer, and its label cannot serve as labels.\n"
    )


@pytest.mark.parametrize(
    "name, sentence",
    [
        (
            "undecided",
            "data: undecided/1.0.0 has several labels, label_a, label_b: add one of them to its name, such as "
            "undecided,label=label_a.",
        ),
        (
            "undecided,label=label_b",
            "data: undecided/1.0.0 has several images, image1, image2: add one of them to its name, such as "
            "undecided,image=image1.",
        ),
        (
            "undecided,label=colour",
            "data: undecided/1.0.0 has no label 'colour': choose label=label_a or label=label_b or label=none.",
        ),
        (
            "supervised,image=label_a",
            "data: supervised/1.0.0 has no image 'label_a': choose image=image1 or image=image2.",
        ),
        ("segmented,image=mask1", "data: segmented/1.0.0 has no image 'mask1': choose image=image3."),
        (
            "negative",
            "data: the labels of negative/1.0.0:train are in -2 ... 0, expected 0 to 99999, or -1 for none: add ,label=none "
            "to its name to train without labels.",
        ),
        (
            "huge",
            "data: the labels of huge/1.0.0:train are in 0 ... 1099511627776, expected 0 to 99999, or -1 for none: add "
            ",label=none to its name to train without labels.",
        ),
    ],
)
def test_several_candidates_are_named(name, sentence):
    with pytest.raises(UsageError) as refused:
        open_tfds(name)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("name", ["a,colour=b", "a,image=", "a,label=b,label=c", "a,", ",label=b", "a:train,label=b,x"])
def test_keys_are_image_and_label_once_each(name):
    with pytest.raises(
        UsageError, match=r"is not a name of a data set: write it like .* smallnorb:train,image=image2,"
    ):
        open_tfds(name)


@pytest.mark.slow
def test_it_is_the_same_in_every_process(data_dir):
    """Of features whose order in a proto map differs from process to process."""
    script = (
        "from ssl_jax.data.tfds.prepared import open_tfds; from ssl_jax.data.tfds.keys import pictures;"
        "import tensorflow_datasets as t;"
        f"print(pictures(t.builder_from_directory({str(data_dir / 'undecided/1.0.0')!r}).info),"
        "open_tfds('supervised').train[0]['image'].max())"
    )
    said = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout for _ in range(2)]
    assert said == ["['image1', 'image2'] 20\n"] * 2
