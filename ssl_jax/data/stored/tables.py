"""Tables of encoded images: Parquet and Arrow, as the `datasets` library and the Hugging Face hub write them.

An image is bytes, or a struct `{bytes, path}`, whose paths are never followed. Classes are named by the "huggingface"
metadata of the schema. Files are memory-mapped, or read a row group at a time; the last row groups read, at most 512 MiB,
are kept. Nothing is unpickled, and no code comes from a file.
"""

import functools
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ssl_jax.data.pixels.formats import LARGEST_FILE
from ssl_jax.data.skipping import Unreadable
from ssl_jax.errors import UsageError, reason_of
from ssl_jax.files import check_regular, printable

KEPT = 2**29  # Bytes of row groups that a process keeps.
LARGEST_GROUP = 2**30  # Bytes of images in a row group.
STEP = 2**28  # Bytes that one step of reading may take at most.
_kept: "OrderedDict[tuple[str, int, str], pa.ChunkedArray | None]" = OrderedDict()  # None for those that are too large.
_reading = threading.RLock()  # In the module, since sources are sent to worker processes, and locks cannot be.


class Table(Protocol):
    """A file of rows."""

    path: Path

    @property
    def schema(self) -> pa.Schema: ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of labels, whole; texts may be a dictionary and indices."""

    def image(self, column: str, row: int) -> bytes | None:
        """The encoded image in a row."""


def open_table(path: Path, *, arrow: bool) -> Table:
    """A file of Parquet or Arrow; a `UsageError` where it is damaged."""
    try:
        table: Table = Arrow(path) if arrow else Parquet(path)
        if len(set(table.schema.names)) < len(table.schema.names):
            raise ValueError("it has two columns of one name")
    except (pa.ArrowException, OSError, ValueError) as fault:
        raise UsageError(
            f"data: {printable(str(path))} cannot be read ({reason_of(fault)}): copy it again, or remove it."
        ) from fault
    return table


class Parquet:
    """A Parquet file. Row groups are read whole, since their pages cannot be addressed."""

    def __init__(self, path: Path):
        self.path = path
        with _parquet(path) as about:
            self.schema, metadata = about.schema_arrow, about.metadata
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        if min(sizes, default=0) < 0 or sum(sizes) > path.stat().st_size:
            raise ValueError(f"it claims {sum(sizes)} rows in {path.stat().st_size} bytes")
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> pa.ChunkedArray:
        # A text that is stored once may stand in all rows.
        once = [] if pa.types.is_integer(self.schema.field(name).type) else [name]
        with _parquet(self.path, read_dictionary=once) as file:
            return file.read(columns=[name]).column(0)

    def image(self, column: str, row: int) -> bytes | None:
        group = int(np.searchsorted(self._starts, row, "right")) - 1
        return _bytes(_group(self.path, group, column)[row - int(self._starts[group])].as_py())


def _parquet(path: Path, **options: Any) -> pq.ParquetFile:
    check_regular(path)
    return pq.ParquetFile(path, **options)


def _group(path: Path, group: int, column: str) -> pa.ChunkedArray:
    """The images of a row group, kept for the next ones of it."""
    key = str(path), group, column
    with _reading:
        if key in _kept:
            _kept.move_to_end(key)
        else:
            _kept[key] = _read_group(path, group, column)
            while len(_kept) > 1 and sum(each.nbytes for each in _kept.values() if each) > KEPT:
                _kept.popitem(last=False)
        if (found := _kept[key]) is None:
            raise Unreadable(f"a row group of more than {LARGEST_GROUP} bytes: write it again in smaller ones")
        return found


def _read_group(path: Path, group: int, column: str) -> pa.ChunkedArray | None:
    """The images of a row group; None where they take too much memory."""
    chunks, size = [], 0
    with _parquet(path) as file:
        about = file.metadata.row_group(group)
        claimed = max(about.column(each).total_uncompressed_size for each in range(about.num_columns))
        # A value that is stored once may stand in all rows: rows that together cannot take too much are read at once.
        rows = max(1, min(64, STEP // max(1, claimed)))
        leaf = f"{column}.bytes" if pa.types.is_struct(file.schema_arrow.field(column).type) else column
        for batch in file.iter_batches(rows, row_groups=[group], columns=[leaf]):
            chunks.append(batch.column(0))
            size += chunks[-1].nbytes
            if size > LARGEST_GROUP:
                return None
    return pa.chunked_array(chunks)


class Arrow:
    """A file of Arrow's stream or file format, memory-mapped."""

    def __init__(self, path: Path):
        self.path = path
        self.schema = self._opened[0]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._opened[1])])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_opened"}

    @functools.cached_property
    def _opened(self) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        check_regular(self.path)
        file = pa.memory_map(str(self.path))
        if file.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(file)
            return reader.schema, [reader.get_batch(number) for number in range(reader.num_record_batches)]
        file.seek(0)
        stream = pa.ipc.open_stream(file)
        return stream.schema, list(stream)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> pa.ChunkedArray:
        chunks = [batch.column(name) for batch in self._opened[1]]
        for chunk in chunks:
            chunk.validate(full=True)
        return pa.chunked_array(chunks, self.schema.field(name).type)

    @functools.cached_property
    def _checked(self) -> set[tuple[str, int]]:
        return set()

    def image(self, column: str, row: int) -> bytes | None:
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        values = self._opened[1][number].column(column)
        if (column, number) not in self._checked:  # Offsets beyond the file would end the process.
            values.validate(full=True)
            self._checked.add((column, number))
        return _bytes(values[row - int(self._starts[number])].as_py())


def _bytes(value: Any) -> bytes | None:
    return value.get("bytes") if isinstance(value, dict) else value


class Rows:
    """The images of several tables as records for `ssl_jax.data.pixels.images.DecodedSource`."""

    def __init__(
        self, tables: list[Table], *, name: str, column: str, labels: NDArray[np.int32], classes: tuple[str, ...]
    ):
        self.name, self.labels, self.classes = name, labels, classes
        self._tables, self._column = tables, column
        self._starts = np.cumsum([0, *map(len, tables)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        table, row = self._at(number)
        try:
            encoded = table.image(self._column, row)
        except (pa.ArrowException, OSError, IndexError, ValueError) as fault:
            if isinstance(fault, MemoryError):
                raise
            raise Unreadable(reason_of(fault)) from fault
        if not encoded:
            raise Unreadable("no bytes of an image")
        if len(encoded) > LARGEST_FILE:
            raise Unreadable(f"{len(encoded)} bytes, more than {LARGEST_FILE}")
        return encoded, int(self.labels[number])

    def where(self, number: int) -> str:
        table, row = self._at(number)
        return f"row {row} of {printable(str(table.path))}"

    def _at(self, number: int) -> tuple[Table, int]:
        which = int(np.searchsorted(self._starts, number, "right")) - 1
        return self._tables[which], number - int(self._starts[which])
