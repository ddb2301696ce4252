"""The members of a tar archive: names and places, without contents; with limits that Python's `tarfile` does not have.

Formats: ustar, GNU's long names, and pax; sizes in octal or base 256. Nothing is extracted.

Source: POSIX.1-2017, pax, section "ustar Interchange Format", https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html;
GNU tar, https://www.gnu.org/software/tar/manual/html_node/Standard.html.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK = 512
REGULAR, FOLDER = (b"0", b"\0", b"7"), b"5"
LONG_NAME, LONG_LINK, PAX, GLOBAL, SPARSE = b"L", b"K", b"x", b"g", b"S"
WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # Links, devices, folders, pipes.
LARGEST_EXTRA = 2**20  # Bytes of a long name or of pax records.


class Member(NamedTuple):
    """A file, or something else, in an archive. start, size: its bytes; truncated: the archive ends before them."""

    name: str
    start: int
    size: int
    is_file: bool
    is_folder: bool
    truncated: bool


def members(file: BinaryIO) -> Iterator[Member]:
    """The members in their order, up to the end of the archive or of the file.

    Raises:
      ValueError: a damaged header, a name or pax records of more than 1 MiB, or sparse members.
    """
    whole, at = os.fstat(file.fileno()).st_size, 0
    extra: dict[str, bytes] = {}
    while at < whole:
        file.seek(at)
        header = file.read(BLOCK)
        if len(header) < BLOCK:
            yield Member("", at, BLOCK, is_file=True, is_folder=False, truncated=True)
            return
        if not any(header):
            return
        kind, size = header[156:157], _size(header, at)
        start = at + BLOCK
        if kind in (LONG_NAME, LONG_LINK, PAX, GLOBAL):
            if size > LARGEST_EXTRA:
                raise ValueError(f"its member at byte {at} has a name of {size} bytes")
            content = file.read(size)
            extra |= (
                {"path": content.split(b"\0")[0]} if kind == LONG_NAME else _records(content) if kind == PAX else {}
            )
        else:
            if kind == SPARSE or any(key.startswith("GNU.sparse") for key in extra):
                raise ValueError(f"its member at byte {at} is sparse")
            size = 0 if kind in WITHOUT_CONTENT else _number(extra["size"], at) if "size" in extra else size
            name = os.fsdecode(extra.get("path") or _name(header))
            truncated = start + size > whole
            yield Member(name, start, size, kind in REGULAR, kind == FOLDER, truncated)
            extra = {}
        at = start + (size + BLOCK - 1) // BLOCK * BLOCK


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _size(header: bytes, at: int) -> int:
    unsigned = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
    if _number(header[148:156], at, base=8) != unsigned:
        raise ValueError(f"its header at byte {at} is damaged")
    field = header[124:136]
    return int.from_bytes(field[1:], "big") if field[0] == 0x80 else _number(field, at, base=8)


def _number(text: bytes, at: int, *, base: int = 10) -> int:
    digits = text.split(b"\0")[0].strip()
    if not digits:
        return 0
    if not digits.isdigit() or len(digits) > 20:
        raise ValueError(f"its header at byte {at} is damaged")
    return int(digits, base)


def _records(content: bytes) -> dict[str, bytes]:
    """pax records, "LENGTH KEY=VALUE\\n"."""
    found: dict[str, bytes] = {}
    while content:
        length, space, _ = content.partition(b" ")
        size = int(length) if length.isdigit() and len(length) < 8 else 0
        key, equals, value = content[len(length) + 1 : size].partition(b"=")
        if not space or not equals or not len(length) < size <= len(content):
            raise ValueError("its pax records are damaged")
        found[key.decode("utf-8", "replace")] = value.removesuffix(b"\n")
        content = content[size:]
    return found
