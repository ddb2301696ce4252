"""Files that are written whole or not at all, and JSON that every reader of JSON accepts. Below every floor.

JSON has no NaN and no infinity: they are written as null, and read as None where an older version wrote them.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; at the end it replaces `path`, after an exception it is removed.

    Whoever reads, at any time and also after a kill, sees the old file or the new one.
    """
    draft = path.with_name(f".{path.stem}.draft{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file by this text, in UTF-8."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replaces the file by this value, indented, with a newline at the end."""
    write_atomically(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """The value as JSON, NaN and infinity as null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a file of JSON; None where there is no file, or another or damaged content."""
    try:
        found = parse(path.read_bytes())
    except OSError:
        return None
    return found if isinstance(found, dict) else None


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
