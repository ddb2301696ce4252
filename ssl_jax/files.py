"""Reads of regular files, atomic writes, strict JSON, and generated parts of pages. Below every floor.

JSON has no NaN and no infinity: they are written as null, and read as None where an older version wrote them.
"""

import errno
import hashlib
import json
import math
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

LARGEST_OBJECT = 2**24  # Bytes of a file that holds one JSON object; Python's values take about 20 times as much.


def open_regular(path: str | os.PathLike[str], *, at_most: int) -> BinaryIO:
    """A regular file, or a link to one, open for reading; pipes and devices, which never end, are closed again unread.

    Raises:
      OSError: of the operating system; EINVAL where it is no regular file, EFBIG where it has more than `at_most` bytes.
    """
    # Without O_NONBLOCK a pipe is not even opened until somebody writes to it.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    about = os.fstat(file.fileno())
    if stat.S_ISREG(about.st_mode) and about.st_size <= at_most:
        return file
    file.close()
    if stat.S_ISREG(about.st_mode):
        raise OSError(errno.EFBIG, f"{about.st_size} bytes, more than {at_most}", str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raises as `open_regular`, for libraries that open a file by its name and would wait for a pipe."""
    open_regular(path, at_most=2**62).close()


def read_regular(path: str | os.PathLike[str], *, at_most: int) -> bytes:
    """The bytes of a regular file, as many as it has when it is opened; raises as `open_regular`.

    Files of the kernel that claim no size, such as /proc/kmsg, are empty.
    """
    with open_regular(path, at_most=at_most) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def checksum_of(path: str | os.PathLike[str]) -> str:
    """A checksum of the bytes of a regular file, of at most 16 MiB, in 16 hexadecimal digits; raises as `open_regular`."""
    return hashlib.blake2b(read_regular(path, at_most=LARGEST_OBJECT), digest_size=8).hexdigest()


def cache_folder() -> Path:
    """The package's folder in the user's cache; all in it can be made again. A RuntimeError where the user has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssl_jax"


def make_own(folder: Path) -> None:
    """Makes a folder that others cannot enter; an OSError where it is another user's, or cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK) or folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EACCES, "not a folder of the user's own that can be written", str(folder))


def printable(name: str) -> str:
    """A name from outside with escapes for control characters and for bytes that are not UTF-8: `caf\\xe9`.

    A terminal would obey the former, and no file in UTF-8 can hold the latter.
    """
    return "".join(_escape(each) if unicodedata.category(each) in ("Cc", "Cs") else each for each in name)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; at the end it replaces `path`, after an exception it is removed.

    A reader gets the old file or the new one at any time, also after the process is killed.
    """
    draft = path.with_name(f".{path.stem}.draft{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file by this text, in UTF-8; what UTF-8 does not have, parts of hostile names, as escapes."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Replaces the file by this value, indented, with a newline at the end."""
    write_atomically(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """The value as JSON, NaN and infinity as null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def filled(text: str, parts: Mapping[str, str]) -> str:
    """A page with each generated part between its two marks, `<!-- NAME -->` and `<!-- /NAME -->`; the rest unchanged.

    Raises:
      ValueError: the page does not have both marks of a part, once each and in this order.
    """
    for name, part in parts.items():
        marks = f"<!-- {name} -->", f"<!-- /{name} -->"
        start, end = map(text.find, marks)
        if not 0 <= start < end or any(text.count(mark) > 1 for mark in marks):
            raise ValueError(
                f"filled: the page must have {marks[0]} and then {marks[1]}, each once: add or correct them."
            )
        text = f"{text[:start]}{marks[0]}\n{part}\n{text[end:]}"
    return text


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a file of JSON; None where it does not exist, is damaged or too large, or holds another type."""
    try:
        value = parse(read_regular(path, at_most=LARGEST_OBJECT))
    except OSError:
        return None
    return value if isinstance(value, dict) else None


def parse(text: bytes) -> Any:
    """The value of this JSON; None where it is damaged."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _escape(character: str) -> str:
    """Python keeps a byte that is not UTF-8 as U+DC00 and the byte."""
    code = ord(character)
    return f"\\x{code & 0xFF:02x}" if code < 0x100 or 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
