"""Docstrings as this project writes them, for Sphinx: code in single backticks, fields of a class without a heading.

Below a name stand the pages and programs that import it: their snippets are run by the tests.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def as_literals(text: str) -> str:
    """`code` in double backticks, so that napoleon and docutils read nothing inside of it."""
    return re.sub(r"(?<![`\w])`([^`]+)`(?!`)(?=(\w?))", literal, text)


def literal(found: re.Match[str]) -> str:
    code = " ".join(found[1].split())
    return f"``{code}``" + ("\\ " if found[2] else "")  # An s may follow.


def with_heading(text: str, arguments: set[str]) -> str:
    """The paragraphs that begin with the name of an argument or a field as napoleon's section of arguments."""
    paragraphs = text.split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        names = re.match(r"(\w+(?:, \w+)*): ", paragraph)
        if names and set(names[1].split(", ")) <= arguments:
            paragraphs[index] = "Args:\n  " + paragraph.replace("\n", "\n  ")
    return "\n\n".join(paragraphs)


def imported() -> dict[int, list[str]]:
    """References to the pages and programs that import an object, by its id."""
    found = defaultdict(list)
    for path in [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*.py"))]:
        name, text = path.relative_to(ROOT), path.read_text()
        page = path.suffix == ".md"
        code = "".join(re.findall(r"```python\n(.*?)```", text, re.S)) if page else text
        reference = f":doc:`/{name.with_suffix('')}`" if page else f":download:`{name} </{name}>`"
        names: dict[str, Any] = {}
        exec("\n".join(re.findall(r"^from ssl_jax[\w.]* import [\w, ]+", code, re.M)), {}, names)
        for described in names.values():
            found[id(described)].append(reference)
    return found


IMPORTED = imported()


def rewrite(app: Any, what: str, name: str, described: Any, options: Any, lines: list[str]) -> None:
    arguments = {*getattr(described, "__annotations__", ()), *getattr(described, "__dataclass_fields__", ())}
    text = "\n".join(lines).replace("\nAttributes:\n", "\nArgs:\n")  # Napoleon reads "first, second" only in these.
    lines[:] = with_heading(as_literals(text), arguments).split("\n")
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # A comment, where napoleon looks for "type: description".
    if what != "module" and id(described) in IMPORTED:
        lines += ["", f"Used in {', '.join(IMPORTED[id(described)])}.", ""]


def skip(app: Any, what: str, name: str, described: Any, skipped: bool, options: Any) -> bool | None:
    """Fields of a NamedTuple, which its docstring explains."""
    return True if type(described).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", rewrite, priority=400)  # Before napoleon, 500.
    app.connect("autodoc-skip-member", skip)
