"""Data by their place on disk, as on the command line: a folder, a file, or several files, and what follows the path.

`PATH[,range=LOW:HIGH][,image=KEY][,label=KEY]`: PATH may have `*`, `?` and `{000..123}` for several files; `range` states the
pixels that become black and white (`ssl_jax.data.pixels.depth`); the keys choose among several columns.
"""

import glob
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssl_jax.data.pixels.depth import Levels, stated_levels
from ssl_jax.errors import UsageError

KEYS = re.compile(r"(?P<path>.+?)(?P<keys>(,(range|image|label)=[^,=]*)+)", re.DOTALL)
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
NO_LABEL = "none"  # As a key: labels are left out.
MOST_FILES = 100_000


class Place(NamedTuple):
    """A path and the keys that follow it. text: the path as it was given, a pattern where it names several files."""

    text: str
    levels: Levels | None = None
    image: str | None = None
    label: str | None = None
    keys: str = ""

    @property
    def path(self) -> Path:
        return Path(self.text).expanduser()

    @property
    def is_pattern(self) -> bool:
        return not os.path.exists(self.path) and bool(re.search(r"[*?\[{]", self.text))

    @property
    def absolute(self) -> str:
        """The name of the same place in every working directory."""
        return os.path.abspath(self.path) + self.keys

    def files(self) -> list[Path]:
        """The files that a pattern names, sorted.

        Raises:
          UsageError: there is none, or none for one of the names in braces: data without a shard are other data.
        """
        expanded = itertools.islice(_braces(str(self.path)), MOST_FILES)
        found = {pattern: [path for path in glob.iglob(pattern) if os.path.isfile(path)] for pattern in expanded}
        missing = [pattern for pattern, paths in found.items() if not paths]
        if len(missing) == len(found):
            raise UsageError(f"data: {self.text} names no file: check the pattern and the folder.")
        if missing:
            raise UsageError(
                f"data: {len(missing)} of the {len(found)} names in {self.text} have no file, the first is {missing[0]}: copy "
                "what is missing, or change the numbers."
            )
        return sorted({Path(path) for paths in found.values() for path in paths})


def place_of(name: str) -> Place | None:
    """The place of this name; None where it is no path: paths exist, or begin with /, . or ~."""
    if not name.strip() or "\0" in name:
        return None
    found = None if os.path.exists(Path(name).expanduser()) else KEYS.fullmatch(name)
    pairs = [pair.split("=", 1) for pair in found["keys"][1:].split(",")] if found else []
    keys, text = dict(pairs), found["path"] if found else name
    place = Place(text, image=keys.get("image"), label=keys.get("label"), keys=found["keys"] if found else "")
    if not (os.path.exists(place.path) or name.startswith(("/", ".", "~")) or (place.is_pattern and _matches(text))):
        return None
    if len(keys) < len(pairs) or not all(keys.values()):
        raise UsageError(f"data: got {name!r}, expected each of range, image and label once, with a value after its =.")
    return place._replace(levels=stated_levels(keys["range"])) if "range" in keys else place


def _matches(text: str) -> bool:
    return any(next(glob.iglob(os.path.expanduser(each)), None) for each in itertools.islice(_braces(text), MOST_FILES))


def _braces(text: str) -> Iterator[str]:
    """`a-{08..10}.tar` -> a-08.tar, a-09.tar, a-10.tar; `{a,b}` as in a shell."""
    found = BRACES.search(text)
    if not found:
        yield text
        return
    first, last, names = found.groups()
    middle = (
        (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)) if first else names.split(",")
    )
    for each in middle:
        yield from _braces(text[: found.start()] + each + text[found.end() :])
