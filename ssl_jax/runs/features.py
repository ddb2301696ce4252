"""Archives of arrays in the folder of a run: pictures, and the features that evaluations keep, `features/NAME.npz`.

Nothing is unpickled.
"""

import contextlib
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_jax.files import open_regular, replacing

FEATURES = "features"
MOST_FEATURES = 2**30  # Bytes of all kept features of a run.
ENTRY = re.compile(r"[0-9a-f]{32}\.npz")


def read_arrays(path: Path, *, at_most: int) -> dict[str, NDArray[Any]] | None:
    """The arrays of an .npz file by name; None where it is missing or damaged, or holds more than `at_most` bytes."""
    try:
        with open_regular(path, at_most=at_most) as file, np.load(file, allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > at_most:  # Before they are inflated.
                return None
            return {name: archive[name] for name in archive.files}
    except Exception:  # numpy and zipfile raise many types for a damaged file.
        return None


def feature_file(run: Path, name: str) -> Path:
    """The file of the features with this name, 32 hexadecimal digits."""
    return run / FEATURES / f"{name}.npz"


def feature_files(run: Path) -> list[Path]:
    """All of them, the one that was not used for the longest time first; other files in the folder are left alone."""
    found = []
    for path in (run / FEATURES).glob("*.npz"):
        with contextlib.suppress(OSError):  # Another process may have removed it.
            if ENTRY.fullmatch(path.name):
                found.append((path.lstat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def read_features(path: Path, *, note: bool = True) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file of features; None where it is damaged, or another one by its "name".

    note: whether the file's time says that it was used now.
    """
    arrays = read_arrays(path, at_most=MOST_FEATURES)
    if arrays is None or str(arrays.pop("name", None)) != path.stem:
        return None
    if note:
        with contextlib.suppress(OSError):  # In a folder that cannot be written.
            os.utime(path)
    return arrays


def write_features(path: Path, arrays: Mapping[str, NDArray[Any]], *, used: Collection[Path]) -> bool:
    """Writes features atomically, and removes others, those first that were not used for long; False where there is no room.

    Args:
      used: files that stay: those that the same command has used, so that large ones do not displace each other.

    Raises:
      OSError: of the operating system.
    """
    path.parent.mkdir(exist_ok=True)
    others = {other: other.lstat().st_size for other in feature_files(path.parent.parent) if other != path}
    needed = sum(array.nbytes for array in arrays.values()) + sum(others.values()) - MOST_FEATURES
    removed = []
    for other, size in others.items():
        if needed > 0 and other not in used:
            removed.append(other)
            needed -= size
    if needed > 0:
        return False
    for other in removed:
        other.unlink(missing_ok=True)
    with replacing(path) as draft:
        np.savez(draft, name=np.array(path.stem), **arrays)  # type: ignore[arg-type]
    return True
