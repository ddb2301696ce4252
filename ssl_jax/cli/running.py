"""A command from its words to its exit code: what it raises becomes a sentence."""

import errno
import importlib
import io
import os
import signal
import sys
import traceback

from ssl_jax import __version__
from ssl_jax.cli import interrupts
from ssl_jax.cli.completion import candidates, script
from ssl_jax.cli.large_pages import use_large_pages
from ssl_jax.cli.usage import USAGE
from ssl_jax.cli.words import COMMANDS
from ssl_jax.errors import RunError, Stopped, UsageError, own_place, pick, reason_of
from ssl_jax.files import printable
from ssl_jax.kept_help import is_keepable, kept

# Operating-system errors about a path rather than about the program; others are faults, and keep their traceback.
REFUSED = {
    getattr(errno, name)
    for name in "EACCES EDQUOT EFBIG EIO EISDIR EMFILE ENAMETOOLONG ENOSPC ENOTDIR EPERM EROFS".split()
}
COMPUTE = ("pretrain", "evaluate", "finetune", "embed")  # The commands that take most of a minute and more.
WITHOUT_JAX = ("watch",)  # The others import it before an interrupt may raise an exception.
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the command is to be repeated.
# When set, a sentence about a fault of the package or of a library comes with its traceback.
TRACEBACK = "SSL_JAX_TRACEBACK"


def run(words: list[str], *, own_process: bool) -> int:
    """The exit code of a command. In a process of its own, it may start that once more, see large_pages.py."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        # As standard error: a name that a terminal lacks is no fault.
        sys.stdout.reconfigure(errors="backslashreplace")
    if own_process and words and words[0] in COMPUTE and not is_keepable(words):
        use_large_pages()
    try:
        try:
            code = _run(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # The reader of the output, such as `head`, has closed it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes standard output once more at its end.
        code = 128 + signal.SIGPIPE
    except BaseException:
        if not _on_several_hosts():
            raise
        traceback.print_exc()
        code = 1
    interrupts.leave(code)
    if code and _on_several_hosts():  # At a usual exit JAX waits for the other processes, which wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _on_several_hosts() -> bool:
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def _run(words: list[str]) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in ("-h", "--help", "--version"):
        print(__version__ if words == ["--version"] else USAGE, file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    try:
        _obey(words)
    except SystemExit as stop:  # tyro ends the program after help.
        if stop.code:
            raise
    except (UsageError, RunError) as reason:
        if reason.__cause__ and os.environ.get(TRACEBACK):
            raise
        print(f"ssl-jax: {printable(str(reason))}", file=sys.stderr)
        return 2 if isinstance(reason, UsageError) else RESUMABLE if isinstance(reason, Stopped) else 1
    except OSError as fault:
        if fault.errno not in REFUSED or os.environ.get(TRACEBACK):
            raise
        path = fault.filename or "a file of the run"
        print(
            f"ssl-jax: {path}: {fault.strerror}: free disk space or permit access, then repeat the command.",
            file=sys.stderr,
        )
        return 1
    except Exception as fault:
        if interrupts.came(fault):
            return interrupts.stop("stopped")
        place = own_place(fault)
        if place is None or os.environ.get(TRACEBACK):
            raise
        what = f"{type(fault).__name__}: {reason_of(fault)}"
        print(f"ssl-jax: {printable(f'{place}: {what}')} ({TRACEBACK}=1 shows the traceback)", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        return interrupts.stop(printable(str(stop)) or "stopped")
    return 0


def _obey(words: list[str]) -> None:
    def printed(command: list[str]) -> str:
        return kept(command, lambda: COMMANDS[command[0]](command[1:]))

    if words[0] == "--print-completion":
        print(script(words[1] if len(words) > 1 else ""))
    elif words[0] == "--complete":
        print("".join(f"{word}\n" for word in candidates(words[1:], [*COMMANDS], printed)), end="")
    elif pick("command", words[0], COMMANDS) and is_keepable(words):
        print(printed(words), end="")
    else:
        if words[0] not in WITHOUT_JAX:
            importlib.import_module("ssl_jax.commands")
        interrupts.catch()
        COMMANDS[words[0]](words[1:])
