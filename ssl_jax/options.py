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
    lines = [line.strip("│ ").strip() for line in box.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("╭", "╰"))]
    paragraphs = "\n".join(lines).split("\n" + next((line for line in lines if set(line) == {"─"}), "\0"))
    gist = " ".join(paragraphs[0].split())
    near = re.search(r"(?:Perhaps you meant:|Arguments similar to \S+:)\s+(--[\w-]+)", "\n".join(lines))
    return f"{gist}: did you mean {near[1]}?" if near else gist
