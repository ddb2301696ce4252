"""The command line: `ssl-jax COMMAND ...`. `USAGE` lists the commands, and words.py has a function for each.

Progress and messages go to standard error; `pretrain`, `plan`, `evaluate`, `finetune`, `neighbors` and `import` end with one
line of JSON on standard output, `classify` prints one for each image. A mistake of the user's is one sentence and exit code
2; a run that cannot continue, and an error in code of one's own, is one sentence and exit code 1; a run that a signal
stopped, and that the same command resumes, is one sentence and exit code 75.
"""

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from ssl_jax import __version__
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
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the command is to be repeated.
# When set, a sentence about a fault of the package or of a library comes with its traceback.
TRACEBACK = "SSL_JAX_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        # As standard error: a name that a terminal lacks is no fault.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and words and words[0] in COMPUTE and not is_keepable(words):
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
        if _is_interrupt(fault):
            print("ssl-jax: stopped", file=sys.stderr)
            return 130
        place = own_place(fault)
        if place is None or os.environ.get(TRACEBACK):
            raise
        what = f"{type(fault).__name__}: {reason_of(fault)}"
        print(f"ssl-jax: {printable(f'{place}: {what}')} ({TRACEBACK}=1 shows the traceback)", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"ssl-jax: {printable(str(stop)) or 'stopped'}", file=sys.stderr)
        return 130
    return 0


def _is_interrupt(fault: BaseException | None) -> bool:
    """Whether Ctrl-C is behind a fault: where it comes while a library is imported, this raises an ImportError of its own."""
    while fault is not None and not isinstance(fault, KeyboardInterrupt):
        fault = fault.__cause__ or fault.__context__
    return fault is not None


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
        COMMANDS[words[0]](words[1:])
