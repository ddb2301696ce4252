"""The command line: `ssl-jax COMMAND ...`; `USAGE` lists the commands.

Progress and messages go to standard error; `pretrain`, `plan`, `evaluate`, `finetune`, `neighbors` and `import` end with one
line of JSON on standard output, `classify` prints one for each image. A mistake of the user's is one sentence and exit code
2; a run that cannot continue, and an error in code of one's own, is one sentence and exit code 1; a run that a signal
stopped, and that the same command resumes, is one sentence and exit code 75.
"""

import contextlib
import errno
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_jax import __version__
from ssl_jax.completion import candidates, script
from ssl_jax.errors import RunError, Stopped, UsageError, own_place, pick, reason_of
from ssl_jax.files import printable, to_json
from ssl_jax.kept_help import is_keepable, kept
from ssl_jax.large_pages import use_large_pages

# The rest of ssl_jax is imported inside the commands: --help and a mistyped command should not wait for jax and flax.
# ruff: noqa: PLC0415

# Operating-system errors about a path rather than about the program; others are faults, and keep their traceback.
REFUSED = {
    getattr(errno, name)
    for name in "EACCES EDQUOT EFBIG EIO EISDIR EMFILE ENAMETOOLONG ENOSPC ENOTDIR EPERM EROFS".split()
}
COMPUTE = ("pretrain", "evaluate", "finetune", "embed")  # The commands that take most of a minute and more.
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, the command is to be repeated.
# When set, a sentence about a fault of the package or of a library comes with its traceback.
TRACEBACK = "SSL_JAX_TRACEBACK"

