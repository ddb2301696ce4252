"""`ssl-jax data prepare`: size and licence first, and what the data sets become."""

import io
import tarfile
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.cli import main
from ssl_jax.data import open_data
from ssl_jax.data.preparation import tfds as preparation
from ssl_jax.data.preparation.cifar import CLASSES, FOLDER, read_archive
from ssl_jax.errors import RunError, UsageError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 10, 32, 32, 3)).astype(np.uint8)


def archive(path, *, folder=FOLDER, names=None, change=lambda content: content):
    names = names or [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    with tarfile.open(path, "w:gz") as made:
        for name, images in zip(names, IMAGES, strict=False):
            records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in enumerate(images)]
            content = change(b"".join(records))
            about = tarfile.TarInfo(folder + name)
            about.size = len(content)
            made.addfile(about, io.BytesIO(content))
    return path


def test_cifar10_is_read_from_its_archive(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    file = archive(tmp_path / "cifar-10-binary.tar.gz")
    assert main(["data", "prepare", "cifar10", "--archive", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path}/data/cifar10/3.0.2\n"
    assert "50 images for train and 10 images for test" in err and "no licence is stated" in err
    data = open_data("cifar10")
    assert data.classes == CLASSES and (len(data.train), len(data.test)) == (50, 10)
    for part, images in ((data.train, IMAGES[:5].reshape(50, 32, 32, 3)), (data.test, IMAGES[5])):
        found = sorted((int(part[number]["label"]), part[number]["image"].tobytes()) for number in range(len(part)))
        assert found == sorted((number % 10, image.tobytes()) for number, image in enumerate(images))
    assert main(["data", "prepare", "cifar10", "--archive", str(file)]) == 0
    assert "is there already" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["cifar10"]


@pytest.mark.parametrize(
    "options, fault, sentence",
    [
        (
            {"folder": "cifar-10-batches-py/", "names": ["data_batch_1"]},
            UsageError,
            "pickles could run code: give the binary version",
        ),
        ({"names": ["data_batch_1.bin"]}, UsageError, "has no cifar-10-batches-bin/data_batch_2.bin"),
        ({"folder": "../../"}, UsageError, "has no cifar-10-batches-bin/data_batch_1.bin"),
        ({"change": lambda content: content[:-1]}, UsageError, "expected a multiple of 3073"),
        ({"change": lambda content: b""}, UsageError, "has 0 bytes"),
        ({"change": lambda content: b"\x0b" + content[1:]}, UsageError, "has a label 11, expected 0 to 9"),
        (
            {"change": lambda content: content * 1001, "names": ["data_batch_1.bin"]},
            RunError,
            "expected at most 30,730,000",
        ),
    ],
)
def test_other_archives_are_refused(tmp_path, options, fault, sentence):
    with pytest.raises(fault, match=sentence):
        read_archive(archive(tmp_path / "x.tar.gz", **options))


def test_archives_that_are_cut_or_missing_are_refused(tmp_path):
    file = archive(tmp_path / "x.tar.gz")
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(RunError, match="is damaged"):
        read_archive(file)
    with pytest.raises(UsageError, match="is no file: download"):
        read_archive(tmp_path / "nothing.tar.gz")


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("fashion-mnist", "apt-get install dataset-fashion-mnist"),
        ("cifar10", "download cifar-10-binary.tar.gz (170 MB, no licence is stated)"),
        ("emojo", "unknown data set to prepare 'emojo': did you mean 'emoji'?"),
        ("emoji --archive x", "archive: only cifar10 is read from an archive"),
        ("cifar10 --packages x", "packages: only emoji is made of packages"),
        ("tfds:", "unknown data set to prepare 'tfds:'"),
        ("tfds:nothing_of_this_name --yes", "data: tfds has no data set 'nothing_of_this_name'"),
    ],
)
def test_what_cannot_be_prepared_is_said_in_a_sentence(words, sentence, capsys):
    assert main(["data", "prepare", *words.split()]) == 2
    assert sentence in capsys.readouterr().err


with tfds.core.registered.skip_registration():

    class Dots(tfds.core.GeneratorBasedBuilder):
        """Stands in for a builder of tfds, whose files would come from the network."""

        name = "dots"
        VERSION = tfds.core.Version("1.0.0")
        fault: Exception | None = None
        url_infos: ClassVar = {
            "https://example.org/dots.zip": tfds.download.checksums.UrlInfo(
                size=2_500_000, checksum="", filename="dots.zip"
            )
        }

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(4, 4, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), license="CC0", homepage="https://example.org/\x1b[31m",
                citation="@article{dots,\n  title = {Dots},\n}",
            )  # fmt: skip

        def _split_generators(self, dl_manager):
            if self.fault:
                raise self.fault
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(6):
                encoded = io.BytesIO()
                Image.new("RGB", (4, 4), (number, 0, 0)).save(encoded, "PNG")
                encoded.seek(0)
                yield number, {"image": encoded, "label": number % 2}


@pytest.fixture
def dots(monkeypatch):
    monkeypatch.setattr(preparation.tfds, "builder", lambda name, **options: Dots(**options))
    tfds.disable_progress_bar()


def test_a_data_set_of_tfds_is_described_then_accepted_then_prepared(dots, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert main(["data", "prepare", "tfds:dots"]) == 2  # No terminal can be asked.
    err = capsys.readouterr().err
    assert err.startswith(
        "data: dots/1.0.0: 2.5 MB to download\ndata: licence: CC0\ndata: homepage: https://example.org/\\x1b[31m\n"
    )
    assert "cite: title = {Dots}" in err and "repeat the command with --yes" in err and not list(tmp_path.iterdir())
    assert main(["data", "prepare", "tfds:dots", "--yes"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/dots/1.0.0\n"
    assert len(open_data("dots:train").train) == 6
    assert len(open_data(str(tmp_path / "dots/1.0.0")).train) == 6  # The folder itself, too.
    assert main(["data", "prepare", "tfds:dots"]) == 0 and "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault, code, sentence",
    [
        (
            ModuleNotFoundError("No module named 'tensorflow'"),
            2,
            "needs a package (No module named 'tensorflow'): run `pip install",
        ),
        (ConnectionError("no route"), 1, "cannot be prepared (no route): check the network and proxy"),
    ],
)
def test_what_fails_is_said_in_a_sentence(dots, tmp_path, monkeypatch, capsys, fault, code, sentence):
    monkeypatch.setattr(Dots, "fault", fault)
    assert main(["data", "prepare", "tfds:dots", "--yes", "--folder", str(tmp_path)]) == code
    assert sentence in capsys.readouterr().err
