"""Reads typed options from a function's signature with tyro, and says what is wrong with them in one sentence."""

import contextlib
import io
import re
from collections.abc import Callable
from typing import Any

import tyro

from ssl_jax.errors import UsageError


def parse(function: Callable[..., Any], words: list[str], *, prog: str) -> Any:
    """Calls `function` with what the words say; its signature is the options, its docstring the help."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            read = tyro.cli(function, args=words, prog=prog, config=(tyro.conf.OmitArgPrefixes,))
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_sentence(said.getvalue())} (all options: {prog} --help)") from None
    return read


def _sentence(box: str) -> str:
    """The gist of tyro's framed message: its first paragraph, and the nearest right option where it names one."""
    lines = [line.strip("\u2502 ") for line in box.splitlines() if not line.startswith(("\u256d", "\u2570"))]
    paragraphs = re.split(r"\n[\u2500-]{4,}\n", "\n".join(lines))
    if "\u256d" not in box:  # Without Unicode, the frame's title is a paragraph of its own.
        paragraphs = paragraphs[1:]
    gist = " ".join(paragraphs[0].split())
    near = re.search(r"(?:Perhaps you meant:|Arguments similar to \S+:)\s+(--[\w-]+)", "\n".join(paragraphs))
    return f"{gist}: did you mean {near[1]}?" if near else gist
