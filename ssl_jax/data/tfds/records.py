"""The examples of a prepared tfds data set by index, with checks of their files."""

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from numpy.typing import NDArray

from ssl_jax.data.skipping import Unreadable
from ssl_jax.errors import UsageError

AT_HAND = 10_000  # Number of examples whose labels are read in about a second, to stratify parts by class.
MOST_CLASSES = 100_000


class Examples:
    """A split of a tfds data set by index; unreadable examples raise `Unreadable`.

    label: the feature that is the label; None where there is none.
    """

    def __init__(self, examples: Any, *, name: str, label: str | None):
        self.name = name
        self._examples, self._label = examples, label

    def __len__(self) -> int:
        return len(self._examples)

    def example(self, number: int) -> tuple[dict[str, Any], int]:
        """The stored features of an example, and its label; -1 where there is none."""
        try:
            example = self._examples[number]
        except MemoryError:
            raise
        except Exception as fault:  # Of array_record and protobuf, which raise many types on damaged bytes.
            if "Too many open files" in str(fault):  # A fault of the computer, not of the file.
                raise
            raise Unreadable(str(fault).split(";")[0] or type(fault).__name__) from fault
        return example, int(example[self._label]) if self._label else -1

    @functools.cached_property
    def labels(self) -> NDArray[np.int32] | None:
        """All labels, where reading them takes at most a second; else None."""
        return self.labels_at(np.arange(len(self))).astype(np.int32) if len(self) <= AT_HAND else None

    def labels_at(self, indices: NDArray[np.intp]) -> NDArray[np.int64]:
        """Labels of these examples, -1 for those that cannot be read."""

        def label(number: int) -> int:
            try:
                return self.example(number)[1] if self._label else -1
            except Unreadable:  # Reported when it is read as an example.
                return -1

        return np.array([label(number) for number in indices.tolist()], np.int64)


class Pictures:
    """Encoded images with their labels, as records for `ssl_jax.data.pixels.images.DecodedSource`; `image` is their feature."""

    def __init__(self, examples: Examples, *, image: str):
        self._examples, self._image = examples, image

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        example, label = self._examples.example(number)
        return example[self._image], label

    @property
    def labels(self) -> NDArray[np.int32] | None:
        return self._examples.labels

    def where(self, number: int) -> str:
        return f"image {number} of {self._examples.name}"


def count_classes(parts: list[Examples]) -> tuple[str, ...]:
    """The classes of labels that are plain integers: "0" to the largest in any of these parts; none where all are -1.

    Raises:
      UsageError: labels below -1, or of 100,000 or more.
    """
    count = sum(map(len, parts))
    if count > 20_000:  # Takes some seconds.
        print(f"data: reading {count} labels of {parts[0].name} to count the classes", file=sys.stderr)
    labels = np.concatenate([part.labels_at(np.arange(len(part))) for part in parts])
    if labels.min() < -1 or labels.max() >= MOST_CLASSES:
        raise UsageError(
            f"data: the labels of {parts[0].name} are in {labels.min()} ... {labels.max()}, expected 0 to "
            f"{MOST_CLASSES - 1}, or -1 for none: add ,label=none to its name to train without labels."
        )
    return tuple(str(label) for label in range(labels.max() + 1))


def stored(builder: tfds.core.DatasetBuilder, split: str, decoders: Any = None) -> Any:
    """The stored examples of a split, by index.

    Raises:
      UsageError: no such split, or files that are missing, damaged or cannot be read in random order.
    """
    info = builder.info
    try:
        examples = builder.as_data_source(split, decoders=decoders)
        files = info.splits[split].file_instructions
    except NotImplementedError as fault:
        raise UsageError(
            f"data: {info.full_name} is stored as {info.file_format.value}, which cannot be read in random order: run "
            f"`pip install tensorflow` and `tfds convert_format --dataset_version_dir={builder.data_path} "
            "--out_file_format=array_record`."
        ) from fault
    except ValueError as fault:
        splits = ", ".join(f"{name} ({part.num_examples})" for name, part in info.splits.items())
        raise UsageError(
            f"data: {info.full_name} has no examples in a split {split!r}: choose from {splits}, "
            "or parts of these such as train[:10%]."
        ) from fault
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(_check_file, files):
            pass  # Raises the exceptions of the threads.
    return examples


def _check_file(part: Any) -> None:
    """Whether the file of a tfds `FileInstruction` exists and has its records; these are checked when they are read."""
    try:
        reader = ArrayRecordReader(str(part.filename), options="readahead_buffer_size:0", file_reader_buffer_size=32768)
        count = reader.num_records() if reader.ok() else 0
        reader.close()  # Raises the error of a damaged file.
        if count < part.skip + part.take:
            raise RuntimeError(f"{count} records instead of {part.examples_in_shard}")
    except RuntimeError as fault:
        raise UsageError(
            f"data: {part.filename} cannot be read ({str(fault).split(';')[0]}): copy it again, or prepare it again with "
            "`tfds build --overwrite`."
        ) from fault
