"""The commands: each parses its words and calls a function of the package.

The package is imported inside them: --help and a mistyped command do not wait for jax and flax.
"""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssl_jax.cli.taking import check_single, take, value_of
from ssl_jax.cli.usage import USAGE
from ssl_jax.errors import UsageError, pick
from ssl_jax.files import printable, to_json

# ruff: noqa: PLC0415


def pretrain(words: list[str]) -> None:
    """`ssl-jax pretrain METHOD [--recipe NAME] [options]`"""
    from ssl_jax import commands

    again, repeats = take(words, "--from"), None
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
    from ssl_jax.cli import signatures

    if not words or words[0] in ("-h", "--help"):
        print(signatures.SWEEP)
        return
    from ssl_jax import commands

    for option in ("--recipe", "--run", "--print"):
        check_single(words, option)
    function, chosen = _recipe(words)
    prog = f"ssl-jax sweep {' '.join(chosen)}"
    if {"-h", "--help"} & set(words):
        print(signatures.SWEEP)
        commands.read_options(function, ["--help"], prog=prog)
    script, folder = take(words, "--print"), take(words, "--run")
    sweep = commands.make_sweep(function, words, chosen=chosen, folder=folder, prog=prog)
    if script is not None:
        print(commands.sweep_script(script, sweep), end="")
        return
    tables, outcome = commands.run_sweep(sweep)
    print(to_json(tables), flush=True)
    outcome.check()


def plan(words: list[str]) -> None:
    """`ssl-jax plan METHOD [--recipe NAME] [--topology v5e:16x16] [--global-batch N] [options]`, or `plan --from RUN`"""
    from ssl_jax.cli import signatures

    if words and words[0] in ("-h", "--help"):
        print(signatures.PLAN)
        return
    from ssl_jax import commands
    from ssl_jax.options import DEFAULTS, PLANNED

    words = [re.sub("^--global[-_]batch(?==|$)", "--batch-size", word) for word in words]
    again = take(words, "--from")
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


def _parsed(words: list[str], command: str, *, signature: str = "") -> Any:
    """The arguments of a command, as its function in signatures.py, of the same name where none is given, declares them."""
    from ssl_jax.cli import signatures
    from ssl_jax.options import parse

    return parse(getattr(signatures, signature or command), words, prog=f"ssl-jax {command}")


def _recipe(words: list[str], *, looking: bool = True) -> tuple[Callable[..., Any], list[str]]:
    """The function of the recipe that the words begin with, and its name in words; both are taken out of the words.

    looking: whether the images choose the recipe where it is not given.
    """
    from ssl_jax import commands, recipes

    if not words or words[0].startswith("-"):
        if later := next((word for word in words if word in recipes.methods()), None):
            raise UsageError(
                f"method: {later} comes after options: put it first, as in `ssl-jax pretrain {later} --seed 1`."
            )
        raise UsageError(f"method: none was given, choose one of: {', '.join(recipes.methods())}.")
    method = words.pop(0)
    if recipes.is_file_recipe(method):
        return recipes.load(method), [method]
    name = commands.chosen_recipe(method, take(words, "--recipe"), data=value_of(words, "--data") if looking else None)
    return recipes.find(method, name), [method, "--recipe", name]


def evaluate(words: list[str]) -> None:
    """`ssl-jax evaluate RUN [options]`"""
    from ssl_jax import commands

    arguments = _parsed(words, "evaluate")
    names = arguments.pop("data")
    if len(names) < 2:
        _print(commands.evaluate(data=names[0] if names else None, **arguments))
        return
    if arguments.pop("layers"):
        raise UsageError(f"layers: got several data sets, {', '.join(names)}: evaluate the layers on one of them.")
    _print(commands.transfer(data=names, **arguments))


def finetune(words: list[str]) -> None:
    """`ssl-jax finetune RUN [options]`"""
    from ssl_jax import commands

    _print(commands.finetune(**_parsed(words, "finetune")))


def classify(words: list[str]) -> None:
    """`ssl-jax classify RUN IMAGES... [options]`"""
    from ssl_jax import commands

    for found in commands.classify(**_parsed(words, "classify")):
        print(to_json(found), flush=True)


def embed(words: list[str]) -> None:
    """`ssl-jax embed RUN [DATA] --output FILE [options]`"""
    from ssl_jax import commands

    arguments = _parsed(words, "embed")
    commands.embed(**arguments)
    print(printable(str(arguments["output"])))


def neighbors(words: list[str]) -> None:
    """`ssl-jax neighbors RUN QUERY [DATA] [options]`"""
    from ssl_jax import commands

    print(to_json(commands.neighbors(**_parsed(words, "neighbors"))))


def export(words: list[str]) -> None:
    """`ssl-jax export RUN --layout LAYOUT --output FILE.safetensors [options]`"""
    from ssl_jax import commands

    arguments = _parsed(words, "export")
    commands.export(**arguments)
    print(printable(str(arguments["output"])))


def import_weights(words: list[str]) -> None:
    """`ssl-jax import FILE.safetensors --encoder NAME [options]`"""
    from ssl_jax import commands

    print(to_json(commands.import_weights(**_parsed(words, "import", signature="import_weights"))))


def report(words: list[str]) -> None:
    """`ssl-jax report RUN`"""
    from ssl_jax.report import write_report

    print(printable(str(write_report(_parsed(words, "report")))))


def compare(words: list[str]) -> None:
    """`ssl-jax compare RUN... [--output FILE.html]`"""
    from ssl_jax import commands

    print(to_json(commands.compare(**_parsed(words, "compare"))))


def watch(words: list[str]) -> None:
    """`ssl-jax watch RUN`"""
    from ssl_jax.cli import watching

    with contextlib.suppress(KeyboardInterrupt):  # Of the watching, and not of the run.
        watching.watch(**_parsed(words, "watch"))


def data(words: list[str]) -> None:
    """`ssl-jax data prepare NAME [options]`"""
    words = list(words)
    if words and words[0] not in ("-h", "--help"):
        pick("command of data", words.pop(0), ["prepare"])
    from ssl_jax.data.preparation.known import prepare

    print(prepare(**_parsed(words, "data prepare", signature="prepare_data")))


def doctor(words: list[str]) -> None:
    """`ssl-jax doctor [RUN]`"""
    from ssl_jax import commands

    commands.doctor(_parsed(words, "doctor"))


def show(words: list[str]) -> None:
    """`ssl-jax list`"""
    if words and not {"-h", "--help"} & set(words):
        raise UsageError(f"list: got {words[0]}, and it takes no words: leave it out.")
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


def _print(results: dict[str, Any] | None) -> None:
    """The line of JSON that ends a command; on several hosts, process 0 prints it."""
    from ssl_jax.evaluate.results import digest

    if results is not None:
        print(to_json(digest(results)), flush=True)


COMMANDS = {
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
