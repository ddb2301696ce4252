"""Files of TFRecord and ArrayRecord with a `tf.train.Example` in each record, without TensorFlow.

The image is `image/encoded`, `image`, or
the one that is named; the label `image/class/label`, `label`, or the one that is named, an integer or a text.

Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord (records), tensorflow/core/example/example.proto, and
https://protobuf.dev/programming-guides/encoding (wire format).
"""

import functools
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from numpy.typing import NDArray

from ssl_jax.data.pixels.formats import LARGEST_FILE
from ssl_jax.data.places import NO_LABEL
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.stored.labelling import numbered
from ssl_jax.errors import UsageError, reason_of
from ssl_jax.files import check_regular, open_regular, printable

IMAGES, LABELS = ("image/encoded", "image"), ("image/class/label", "label")
LARGEST = 2**46
BYTES, INTEGERS = 1, 3  # Fields of a feature.
FRAME = 16  # Bytes of a record beside its content: length, checksum of the length, checksum of the content.
MOST_FEATURES = 10_000
Features = dict[str, Any]


class Stored(Protocol):
    """A file of records."""

    path: Path

    def __len__(self) -> int: ...

    def record(self, number: int) -> bytes: ...


class TfRecord:
    """A TFRecord file; its lengths are read once, with their checksums."""

    def __init__(self, path: Path):
        self.path = path
        with open_regular(path, at_most=LARGEST) as file:
            self._places = np.fromiter(_frames(file), np.dtype((np.int64, 2)))

    def __len__(self) -> int:
        return len(self._places)

    def record(self, number: int) -> bytes:
        start, size = self._places[number].tolist()
        if size > LARGEST_FILE:
            raise Unreadable(f"{size} bytes, more than {LARGEST_FILE}")
        with open_regular(self.path, at_most=LARGEST) as file:
            return os.pread(file.fileno(), size, start)


