"""The runs of a sweep, from a command line in which options have several values."""

import functools
import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from ssl_jax.commands.arguments import current_word, read_options
from ssl_jax.errors import UsageError
from ssl_jax.files import read_object
from ssl_jax.options import Options
from ssl_jax.ranges import check_ranges
from ssl_jax.recipes import Recipe

LEARNED = (
    "init",
    "seed",
    "microbatches",
)  # Of the options of a run, those that run.json has, since they change what is learned.
OF_THE_SWEEP = ("process", "processes", "coordinator", "distributed")  # What no run of a sweep can be given.
FLAG = {"true": True, "false": False}
SWEEP = "sweep.json"  # In the folder of a sweep: its runs by name, with their options.
LONGEST_NAME = 200  # Bytes of a folder's name; file systems take 255.

Given = dict[str, list[str]]  # Option, with its dashes -> the words of its values.


class Member(NamedTuple):
    """A run of a sweep. name: of its folder. words: its options for pretrain. values: all its options that change what is
    learned, as JSON has them."""

    name: str
    words: list[str]
    values: dict[str, Any]


class Sweep(NamedTuple):
    """chosen: the words that begin the options of pretrain, method and recipe. folder: each run has a folder in it."""

    members: list[Member]
    chosen: list[str]
    folder: Path

    def pretrain(self, member: Member) -> list[str]:
        """The words after `ssl-jax` that train a run."""
        return ["pretrain", *self.chosen, *member.words, "--run", str(self.folder / member.name)]


def make_sweep(
    make: Callable[..., Recipe], words: Sequence[str], *, chosen: list[str], folder: str | None, prog: str
) -> Sweep:
    """The sweep of a command line, in runs/METHOD-RECIPE-sweep where no folder is given.

    A run that the folder has with the same options keeps its name there, although other options have several values now.

    Raises:
      UsageError: as `members`.

    Example:
      >>> words = ["--temperature", "0.1", "0.2", "--seed", "0", "1"]
      >>> sweep = make_sweep(simclr.demo, words, chosen=[], folder=str(folder), prog="ssl-jax sweep simclr")
      >>> print(len(sweep.members))
      4
    """
    name = "-".join([re.sub(r"\W+", "-", word) for word in chosen if word != "--recipe"] + ["sweep"])
    path = Path(folder) if folder else Path("runs") / name
    before = known_runs(path)
    found = [
        member._replace(name=next((name for name, values in before.items() if values == member.values), member.name))
        for member in members(make, words, prog=prog)
    ]
    return Sweep(found, chosen, path)


def known_runs(folder: Path) -> dict[str, Any]:
    """The options of the runs of a sweep by their names, as its folder has them; {} where it has none."""
    runs = (read_object(folder / SWEEP) or {}).get("runs")
    return runs if isinstance(runs, dict) else {}


def members(make: Callable[..., Recipe], words: Sequence[str], *, prog: str) -> list[Member]:
    """The runs of all combinations of the values, in order: the last option changes fastest.

    Each word after an option is a value. A tuple is one word with commas, `--widths 64,128 64,256`; a flag takes the words true
    and false. The folder of a run is named after the options that have several values, and its seed.

    Raises:
      UsageError: no option has several values, an option is given twice or a value twice, or a value is invalid.
    """
    names = inspect.signature(make).parameters
    given = {"--seed": ["0"]} | _given([current_word(word, names) for word in words])
    given = {name: given[name] for name in given if name != "--seed"} | {"--seed": given["--seed"]}
    kinds = {name: kind for of in (Options, make) for name, kind in get_type_hints(of).items()}
    swept = [name for name, values in given.items() if len(values) > 1]
    _check(swept)
    spelled = [[_spelled(name, value, kinds) for value in values] or [[name]] for name, values in given.items()]
    named = [_plain(name) for name in [*(name for name in swept if name != "--seed"), "--seed"]]
    found: dict[str, Member] = {}
    for combination in itertools.product(*spelled):
        member = _member(make, list(itertools.chain(*combination)), named, prog=prog)
        if found.setdefault(member.name, member) is not member:
            raise UsageError(f"sweep: two of the values give the run {member.name}: give each value once.")
    return list(found.values())


def _given(words: Sequence[str]) -> Given:
    given: Given = {}
    values: list[str] | None = None
    for word in words:
        name, joined, value = word.partition("=")
        if re.fullmatch(r"--?[A-Za-z][\w-]*", name):
            if name in given:
                raise UsageError(f"{name}: it is given twice: write all its values after one {name}.")
            values = given[name] = [value] if joined else []
        elif values is None:
            raise UsageError(f"{word}: expected an option such as --temperature before its values.")
        else:
            values.append(word)
    return given


def _check(swept: Sequence[str]) -> None:
    if not swept:
        raise UsageError(
            "sweep: no option has several values: give one, such as --seed 0 1 2, or use ssl-jax pretrain for a single run."
        )
    for name in map(_plain, swept):
        if name in vars(Options()) and name not in LEARNED:
            raise UsageError(f"{name}: got several values, expected one, since it does not change what is learned.")


def _spelled(name: str, value: str, kinds: Mapping[str, Any]) -> list[str]:
    """An option with one value as pretrain takes it."""
    kind = kinds.get(_plain(name))
    if kind is bool:
        if value.lower() not in FLAG:
            raise UsageError(f"{name}: got {value!r}, expected true or false.")
        return [name if FLAG[value.lower()] else f"--no-{name[2:]}"]
    return [name, *value.split(",")] if _is_tuple(kind) else [name, value]


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple or any(get_origin(part) is tuple for part in get_args(kind))


def _plain(name: str) -> str:
    return name[2:].replace("-", "_")


def _member(make: Callable[..., Recipe], words: list[str], named: Sequence[str], *, prog: str) -> Member:
    chosen, options = read_options(make, words, prog=prog)
    for name in OF_THE_SWEEP:
        if vars(options)[name] != vars(Options())[name]:
            raise UsageError(
                f"{name}: the runs of a sweep have one process each: leave it out, and use `--print slurm`."
            )
    values = _values(chosen, options)
    check_ranges(**values)
    parts = ",".join(f"{name}={_in_a_name(values[name])}" for name in named)
    return Member(_short(parts), words, values)


def _values(chosen: functools.partial[Recipe], options: Options) -> dict[str, Any]:
    learned = {name: vars(options)[name] for name in LEARNED}
    return json.loads(json.dumps(chosen.keywords | learned, default=str))


def _in_a_name(value: Any) -> str:
    """A value as a part of a folder's name; where characters are replaced, with a checksum, so that no two become one."""
    text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
    plain = re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip("-")
    return plain if plain == text else f"{plain[-40:]}-{_digest(text)}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
