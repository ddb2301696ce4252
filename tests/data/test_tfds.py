"""Prepared tfds data sets, by tiny ones that are prepared here, without TensorFlow."""

import io
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data import in_order, open_data
from ssl_jax.data.looking import photo_size
from ssl_jax.data.tfds.prepared import open_tfds
from ssl_jax.errors import UsageError


class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images of one grey value each, which is their key; `splits` maps a name to labels."""

    VERSION = tfds.core.Version("1.2.0")

    def __init__(self, name, splits, *, shape=(4, 4, 1), size=(4, 4), mode="L", **options):
        Tiny.name, self.splits, self.shape, self.size, self.mode = name, splits, shape, size, mode
        super().__init__(file_format="array_record", **options)

    def _info(self):
        label = tfds.features.ClassLabel(names=["zero", "one", "two"])
        features = {"image": tfds.features.Image(shape=self.shape), "label": label} if self.shape else {"label": label}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(labels) for name, labels in self.splits.items()}

    def _generate_examples(self, labels):
        for number, label in enumerate(labels):
            encoded = io.BytesIO()
            Image.new("L", self.size, 10 * number).convert(self.mode).save(encoded, "PNG")
            encoded.seek(0)
            yield number, {"image": encoded, "label": label} if self.shape else {"label": label}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tfds")
    splits = {"train": range(3), "test": [2, 1]}
    competition = {"train": range(3), "test": [-1, -1], "validation": [1]}
    Tiny("tiny", splits, data_dir=folder).download_and_prepare()
    Tiny("competition", competition, shape=(None, None, 3), data_dir=folder).download_and_prepare()
    Tiny("numbers", splits, shape=None, data_dir=folder).download_and_prepare()
    for config in ("large", "small"):
        made = tfds.core.BuilderConfig(name=config)
        Tiny("variants", splits, config=made, data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def prepared(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))


def test_photographs_are_recognised_by_one_example(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    form = {"splits": {"train": range(2)}, "shape": (None, None, 3), "data_dir": tmp_path}
    Tiny("album", size=(90, 60), mode="RGB", **form).download_and_prepare()
    Tiny("scans", size=(90, 60), **form).download_and_prepare()
    names = ("album", "album:train[:1],label=none", "scans", "nobodys", "digits:train[:9]")
    assert list(map(photo_size, names)) == [(90, 60), (90, 60), None, None, None]


def pairs(source):
    """Grey value / 10 and label of each example."""
    return sorted((int(source[n]["image"].mean()) // 10, int(source[n]["label"])) for n in range(len(source)))


def test_a_data_set_is_read_by_name():
    data = open_tfds("tiny")
    assert data.name == "tiny" and data.train.name == "tiny/1.2.0:train"
    assert data.train.classes == ("zero", "one", "two") and data.train.image_shape == (4, 4, 1)
    assert pairs(data.train) == [(0, 0), (1, 1), (2, 2)] and pairs(data.test) == [(0, 2), (1, 1)]
    assert data.train[0]["image"].dtype == np.uint8 and data.train[0]["label"].dtype == np.int32
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    "name, images",
    [
        ("tiny:train[:2]", 2), ("tiny:1.2.0", 3), ("tiny:1.2.0:train[67%:]", 1), ("tiny:1.*.*:train+test", 5),
        ("tiny:test", 2), ("variants/small", 3), ("variants/large:1.2.0:train[:1]", 1),
    ],
)  # fmt: skip
def test_versions_variants_and_splits_are_written_as_in_tfds(name, images):
    assert len(open_tfds(name).train) == images


def test_the_test_split_is_one_with_labels():
    data = open_tfds("competition", image_size=6)
    assert pairs(data.test) == [(0, 1)]
    assert data.train.image_shape == (6, 6, 3) and data.train[0]["image"].shape == (6, 6, 3)
    assert open_tfds("tiny:test").test is None


@pytest.mark.parametrize(
    "split, train, test, rest",
    [
        ("train", 3, 6, "tiny"), ("train+test", 9, None, ""), ("all", 9, None, ""),
        ("test[:50%]", 3, 3, "test[3:6]"), ("train[:1]+test[1:2]+test[-1:]", 3, 4, "test[0:1]+test[2:5]"),
        ("test[2:4]", 2, 4, "test[0:2]+test[4:6]"), ("test[1:]", 5, 1, "test[0:1]"),
        ("test", 6, None, ""), ("test[1:]+test[:1]", 6, None, ""),
    ],
)  # fmt: skip
def test_no_example_is_evaluated_on_that_was_trained_on(tmp_path, monkeypatch, capsys, split, train, test, rest):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    Tiny("parts", {"train": [0, 1, 2], "test": [0, 1, 2, 0, 1, 2]}, data_dir=tmp_path).download_and_prepare()
    data = open_tfds(f"parts:{split}")
    assert len(data.train) == train and (data.test and len(data.test)) == test
    if test and split != "train":
        assert data.test.name == f"parts/1.2.0:{rest}"
        assert not set(pairs(data.train)) & set(pairs(data.test)) or "train" in split
    err = capsys.readouterr().err
    left = {None: "none is", 1: "the other one is"}.get(test, f"the other {test} are")
    expected = (
        f"data: {6 - (test or 0)} of the 6 examples of parts/1.2.0:test are trained on: {left} left to evaluate with"
    )
    assert err.strip() == ("" if split == "train" else expected)


def test_examples_of_a_validation_split_are_held_out_too():
    for split, test in (("train", 1), ("validation", None), ("train+validation[:1]", None)):
        data = open_tfds(f"competition:{split}", image_size=4)
        assert (data.test and len(data.test)) == test


@pytest.mark.parametrize(
    "split, sentence",
    [
        ("train+train[:1]", "has 1 examples of train more than once: make its parts disjoint."),
        (
            "train[:2]+test+train[1:]+test",
            "has 1 examples of train and 2 examples of test more than once: make its parts",
        ),
        ("train[2:1]", "has a part train[2:1], which ends before it begins: swap the two bounds."),
        ("test+train[2:1]", "has a part train[2:1], which ends before it begins: swap the two bounds."),
    ],
)
def test_no_example_is_there_twice(split, sentence):
    """One of the two could be held out, and the other trained on."""
    with pytest.raises(UsageError) as refused:
        open_tfds(f"tiny:{split}")
    assert str(refused.value).startswith(f"data: the split {split!r} {sentence}")


def test_test_and_validation_splits_have_the_names_that_folders_have(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for splits, test in (
        (("train", "valid"), "valid"), (("train", "testing", "val"), "testing"), (("train", "training", "extra"), None),
    ):  # fmt: skip
        Tiny("_".join(splits), {name: [0, 1] for name in splits}, data_dir=tmp_path).download_and_prepare()
        found = open_tfds("_".join(splits)).test
        assert (found and found.name.split(":")[1]) == test


PREPARE = "`tfds build NAME --data_dir=ROOT --file_format=array_record` (only preparing needs tensorflow)"


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("tinny", "unknown data set 'tinny': choose digits, synthetic, a folder, or a tfds name."),
        ("cifar", "unknown data set 'cifar': did you mean 'cifar10'?"),
        ("digit", "unknown data set 'digit': did you mean 'digits'?"),
        ("no/folder", "data: no/folder is neither an existing folder nor a data set of tfds: name one of these."),
        (
            "tiny:",
            "data: 'tiny:' is not a name of a data set: write it like imagenet2012:train[:10%] or "
            "smallnorb:train,image=image2,label=label_azimuth.",
        ),
        (
            "cifar10",
            f"data: cifar10 is not prepared in ROOT: run `pip install tensorflow` and {PREPARE}, "
            "or set TFDS_DATA_DIR to its folder.".replace("NAME", "cifar10"),
        ),
        (
            "tiny:2.0.0",
            f"data: tiny:2.0.0 is not prepared in ROOT, only 1.2.0: run `pip install tensorflow` and {PREPARE}, "
            "or set TFDS_DATA_DIR to its folder.",
        ),
        (
            "tiny:val",
            "data: tiny/1.2.0 has no examples in a split 'val': choose from train (3), test (2), "
            "or parts of these such as train[:10%].",
        ),
        (
            "tiny:train[:0]",
            "data: tiny/1.2.0 has no examples in a split 'train[:0]': choose from train (3), test (2), "
            "or parts of these such as train[:10%].",
        ),
        (
            "tiny:train[",
            "data: tiny/1.2.0 has no examples in a split 'train[': choose from train (3), test (2), "
            "or parts of these such as train[:10%].",
        ),
        (
            "variants",
            "data: variants is prepared in several variants: choose one of variants/large, variants/small.",
        ),
        ("numbers", "data: numbers/1.2.0 holds no pictures but label: choose a data set of images."),
        (
            "competition",
            "image_size: none was given, but the images of competition/1.2.0 differ in size: "
            "give the size for all, such as 224.",
        ),
    ],
)
def test_what_is_wrong_with_a_name_is_said_in_a_sentence(name, sentence, data_dir):
    with pytest.raises(UsageError) as refused:
        open_tfds(name, own_names=("digits", "synthetic"))
    sentence = sentence.replace("NAME", name).replace("ROOT", str(data_dir))
    assert str(refused.value) == sentence


def test_files_that_cannot_be_read_at_random_are_refused_with_the_command_that_converts_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    Tiny("tiny", {"train": [0]}, data_dir=tmp_path).download_and_prepare()
    info = tmp_path / "tiny/1.2.0/dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    for file in info.parent.glob("*.array_record*"):
        file.rename(str(file).replace("array_record", "tfrecord"))
    with pytest.raises(UsageError) as refused:
        open_tfds("tiny")
    assert str(refused.value) == (
        "data: tiny/1.2.0 is stored as tfrecord, which cannot be read in random order: run `pip install tensorflow` "
        f"and `tfds convert_format --dataset_version_dir={info.parent} --out_file_format=array_record`."
    )


def records(folder):
    return next(folder.glob("*train*array_record*"))


def truncated(folder):
    records(folder).write_bytes(records(folder).read_bytes()[:70_000])


def other(folder):
    records(folder).write_bytes(next(folder.glob("*test*array_record*")).read_bytes())


def as_text(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda folder: records(folder).unlink(), r"train\S* cannot be read \(open\(\) failed: No such file"),
        (lambda folder: records(folder).write_bytes(b""), r"train\S* cannot be read \(.* at least 64KB big\): copy it again"),
        (lambda folder: records(folder).write_text("text" * 50_000), r"train\S* cannot be read \(Corrupted "),
        (truncated, r"train\S* cannot be read \(.*\): copy it again"),
        (other, r"train\S* cannot be read \(2 records instead of 3\): copy it again"),
        (as_text("dataset_info.json", "{"), r"description of tiny in .* cannot be read \(Failed to load JSON: .*\): copy it"),
        (as_text("dataset_info.json", "[]"), r"description of tiny in .* cannot be read \(.*\): copy it"),
        (as_text("features.json", "{"), r"description of tiny in .* cannot be read \(.*\): copy it"),
        (as_text("features.json", "{}"), r"description of tiny in .* cannot be read \(.*\): copy it"),
        (lambda folder: (folder / "dataset_info.json").unlink(), r"description of tiny in .* cannot be read \(.*\): copy it"),
    ],
)  # fmt: skip
def test_damaged_files_are_named_in_a_sentence(data_dir, tmp_path, monkeypatch, damage, reason):
    shutil.copytree(data_dir / "tiny", tmp_path / "tiny")
    damage(tmp_path / "tiny/1.2.0")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=reason) as refused:
        open_tfds("tiny")
    assert "\n" not in str(refused.value)


def test_a_damaged_record_is_skipped_and_counted(data_dir, tmp_path, monkeypatch, capsys):
    shutil.copytree(data_dir / "tiny", tmp_path / "tiny")
    file = records(tmp_path / "tiny/1.2.0")
    content = bytearray(file.read_bytes())
    place = content.rindex(b"IHDR")
    content[place] ^= 255
    file.write_bytes(content)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    source = open_tfds("tiny").train
    assert sum(len(part["label"]) for part in in_order(source, batch_size=2)) == 2
    assert len(source.unreadable) == 1 and "1 of 3 images so far" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"strict: image \d of tiny/1.2.0:train cannot be read \(Corrupted"):
        open_tfds("tiny", strict=True)


def test_the_embedded_digits_take_a_split(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert [len(open_data(f"digits:{split}").train) for split in ("train[:10%]", "1.0.0", "1.*.*:train[:7]")] == [
        400,
        4000,
        7,
    ]
    assert len(open_data("digits:train+test[:300]").test) == 700
    for name, sentence in {
        "digits:2.0.0": r"data: digits is prepared in version 1.0.0 only, got 2.0.0",
        "digits:valid": r"data: digits/1.0.0 has no examples in a split 'valid': choose from train \(4000\), test \(1000\)",
        "emblems:train": r"data: emblems has no splits or keys to choose from, got 'emblems:train': name it emblems\.",
        "synthetic,label=a": r"data: synthetic has no splits or keys to choose from",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            open_data(name)
