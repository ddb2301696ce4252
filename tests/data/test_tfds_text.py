"""Texts of tfds data sets, by a tiny one that is prepared here, without TensorFlow."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax.data.tfds.text import open_texts
from ssl_jax.errors import UsageError

TEXTS = [("A dull film.", "neg"), ("Très good!", "pos"), ("", "neg")]


class Reviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Like imdb_reviews: a text and a label; `second` adds another text."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name, *, second=False, **options):
        Reviews.name, self.second = name, second
        super().__init__(file_format="array_record", **options)

    def _info(self):
        features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["neg", "pos"])}
        if self.second:
            features["title"] = tfds.features.Text()
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(TEXTS), "test": self._generate_examples(TEXTS[:1])}

    def _generate_examples(self, texts):
        for number, (text, label) in enumerate(texts):
            yield number, {"text": text, "label": label, **({"title": text} if self.second else {})}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tfds.disable_progress_bar()
    made = tmp_path_factory.mktemp("tfds")
    Reviews("reviews", data_dir=made).download_and_prepare()
    Reviews("letters", second=True, data_dir=made).download_and_prepare()
    return made


@pytest.fixture(autouse=True)
def prepared(folder, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))


def test_texts_and_their_labels():
    found = open_texts("reviews")
    expected = sorted((text, int(label == "pos")) for text, label in TEXTS)
    assert sorted(zip(found.texts, found.labels.tolist(), strict=True)) == expected
    assert found.classes == ("neg", "pos") and found.labels.dtype == np.int32
    assert open_texts("reviews:test").texts == ("A dull film.",)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("letters", "has label, text, title, expected one text and a class label"),
        ("reviews:valid", "no examples in a split 'valid'"),
        (
            "imdb_reviews",
            "imdb_reviews is not prepared in .*: run `pip install tensorflow` and `tfds build imdb_reviews",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        open_texts(name)
