"""Docstrings as this project writes them, for Sphinx: code in single backticks, fields of a class without a heading."""

import re
from typing import Any


def as_literals(text: str) -> str:
    """`code` in double backticks, so that napoleon and docutils read nothing inside of it."""
    return re.sub(r"(?<![`\w])`([^`]+)`(?![`\w])", lambda found: f"``{' '.join(found[1].split())}``", text)


def with_heading(text: str, fields: set[str]) -> str:
    """The paragraphs that begin with the name of a field as napoleon's section of arguments."""
    paragraphs = text.split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        names = re.match(r"(\w+(?:, \w+)*): ", paragraph)
        if names and set(names[1].split(", ")) <= fields:
            paragraphs[index] = "Args:\n  " + paragraph.replace("\n", "\n  ")
    return "\n\n".join(paragraphs)


def rewrite(app: Any, what: str, name: str, described: Any, options: Any, lines: list[str]) -> None:
    text = as_literals("\n".join(lines))
    fields = getattr(described, "__dataclass_fields__", None) or getattr(described, "_fields", ())
    lines[:] = with_heading(text, set(fields)).split("\n")
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # A comment, where napoleon looks for "type: description".


def skip(app: Any, what: str, name: str, described: Any, skipped: bool, options: Any) -> bool | None:
    """Fields of a NamedTuple, which its docstring explains."""
    return True if type(described).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", rewrite, priority=400)  # Before napoleon, 500.
    app.connect("autodoc-skip-member", skip)
