"""Completion by the shell: its script calls `ssl-jax --complete WORD...`, which prints what the last word may be.

These words are read from the output of `ssl-jax list` and from help, which are kept, so that they take no import of jax.
"""

import re
from collections.abc import Callable, Sequence

from ssl_jax.errors import UsageError, pick

# Commands of a method, and their options that its help, which is the recipe's, does not have.
OF_A_METHOD = {
    "pretrain": ["--recipe", "--from"],
    "plan": ["--recipe", "--from", "--global-batch"],
    "sweep": ["--recipe", "--print"],
}

SCRIPTS = {
    "bash": """_ssl_jax() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("$1" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$2"))
}
complete -o default -F _ssl_jax ssl-jax""",
    "zsh": """_ssl_jax() {
  local -a found
  found=(${(f)"$("$words[1]" --complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -a found; else _files; fi
}
compdef _ssl_jax ssl-jax""",
}


def script(shell: str) -> str:
    """What the start file of a shell evaluates; a `UsageError` for a shell that has none."""
    return SCRIPTS[pick("shell", shell, SCRIPTS)]


def candidates(words: Sequence[str], commands: Sequence[str], printed: Callable[[list[str]], str]) -> list[str]:
    """What may stand in place of the last word; empty where it is the name of a file, or anything.

    Args:
      words: those of a command line up to the cursor, without `ssl-jax`.
      commands: names of the commands.
      printed: `words -> text`, the output of `list` and of help.
    """
    *before, last = _apart(words) or [""]
    if not before:
        return [*commands, "--help", "--version"]
    command, *before = before
    if command not in commands or command == "list":
        return []
    if command == "data":
        return _options([command, "--help"], before[1:], last, printed) if before else ["prepare"]
    if command not in OF_A_METHOD:
        return _options([command, "--help"], before, last, printed)
    recipes = _recipes(printed(["list"]))
    if not before:
        return OF_A_METHOD[command] if last.startswith("-") else [*recipes]
    if before[0] not in recipes:  # A file with a recipe, whose code is not to be run.
        return []
    if before[-1] == "--recipe":
        return recipes[before[0]]
    chosen = before[before.index("--recipe") :][:2] if "--recipe" in before else []
    found = _options([command, before[0], *chosen, "--help"], before, last, printed)
    return [*found, *OF_A_METHOD[command]] if last.startswith("-") else found


def _apart(words: Sequence[str]) -> list[str]:
    """Options and their values as words of their own: bash makes three words of `--keys=ring`, zsh one."""
    parts = [part for word in words[:-1] for part in (word.split("=", 1) if word.startswith("-") else [word])]
    return [part for part in parts if part != "="] + ["" if last == "=" else last for last in words[-1:]]


def _recipes(listed: str) -> dict[str, list[str]]:
    """The recipes of each method, from the output of `ssl-jax list`."""
    methods = re.findall(r"^(\w+)\n((?:  --recipe .*\n)+)", listed, re.MULTILINE)
    return {method: re.findall(r"^  --recipe (\w+)", lines, re.MULTILINE) for method, lines in methods}


def _options(command: list[str], before: Sequence[str], last: str, printed: Callable[[list[str]], str]) -> list[str]:
    """The values of the option before the last word where help names them; the options where the last word is one."""
    try:
        lines = re.findall(r"^(?:\W )?((?:-h, )?--.*)", printed(command), re.MULTILINE)
    except UsageError:  # Such as of an unknown recipe.
        return []
    values = {line.split()[0]: named for line in lines if (named := re.findall(r"\{([\w,]+)\}", line))}
    if before and before[-1] in values:
        return [each for each in values[before[-1]][0].split(",") if each != "None"]
    names = [name for line in lines for name in re.findall(r"--[\w-]+(?=,|\s|$)", re.split(r"\s{2}", line)[0])]
    return names if last.startswith("-") else []