def _frames(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where the content of each record begins, and its length."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        file.seek(at)
        start = file.read(12)
        length, checksum = struct.unpack("<QI", start) if len(start) == 12 else (size, 0)
        if checksum != masked_crc(start[:8]) or at + FRAME + length > size:
            raise ValueError(f"its record at byte {at} is damaged")
        yield at + 12, length
        at += FRAME + length


class ArrayRecords:
    """An ArrayRecord file."""

    def __init__(self, path: Path):
        self.path = path
        self._size = self._reader.num_records()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_reader"}

    @functools.cached_property
    def _reader(self) -> Any:
        check_regular(self.path)
        reader = ArrayRecordReader(str(self.path), options="readahead_buffer_size:0", file_reader_buffer_size=32768)
        if not reader.ok():
            reader.close()  # Raises the error of a damaged file.
            raise ValueError("it is damaged")
        return reader

    def __len__(self) -> int:
        return self._size

    def record(self, number: int) -> bytes:
        return self._reader.read([number])[0]


def masked_crc(content: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _crc_table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


def features_of(record: bytes) -> Features:
    """The first value of each feature of a `tf.train.Example`, bytes or an integer; None for an empty one, or other kinds.

    Raises:
      Unreadable: it is none, or has more than 10,000 features.
    """
    found: Features = {}
    try:
        for number, features in _fields(memoryview(record)):
            for tag, entry in _fields(features) if number == 1 else ():
                if tag == 1:
                    parts = dict(_fields(entry))
                    found[bytes(parts[1]).decode()] = next(_values(parts.get(2, memoryview(b""))), None)
                if len(found) > MOST_FEATURES:
                    raise ValueError("too many features")
    except (KeyError, TypeError, ValueError, IndexError) as fault:
        raise Unreadable("no tf.train.Example") from fault
    return found


def _values(feature: memoryview) -> Iterator[Any]:
    for kind, values in _fields(feature):
        for _, value in _fields(values) if kind in (BYTES, INTEGERS) else ():
            if kind == BYTES:
                yield bytes(value)
            else:
                yield _signed(value if isinstance(value, int) else _varint(value, 0)[0])  # The latter are packed.


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a message: integers, and the bytes of what has a length; others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
        elif kind == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field ends beyond its message")
            yield number, message[at : at + size]
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise ValueError("an integer of more than 64 bits")


def _signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >> 63 else value


class Records:
    """The images of several files as records for `ssl_jax.data.pixels.images.DecodedSource`."""

    def __init__(
        self, files: list[Stored], *, name: str, image: str, labels: NDArray[np.int32], classes: tuple[str, ...]
    ):
        self.name, self.labels, self.classes = name, labels, classes
        self._files, self._image = files, image
        self._starts = np.cumsum([0, *map(len, files)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        file, record = self._at(number)
        encoded = features_of(read_record(file, record)).get(self._image)
        if not isinstance(encoded, bytes):
            raise Unreadable(f"no bytes in {self._image}")
        return encoded, int(self.labels[number])

    def where(self, number: int) -> str:
        file, record = self._at(number)
        return f"record {record} of {printable(str(file.path))}"

    def _at(self, number: int) -> tuple[Stored, int]:
        which = int(np.searchsorted(self._starts, number, "right")) - 1
        return self._files[which], number - int(self._starts[which])


def read_record(file: Stored, number: int) -> bytes:
    """A record; `Unreadable` where it is damaged."""
    try:
        return file.record(number)
    except (Unreadable, MemoryError):
        raise
    except Exception as fault:  # Of array_record, which raises many types on damaged bytes.
        if "Too many open files" in str(fault):  # A fault of the computer, not of the file.
            raise
        raise Unreadable(reason_of(fault).split(";")[0]) from fault


def open_records(
    parts: Mapping[str, list[Path]], *, name: str, array: bool, image: str | None, label: str | None
) -> dict[str, Records]:
    """The images of each part. Arguments are those of `ssl_jax.data.stored.stores.open_stored`.

    Raises:
      UsageError: damaged, not of `tf.train.Example`, or without the features of images and labels.
    """
    files = {part: [_opened(path, array) for path in paths] for part, paths in parts.items()}
    first = _first(files, name)
    image = _chosen(first, IMAGES, image, name, "image")
    key = None if label == NO_LABEL else _chosen(first, LABELS, label, name, "label", needed=label is not None)
    if key and sum(len(file) for group in files.values() for file in group) > 20_000:  # Takes some seconds.
        print(f"data: reading all records of {name} for their labels", file=sys.stderr)
    values = {
        part: [_label(file, number, key) for file in group for number in range(len(file))]
        for part, group in files.items()
    }
    labelled = numbered(values, name=name)
    return {
        part: Records(group, name=f"{name}:{part}", image=image, labels=labelled.labels[part], classes=labelled.classes)
        for part, group in files.items()
    }


def _opened(path: Path, array: bool) -> Stored:
    try:
        return ArrayRecords(path) if array else TfRecord(path)
    except (OSError, ValueError, RuntimeError) as fault:
        raise UsageError(
            f"data: {printable(str(path))} cannot be read ({reason_of(fault).split(';')[0]}): copy it again, or remove it."
        ) from fault


def _first(files: Mapping[str, list[Stored]], name: str) -> Features:
    """The features of the first example that can be read."""
    for file in next(iter(files.values())):
        for number in range(min(len(file), 100)):
            try:
                if found := features_of(read_record(file, number)):
                    return found
            except Unreadable:  # Reported when it is read as an example.
                pass
    raise UsageError(
        f"data: {name} has no record that is a tf.train.Example: expected image/encoded and image/class/label in each."
    )


def _chosen(
    first: Features, usual: tuple[str, ...], named: str | None, name: str, what: str, *, needed: bool = True
) -> Any:
    found = named if named in first else None if named else next((key for key in usual if key in first), None)
    if found is None and needed:
        held = ", ".join(map(printable, sorted(first))) or "nothing"
        raise UsageError(
            f"data: the examples of {name} have no {what} in {named or ' or '.join(usual)} but {held}: add ,{what}=KEY "
            "to its name."
        )
    return found


def _label(file: Stored, number: int, key: str | None) -> int | str | None:
    if key is None:
        return None
    try:
        value = features_of(read_record(file, number)).get(key)
    except Unreadable:  # Reported when it is read as an example.
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
