"""The options of a recipe and of a run, from the words of a command line."""

import functools
import inspect
import re
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from ssl_jax.commands.saved_run import make_again
from ssl_jax.composition.recipe import in_words
from ssl_jax.errors import UsageError
from ssl_jax.options import DEFAULTS, PLANNED, Options, check_values, parse
from ssl_jax.prepare import MakeRecipe
from ssl_jax.recipes import Recipe, explained
from ssl_jax.runs import read_request
from ssl_jax.settings import current_name

RUN_OPTIONS = {"run_options": DEFAULTS}
TAKEN = {"recipe", "print", "global_batch", "help"}  # What pretrain, sweep and plan take from the words themselves.


def read_options(
    make: Callable[..., Recipe], words: list[str], *, prog: str, groups: Mapping[str, Any] = RUN_OPTIONS
) -> tuple[Any, ...]:
    """The options of a recipe's signature, and of dataclasses, from the arguments of a command line.

    Args:
      make: the recipe's function.
      words: the arguments.
      prog: the command, for messages.
      groups: an instance of each dataclass, with the defaults of its options, by the heading of its part of the help.

    Returns:
      A partial call of `make`, and an instance for each of `groups`.

    Raises:
      UsageError: the words are no such options, or the recipe has an option that the command line has itself.

    Example:
      >>> make, options = read_options(simclr.demo, ["--temperature", "0.2", "--seed", "3"], prog="ssl-jax pretrain simclr")
      >>> print(make.keywords["temperature"], options.seed)
      0.2 3
    """

    def arguments(**given: Any) -> dict[str, Any]:
        return given

    names = inspect.signature(make).parameters
    _check_names(make, names)
    words = [current_word(word, names) for word in words]
    shown = [each.replace(default=in_words(each.name, each.default)) for each in names.values()]
    arguments.__signature__, arguments.__annotations__ = inspect.Signature(shown), get_type_hints(make)  # type: ignore[attr-defined]
    recipe_options = Annotated[dict, tyro.conf.arg(constructor=arguments)]

    def parsed(**given: Any) -> list[Any]:
        return list(given.values())

    kinds = {"recipe": recipe_options, **{name: type(group) for name, group in groups.items()}}
    defaults = {"recipe": inspect.Parameter.empty, **groups}
    parsed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults[name]) for name in kinds]
    )
    parsed.__annotations__ = kinds
    parsed.__doc__ = explained(make)
    # What the recipe is stands above all options; without a sentence of its own, no option would be explained.
    arguments.__doc__ = "What is learned.\n\n" + parsed.__doc__[parsed.__doc__.index("Args:") :]
    check_values(words, arguments.__annotations__ | get_type_hints(Options))
    given, *options = parse(parsed, words, prog=prog)
    objects = {each.name for each in shown if each.default is not names[each.name].default}
    chosen = {
        name: value
        for name, value in given.items()
        if name not in objects or value != in_words(name, names[name].default)
    }
    return functools.partial(make, **chosen), *options


def _check_names(make: Callable[..., Recipe], names: Mapping[str, Any]) -> None:
    own = {name for group in (DEFAULTS, PLANNED) for name in vars(group)} | TAKEN
    if taken := [name for name in names if name in own]:
        raise UsageError(
            f"{make.__name__}: its option {taken[0]} is one of the command line, too: give it another name."
        )


def current_word(word: str, names: Container[str]) -> str:
    """A word of a command line, an option in it under its current name."""
    return re.sub(
        r"(?<=^--)[\w-]+", lambda flag: current_name(flag[0].replace("-", "_"), names).replace("_", "-"), word
    )


def repeat(path: Path, words: list[str]) -> tuple[MakeRecipe, Options]:
    """The recipe, first weights, seed, microbatches and skips of a `run.json`; arguments may set folder and execution.

    Example:
      >>> make, options = repeat(run / "run.json", ["--run", str(folder / "again")])
      >>> print(make.keywords["batch_size"], options.seed)
      64 0
    """
    request = read_request(path)
    make = make_again(request)
    _check_repeat(words, inspect.signature(make.func).parameters, path)
    again = Options(
        run=Path("runs") / f"{request['method']}-{request['recipe']}-again",
        init=Path(init) if isinstance(init := request.get("init", {}).get("path"), str) else None,
        seed=request["seed"],
        microbatches=request.get("microbatches", 1),
        skip_nonfinite=request.get("skip_nonfinite", 0),
    )

    def options(run_options: Options = again) -> Options:
        """Repeats a run: same recipe, same arguments, same first weights, same seed."""
        return run_options

    return make, parse(options, words, prog=f"ssl-jax pretrain --from {path}")


def _check_repeat(words: list[str], names: Container[str], path: Path) -> None:
    """A `UsageError` where the words name a method, or options of the recipe, which a repeated run takes from its run.json."""
    method = [word for word in words[:1] if not word.startswith("-")]
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    taken = method or [option for option in options if option[2:].replace("-", "_") in names]
    if taken:
        raise UsageError(
            f"from: a repeated run has the method and the recipe's options of {path}, got {taken[0]}: leave it out, or start a "
            "run of its own with `ssl-jax pretrain METHOD`."
        )
