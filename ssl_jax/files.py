"""Atomic writes of files, strict JSON, and generated parts of pages. Below every floor.

JSON has no NaN and no infinity: they are written as null, and read as None where an older version wrote them.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    """Replaces the file by this text, in UTF-8."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


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
    """The object in a file of JSON; None where the file does not exist, is damaged, or holds another type."""
    try:
        value = parse(path.read_bytes())
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
