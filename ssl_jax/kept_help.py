"""Texts that the package alone determines, such as help, are kept in the user's cache: making one imports jax, for seconds.

A text is made again where a file of the package, or the version of what formats it, is another than when it was kept, and
for another width or kind of terminal. Where the cache cannot be read or written, it is made each time.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from ssl_jax.files import cache_folder, make_own, read_regular, write_atomically

HELP = {"-h", "--help"}
LARGEST = 2**20  # Bytes of a text.
PACKAGE = Path(__file__).parent


def is_keepable(words: list[str]) -> bool:
    """Whether the output of this command depends on the package alone: on no file that it names, and on no data.

    Help beside other options is not kept: its texts would have no end, `--data` is looked at, and `--from` reads a run.
    """
    if words == ["list"]:
        return True
    plain = all(re.fullmatch(r"[\w-]+(=[\w-]+)?", word) for word in words)
    options = {word.split("=")[0] for word in words if word.startswith("-")}
    return plain and bool(HELP & options) and options <= HELP | {"--recipe"}


def kept(words: list[str], make: Callable[[], object]) -> str:
    """What `make`, the command of these words, prints on standard output: kept from before, or made and kept."""
    fingerprint, file = "", None
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # Without a home, read-only, or damaged.
        fingerprint, file = _fingerprint(), cache_folder() / "help" / f"{_key(words)}.txt"
        make_own(file.parent)
        first, _, text = read_regular(file, at_most=LARGEST).decode().partition("\n")
        if first == f"{fingerprint} {_digest(text)}":
            return text
    text = printed_by(make)
    if file is not None:
        with contextlib.suppress(OSError):
            write_atomically(file, f"{fingerprint} {_digest(text)}\n{text}")
    return text


def _key(words: list[str]) -> str:
    """One file for each command and kind of terminal, whatever the version, so that old texts are replaced."""
    terminal = [shutil.get_terminal_size().columns, sys.stdout.encoding, sys.stdout.isatty(), os.environ.get("TERM")]
    return _digest(json.dumps([str(PACKAGE), words, *terminal]))[:32]


def _fingerprint() -> str:
    """Of what a text is made by: Python, the package that formats help, and the names, sizes and times of our files."""
    import importlib.metadata  # noqa: PLC0415  Commands without help do not wait for it.

    files = ((path, path.stat()) for path in sorted(PACKAGE.rglob("*.py")))
    about = [(str(path), each.st_size, each.st_mtime_ns) for path, each in files]
    tools = [sys.version, *map(importlib.metadata.version, ("tyro", "docstring_parser"))]
    return _digest(json.dumps([about, tools]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _Output(io.StringIO):
    """Collects a text as for the terminal, or the file, that standard output is."""

    def __init__(self) -> None:
        super().__init__()
        self.of = sys.stdout

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.of.encoding

    def isatty(self) -> bool:
        return self.of.isatty()


def printed_by(make: Callable[[], object]) -> str:
    """What a function prints on standard output, as for the terminal or the file that this is."""
    with contextlib.redirect_stdout(_Output()) as output:
        try:
            make()
        except SystemExit as stop:  # tyro ends the program after help.
            if stop.code:
                raise
    return output.getvalue()
