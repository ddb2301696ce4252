"""Files of features: parquet, csv and npy.

N: images; D: size of a feature.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

ROWS = 8192  # Written at once: an Arrow list has at most 2**31 values.


class FeatureTable(NamedTuple):
    """names, splits, labels: text, N each; features: float32 `[N, D]`."""

    names: list[str]
    splits: list[str]
    labels: list[str]
    features: NDArray[np.float32]


def write_parquet(path: Path, table: FeatureTable) -> None:
    """Columns path, split and label, text, and embedding, a list of D floats of 32 bits."""
    text = [(name, pyarrow.string()) for name in ("path", "split", "label")]
    schema = pyarrow.schema([*text, ("embedding", pyarrow.list_(pyarrow.float32()))])
    width = table.features.shape[1]
    with pyarrow.parquet.ParquetWriter(path, schema, use_dictionary=["split", "label"]) as writer:
        for first in range(0, len(table.names), ROWS):
            rows = slice(first, first + ROWS)
            features = table.features[rows]
            ends = np.arange(len(features) + 1, dtype=np.int32) * width
            lists = pyarrow.ListArray.from_arrays(ends, pyarrow.array(features.reshape(-1)))
            columns = [table.names[rows], table.splits[rows], table.labels[rows], lists]
            writer.write_table(pyarrow.table(columns, schema=schema))


def write_csv(path: Path, table: FeatureTable) -> None:
    """Columns path, split, label, and e0 to e(D-1); numbers with as many digits as tell their float32 from all others."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "split", "label", *(f"e{number}" for number in range(table.features.shape[1]))])
        for *words, row in zip(*table, strict=True):
            writer.writerow([*words, *map(str, row)])


def write_npy(path: Path, table: FeatureTable) -> None:
    """The features alone."""
    np.save(path, table.features)


WRITERS: dict[str, Callable[[Path, FeatureTable], None]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".npy": write_npy,
}