USAGE = f"""ssl-jax {__version__}: self-supervised learning in JAX

  ssl-jax pretrain METHOD [--recipe NAME]  pre-train, evaluate, write a report
  ssl-jax pretrain FILE.py:NAME         a recipe of your own, see docs/extend.md
  ssl-jax pretrain --from RUN/run.json  repeat a run
  ssl-jax plan METHOD [--recipe NAME]   memory, time and cost of a run on TPUs
  ssl-jax evaluate RUN                  evaluate again, on its own or other data
  ssl-jax finetune RUN                  train encoder and classifier on labels
  ssl-jax classify RUN IMAGES...        classes of images, with probabilities
  ssl-jax embed RUN [DATA] --output FILE
                                        features to FILE.parquet, .csv or .npy
  ssl-jax neighbors RUN QUERY [DATA]    the images nearest to an image
  ssl-jax export RUN --layout NAME --output FILE
                                        encoder for timm, torchvision or
                                        transformers
  ssl-jax import FILE --encoder NAME    a run of weights of a library or of a
                                        method's authors
  ssl-jax report RUN                    write RUN/report.html again
  ssl-jax sweep METHOD --OPTION VALUE VALUE ...
                                        runs for all combinations of options
  ssl-jax watch RUN                     follow a run in the terminal
  ssl-jax compare RUN...                runs in one table and one page
  ssl-jax data prepare NAME             a data set: emoji, tfds:NAME, cifar10
  ssl-jax doctor [RUN]                  what is installed; or what a run lacks
  ssl-jax list                          methods, their recipes, encoders, data

To start: ssl-jax pretrain simclr
Options of a command: ssl-jax pretrain simclr --help
Completion: eval "$(ssl-jax --print-completion bash)" in ~/.bashrc, or zsh
in ~/.zshrc"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        # As standard error: a name that a terminal lacks is no fault.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and words[:1] and words[0] in COMPUTE and not is_keepable(words):
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
    commands = {
        "pretrain": pretrain,
        "plan": plan,
        "evaluate": evaluate,
        "finetune": finetune,
        "classify": classify,
        "embed": embed,
        "neighbors": neighbors,
        "export": export,
        "import": import_weights,
        "report": report,
        "sweep": sweep,
        "compare": compare,
        "watch": watch,
        "data": data,
        "doctor": doctor,
        "list": show,
    }
    if not words or words[0] in ("-h", "--help", "--version"):
        print(__version__ if words == ["--version"] else USAGE, file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    try:
        _obey(words, commands)
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
        place = own_place(fault)
        if place is None or os.environ.get(TRACEBACK):
            raise
        what = f"{type(fault).__name__}: {reason_of(fault)}"
        print(f"ssl-jax: {printable(f'{place}: {what}')} ({TRACEBACK}=1 shows the traceback)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "ssl-jax: stopped; pretrain resumes from its last checkpoint when the command is repeated", file=sys.stderr
        )
        return 130
    return 0


def _obey(words: list[str], commands: Mapping[str, Callable[[list[str]], None]]) -> None:
    def printed(command: list[str]) -> str:
        return kept(command, lambda: commands[command[0]](command[1:]))

    if words[0] == "--print-completion":
        print(script(words[1] if len(words) > 1 else ""))
    elif words[0] == "--complete":
        print("".join(f"{word}\n" for word in candidates(words[1:], [*commands], printed)), end="")
    elif pick("command", words[0], commands) and is_keepable(words):
        print(printed(words), end="")
    else:
        commands[words[0]](words[1:])


def pretrain(words: list[str]) -> None:
    """`ssl-jax pretrain METHOD [--recipe NAME] [options]`"""
    from ssl_jax import commands

    again, repeats = _take(words, "--from"), None
    if again is not None:
        make, options = commands.repeat(Path(again), words)
        repeats = Path(again).parent if again.endswith(".json") else Path(again)
    else:
        if words and words[0] in ("-h", "--help"):
            print(USAGE)
            return
        function, chosen = _recipe(words)
        make, options = commands.read_options(function, words, prog=f"ssl-jax pretrain {' '.join(chosen)}")
    _print(commands.pretrain(make, options, repeats=repeats))


def sweep(words: list[str]) -> None:
    """`ssl-jax sweep METHOD [--recipe NAME] --OPTION VALUE VALUE ... [options]`"""
    from ssl_jax import signatures

    if not words or words[0] in ("-h", "--help"):
        print(signatures.SWEEP)
        return
    from ssl_jax import commands

    for option in ("--recipe", "--run", "--print"):
        _check_single(words, option)
    function, chosen = _recipe(words)
    prog = f"ssl-jax sweep {' '.join(chosen)}"
    if {"-h", "--help"} & set(words):
        print(signatures.SWEEP)
        commands.read_options(function, ["--help"], prog=prog)
    script, folder = _take(words, "--print"), _take(words, "--run")
    sweep = commands.make_sweep(function, words, chosen=chosen, folder=folder, prog=prog)
    if script is not None:
        print(commands.sweep_script(script, sweep), end="")
        return
    tables, outcome = commands.run_sweep(sweep)
    print(to_json(tables), flush=True)
    outcome.check()


def plan(words: list[str]) -> None:
    """`ssl-jax plan METHOD [--recipe NAME] [--topology v5e:16x16] [--global-batch N] [options]`, or `plan --from RUN`"""
    from ssl_jax import signatures

    if words and words[0] in ("-h", "--help"):
        print(signatures.PLAN)
        return
    from ssl_jax import commands
    from ssl_jax.options import DEFAULTS, PLANNED

    words = [re.sub("^--global[-_]batch(?==|$)", "--batch-size", word) for word in words]
    again = _take(words, "--from")
    if again is not None:
        print(to_json(commands.plan(*commands.planned_again(Path(again), words))))
        return
    function, chosen = _recipe(words, looking=False)
    make, options, planned = commands.read_options(
        function,
        words,
        prog=f"ssl-jax plan {' '.join(chosen)}",
        groups={"run_options": DEFAULTS, "plan_options": PLANNED},
    )
    print(to_json(commands.plan(make, options, planned)))


def _recipe(words: list[str], *, looking: bool = True) -> tuple[Callable[..., Any], list[str]]:
    """The function of the recipe that the words begin with, and its name in words; both are taken out of the words.

    looking: whether the images choose the recipe where it is not given.
    """
    from ssl_jax import commands, recipes

    if not words or words[0].startswith("-"):
        raise UsageError(f"method: none was given, choose one of: {', '.join(recipes.methods())}.")
    method = words.pop(0)
    if recipes.is_file_recipe(method):
        return recipes.load(method), [method]
    name = commands.chosen_recipe(method, _take(words, "--recipe"), data=_value(words, "--data") if looking else None)
    return recipes.find(method, name), [method, "--recipe", name]


def evaluate(words: list[str]) -> None:
    """`ssl-jax evaluate RUN [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    arguments = parse(signatures.evaluate, words, prog="ssl-jax evaluate")
    names = arguments.pop("data")
    if len(names) < 2:
        _print(commands.evaluate(data=names[0] if names else None, **arguments))
        return
    if arguments.pop("layers"):
        raise UsageError(f"layers: got several data sets, {', '.join(names)}: evaluate the layers on one of them.")
    _print(commands.transfer(data=names, **arguments))


def finetune(words: list[str]) -> None:
    """`ssl-jax finetune RUN [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    _print(commands.finetune(**parse(signatures.finetune, words, prog="ssl-jax finetune")))


def classify(words: list[str]) -> None:
    """`ssl-jax classify RUN IMAGES... [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    for found in commands.classify(**parse(signatures.classify, words, prog="ssl-jax classify")):
        print(to_json(found), flush=True)


def embed(words: list[str]) -> None:
    """`ssl-jax embed RUN [DATA] --output FILE [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    arguments = parse(signatures.embed, words, prog="ssl-jax embed")
    commands.embed(**arguments)
    print(printable(str(arguments["output"])))


def neighbors(words: list[str]) -> None:
    """`ssl-jax neighbors RUN QUERY [DATA] [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    print(to_json(commands.neighbors(**parse(signatures.neighbors, words, prog="ssl-jax neighbors"))))


def export(words: list[str]) -> None:
    """`ssl-jax export RUN --layout LAYOUT --output FILE.safetensors [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    arguments = parse(signatures.export, words, prog="ssl-jax export")
    commands.export(**arguments)
    print(printable(str(arguments["output"])))


def import_weights(words: list[str]) -> None:
    """`ssl-jax import FILE.safetensors --encoder NAME [options]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    print(to_json(commands.import_weights(**parse(signatures.import_weights, words, prog="ssl-jax import"))))


def report(words: list[str]) -> None:
    """`ssl-jax report RUN`"""
    from ssl_jax import signatures
    from ssl_jax.options import parse
    from ssl_jax.report import write_report

    print(printable(str(write_report(parse(signatures.report, words, prog="ssl-jax report")))))


def compare(words: list[str]) -> None:
    """`ssl-jax compare RUN... [--output FILE.html]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    print(to_json(commands.compare(**parse(signatures.compare, words, prog="ssl-jax compare"))))


def watch(words: list[str]) -> None:
    """`ssl-jax watch RUN`"""
    from ssl_jax import signatures, watching
    from ssl_jax.options import parse

    with contextlib.suppress(KeyboardInterrupt):  # Of the watching, and not of the run.
        watching.watch(**parse(signatures.watch, words, prog="ssl-jax watch"))


def data(words: list[str]) -> None:
    """`ssl-jax data prepare NAME [options]`"""
    from ssl_jax import signatures
    from ssl_jax.options import parse

    words = list(words)
    if words and words[0] not in ("-h", "--help"):
        pick("command of data", words.pop(0), ["prepare"])
    from ssl_jax.data.preparation.known import prepare

    print(prepare(**parse(signatures.prepare_data, words, prog="ssl-jax data prepare")))


def doctor(words: list[str]) -> None:
    """`ssl-jax doctor [RUN]`"""
    from ssl_jax import commands, signatures
    from ssl_jax.options import parse

    commands.doctor(parse(signatures.doctor, words, prog="ssl-jax doctor"))


def show(words: list[str]) -> None:
    """`ssl-jax list`"""
    from ssl_jax import recipes
    from ssl_jax.data import NAMES
    from ssl_jax.networks import ENCODERS

    for method in recipes.methods():
        print(method)
        for name, make in recipes.recipes(method).items():
            print(f"  --recipe {name:<10} {(make.__doc__ or '').splitlines()[0]}")
    print(f"\nencoders: {', '.join(ENCODERS)}")
    files = "a folder of images, files of Parquet, Arrow, WebDataset, TFRecord or ArrayRecord"
    print(f"data: {', '.join(NAMES)}, {files}, or any tfds name such as cifar10 or imagenet2012:train[:10%]")


def _check_single(words: list[str], option: str) -> None:
    """A `UsageError` where an option of which a sweep has one is given twice, or has several values."""
    places = [position for position, word in enumerate(words) if word.partition("=")[0] == option]
    if len(places) > 1:
        raise UsageError(f"{option[2:]}: it is given {len(places)} times: give {option} once, with one value.")
    for place in places:
        second = place + (1 if "=" in words[place] else 2)
        if second < len(words) and not words[second].startswith("-"):
            raise UsageError(
                f"{option[2:]}: got a second value, {words[second]!r}, and a sweep has one: leave it out; a name with spaces "
                "needs quotes."
            )


def _value(words: list[str], option: str) -> str | None:
    """The value of `option VALUE` or `option=VALUE`; the words stay."""
    try:
        return _take(list(words), option)
    except UsageError:  # Reported when all options are parsed.
        return None


def _take(words: list[str], option: str) -> str | None:
    """Removes `option VALUE` or `option=VALUE` from the words and returns the value."""
    for position, word in enumerate(words):
        name, joined, value = word.partition("=")
        if name == option:
            del words[position]
            if not joined and position < len(words):
                value = words.pop(position)
            if not value:
                raise UsageError(f"{option} needs a value after it.")
            return value
    return None


def _print(results: dict[str, Any] | None) -> None:
    """The line of JSON that ends a command; on several hosts, process 0 prints it."""
    from ssl_jax.evaluate.results import digest

    if results is not None:
        print(to_json(digest(results)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
