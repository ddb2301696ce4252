"""What a folder or a file holds: images as files, or tables, archives and records of images.

A folder with image files is one of images. Other files are recognised by their first bytes, and by their names only where those
say nothing: Parquet, Arrow, tar, TFRecord and ArrayRecord.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ssl_jax.data.folders.folder_parts import part_of
from ssl_jax.data.folders.scan import ARRAY, listed
from ssl_jax.data.pixels.formats import suffixes
from ssl_jax.errors import UsageError
from ssl_jax.files import open_regular, printable

PARQUET, ARROW, TAR, TFRECORD, ARRAY_RECORD = "Parquet", "Arrow", "tar", "TFRecord", "ArrayRecord"
NAMED = re.compile(
    r"\.(?P<kind>parquet|arrow|tar|tfrecords?|tfrec|array_record)(-\d+-of-\d+)?(?P<packed>\.(gz|zip|zst|xz|bz2))?$"
)
KINDS = {
    "parquet": PARQUET, "arrow": ARROW, "tar": TAR, "array_record": ARRAY_RECORD,
    "tfrecord": TFRECORD, "tfrecords": TFRECORD, "tfrec": TFRECORD,
}  # fmt: skip
PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
MOST_FILES = 100_000
LARGEST = 2**46  # Bytes of a file; no limit but that of the disk.


def files_below(root: Path) -> list[Path]:
    """The files of tables, archives or records below a folder, sorted; none where it has image files."""
    endings = tuple(ending for ending in suffixes() if ending != ARRAY)
    found: list[Path] = []
    for path in _walk(root):
        if path.name.lower().endswith(endings):
            return []
        if NAMED.search(path.name.lower()):
            found.append(path)
    return sorted(found)


def _walk(root: Path) -> Iterator[Path]:
    """Visible files below a folder, at most 100,000; links to folders are not followed."""
    folders, left = [str(root)], MOST_FILES
    while folders:
        for entry in listed(folders.pop()):
            left -= 1
            if not left:
                return
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file():
                yield Path(entry.path)


def is_content(path: Path) -> bool:
    """Whether a file has a name of tables, archives or records."""
    return bool(NAMED.search(path.name.lower()))


def kind_of(files: list[Path]) -> str:
    """The one kind of all files; a `UsageError` where there are several, or none is known."""
    kinds = {path: _kind(path) for path in files}
    if len(set(kinds.values())) > 1:
        first, second = (
            next(path for path in kinds if kinds[path] == kind) for kind in sorted(set(kinds.values()))[:2]
        )
        raise UsageError(
            f"data: {printable(str(first))} is {kinds[first]} and {printable(second.name)} {kinds[second]}: give files "
            "of one kind."
        )
    return next(iter(kinds.values()))


def _kind(path: Path) -> str:
    try:
        with open_regular(path, at_most=LARGEST) as file:
            start = file.read(512)
    except OSError as fault:
        raise UsageError(
            f"data: {printable(str(path))} cannot be read ({fault.strerror}): name another file."
        ) from fault
    named = NAMED.search(path.name.lower())
    if start.startswith(PACKED) or (named and named["packed"]):
        raise UsageError(
            f"data: {printable(str(path))} is compressed as a whole, so that it cannot be read at random: decompress it first."
        )
    if start.startswith(b"PAR1"):
        return PARQUET
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return ARROW
    if start[257:262] == b"ustar":
        return TAR
    if named:
        return KINDS[named["kind"]]
    raise UsageError(
        f"data: {printable(str(path))} is not known: expected a folder of images, or files of Parquet, Arrow, tar "
        "(WebDataset), TFRecord or ArrayRecord."
    )


def parts_of(files: list[Path], root: Path) -> dict[str, list[Path]]:
    """The files of "train", "test" and "val", by their names and those of their folders; all are "train" without such names."""
    parts: dict[str, list[Path]] = {}
    for path in files:
        *folders, name = path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)
        words = [*folders, *re.split(r"[-_.]", name)]
        parts.setdefault(next(filter(None, map(part_of, words)), "train"), []).append(path)
    if len(parts) == 1:
        return {"train": files}
    if "train" not in parts:
        raise UsageError(f"data: {root} holds {' and '.join(sorted(parts))} but no train: name one of their files.")
    return {part: parts[part] for part in ("train", "test", "val") if part in parts}
