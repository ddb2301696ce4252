"""CIFAR-10 from its own archive, the binary version, as tfds names and stores it: `--data cifar10` then opens it.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version": records of a label and 32 x 32 pixels of red, green,
blue.
"""

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.packages import members
from ssl_jax.data.tfds.names import data_folder
from ssl_jax.errors import UsageError, writing

NAME, VERSION = "cifar10", "3.0.2"
ARCHIVE, WITH_PICKLES = "cifar-10-binary.tar.gz", "cifar-10-batches-py/"
FOLDER = "cifar-10-batches-bin/"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD, SHAPE = 1 + 3 * 32 * 32, (3, 32, 32)
LARGEST = 10_000 * RECORD  # Bytes of a file of the archive.
PARTS = {"train": [f"{FOLDER}data_batch_{number}.bin" for number in range(1, 6)], "test": [f"{FOLDER}test_batch.bin"]}


# tfds has a builder of this name, which reads the archive with TensorFlow.
with tfds.core.registered.skip_registration():

    class Cifar10(tfds.core.GeneratorBasedBuilder):
        """The builder. Images come as encoded PNG, because tfds encodes arrays with TensorFlow."""

        name = NAME
        VERSION = tfds.core.Version(VERSION)

        def __init__(self, parts: Mapping[str, NDArray[np.uint8]], **builder_arguments: Any):
            self._parts = parts
            super().__init__(file_format="array_record", **builder_arguments)

        def _info(self) -> tfds.core.DatasetInfo:
            features = {
                "id": tfds.features.Text(),
                "image": tfds.features.Image(shape=(32, 32, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=list(CLASSES)),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description="CIFAR-10, from its binary version.",
                homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
            return {part: self._generate_examples(part) for part in self._parts}

        def _generate_examples(self, part: str) -> Iterator[tuple[str, dict[str, Any]]]:
            for number, record in enumerate(self._parts[part]):
                encoded, key = io.BytesIO(), f"{part}_{number:05}"
                Image.fromarray(np.ascontiguousarray(record[1:].reshape(SHAPE).transpose(1, 2, 0))).save(encoded, "PNG")
                encoded.seek(0)
                yield key, {"id": key, "image": encoded, "label": int(record[0])}


def prepare_cifar10(archive: Path, folder: Path | None = None) -> Path:
    """Makes the data set of the archive; an existing one is kept. Nothing is at its place until it is whole.

    Args:
      archive: cifar-10-binary.tar.gz. The version for Python has pickles, which could run code, and is refused.
      folder: folder of data sets; that of TFDS_DATA_DIR, else `~/tensorflow_datasets`, when not given.

    Returns:
      The folder of the data set.

    Raises:
      UsageError: no such archive, the wrong one, or a folder that cannot be written.
      RunError: a damaged archive.
    """
    data_dir = folder or data_folder()
    place = data_dir / NAME / VERSION
    if (place / "features.json").exists():
        _say(f"{place} is there already: remove it to prepare it again")
        return place
    parts = read_archive(archive)
    counts = " and ".join(f"{len(records):,} images for {part}" for part, records in parts.items())
    _say(
        f"cifar10: {counts}, of {archive}; no licence is stated, cite Krizhevsky 2009, Learning Multiple Layers of Features"
    )
    tfds.disable_progress_bar()
    with writing("folder", data_dir, "free disk space, or give another --folder"):
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cifar10-", dir=data_dir) as draft:
            builder = Cifar10(parts, data_dir=draft)
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare(download_dir=Path(draft) / "nothing")
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            Path(builder.data_path).replace(place)
    _say(f"{place} is ready: `ssl-jax pretrain simclr --recipe cifar` trains on it")
    return place


def read_archive(archive: Path) -> dict[str, NDArray[np.uint8]]:
    """The records of each part, `[N, 3073]`: label, then red, green and blue. Raises as `prepare_cifar10`."""
    if not archive.is_file():
        raise UsageError(
            f"archive: {archive} is no file: download {ARCHIVE} from https://www.cs.toronto.edu/~kriz/cifar.html, and name it."
        )
    if not archive.name.endswith((".tar.gz", ".tgz")):
        raise UsageError(f"archive: got {archive.name}, expected {ARCHIVE}.")
    found = {}
    for name, content in members(archive, prefix="cifar-10-batches-", largest=LARGEST):
        if name.startswith(WITH_PICKLES):
            raise UsageError(
                f"archive: {archive} is the version for Python, whose pickles could run code: give the binary version, "
                f"{ARCHIVE}."
            )
        found[name] = content
    missing = [name for names in PARTS.values() for name in names if name not in found]
    if missing:
        raise UsageError(f"archive: {archive} has no {missing[0]}: give {ARCHIVE} as its authors made it.")
    return {part: np.concatenate([_records(found[name], name) for name in names]) for part, names in PARTS.items()}


def _records(content: bytes, name: str) -> NDArray[np.uint8]:
    if not content or len(content) % RECORD:
        raise UsageError(
            f"archive: {name} has {len(content)} bytes, expected a multiple of {RECORD}: download it again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise UsageError(f"archive: {name} has a label {records[:, 0].max()}, expected 0 to 9: download it again.")
    return records


def _say(text: str) -> None:
    print(f"data: {text}", file=sys.stderr, flush=True)
