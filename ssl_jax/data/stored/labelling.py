"""Labels of stored examples, integers or texts, as numbers of classes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_jax.errors import UsageError
from ssl_jax.files import printable

MOST_CLASSES = 100_000
Values = Sequence[int | str | None] | NDArray[np.int64]


class Labelled(NamedTuple):
    """labels: of each part, int32 `[N]`, -1 where there is none. classes: their names."""

    labels: dict[str, NDArray[np.int32]]
    classes: tuple[str, ...]


def numbered(parts: Mapping[str, Values], *, name: str, names: Sequence[str] = ()) -> Labelled:
    """The labels of all parts as numbers of the same classes.

    Args:
      parts: of each part the labels: integers, or texts, which become classes in alphabetical order; None or -1 for none.
      name: of the data, for messages.
      names: names of the classes 0, 1, ..., where they are known; else "0", "1", ...

    Raises:
      UsageError: labels below -1, of 100,000 or more, or without a name where there are names.
    """
    if any(isinstance(value, str) for values in parts.values() for value in values):
        texts = {part: [None if value is None else str(value) for value in values] for part, values in parts.items()}
        words = sorted({text for values in texts.values() for text in values if text is not None})
        _check(0, len(words) - 1, MOST_CLASSES, name)
        number = {word: label for label, word in enumerate(words)} | {None: -1}
        labels = {part: np.array([number[text] for text in values], np.int32) for part, values in texts.items()}
        return Labelled(labels, tuple(map(printable, words)))
    found = {
        part: values if isinstance(values, np.ndarray) else np.array([*map(_bounded, values)], np.int64)
        for part, values in parts.items()
    }
    lowest = min((int(each.min()) for each in found.values() if len(each)), default=-1)
    highest = max((int(each.max()) for each in found.values() if len(each)), default=-1)
    _check(lowest, highest, len(names) or MOST_CLASSES, name)
    classes = tuple(map(printable, names)) or tuple(map(str, range(highest + 1)))
    return Labelled({part: each.astype(np.int32) for part, each in found.items()}, classes if highest >= 0 else ())


def _bounded(value: int | str | None) -> int:
    """Integers of any length as those of 64 bits, on the same side of what is allowed."""
    return -1 if value is None else max(-2, min(int(value), MOST_CLASSES))


def _check(lowest: int, highest: int, most: int, name: str) -> None:
    if lowest < -1 or highest >= most:
        raise UsageError(
            f"data: the labels of {name} are in {lowest} ... {highest}, expected 0 to {most - 1}, or -1 for none: add "
            ",label=none to its name to train without labels."
        )
