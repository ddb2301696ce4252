"""Ctrl-C ends a command with one sentence and exit code 130, whenever it comes and however often.

Python raises KeyboardInterrupt wherever the program is, and four places lose it: a library that is being imported prints it and
raises an ImportError, which another may take for a library that is not there; in a callback of the garbage collector it is
printed, and the program goes on; a second one, while the first is handled, is a traceback; and at Python's exit JAX waits for
what its threads still compute, or crashes. Only in Python's own start, a twentieth of a second, nothing of ours can handle one.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 128 + signal.SIGINT


def end_at_once() -> None:
    """From here on an interrupt ends the process without an exception, as is right as long as there is nothing to clean up.

    Only in a process of its own: where another program handles interrupts, or the process ignores them, nothing changes.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
        usual = sys.unraisablehook
        sys.unraisablehook = lambda lost: _end() if issubclass(lost.exc_type, KeyboardInterrupt) else usual(lost)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """In this context none comes, nor in a program that replaces this one before `end_at_once`: Python's start handles none."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def catch() -> None:
    """From here on the first interrupt raises KeyboardInterrupt, so that what was begun is cleaned up; a second ends that."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise)


def came(fault: BaseException | None) -> bool:
    """Whether an interrupt is behind a fault, such as an ImportError of a library."""
    while fault is not None and not isinstance(fault, KeyboardInterrupt):
        fault = fault.__cause__ or fault.__context__
    return fault is not None or signal.getsignal(signal.SIGINT) is _end_cleaning


def stop(sentence: str) -> int:
    """Says it, and ends the process where it is the command's own; returns the exit code elsewhere, as in a test."""
    own = signal.getsignal(signal.SIGINT) in OURS
    if own:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"ssl-jax: {sentence}", file=sys.stderr, flush=True)
    if own:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(INTERRUPTED)
    return INTERRUPTED


def leave(code: int) -> None:
    """From here on an interrupt ends the process with the exit code of the command, which is done."""
    if signal.getsignal(signal.SIGINT) in OURS:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, _end_cleaning)
    raise KeyboardInterrupt


def _end(*_: Any) -> NoReturn:
    os.write(2, b"ssl-jax: stopped\n")
    os._exit(INTERRUPTED)


def _end_cleaning(*_: Any) -> NoReturn:
    """Another function than `_end`: as the handler it says that an exception was raised."""
    _end()


OURS = (_end, _raise, _end_cleaning)
