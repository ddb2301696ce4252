"""Symbols and their numbers. Three numbers are the same in every vocabulary: nothing, the start and the end of a sequence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from ssl_jax.errors import UsageError

PADDING, START, END = 0, 1, 2
FIRST = 3  # The number of the first symbol.


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of symbols: letters of spelling, sounds of speech.

    symbols: what can be written, each once; the first has number 3. With padding, start and end there are `len(vocabulary)`
      numbers.

    Raises:
      UsageError: a symbol comes twice.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
        if twice:
            raise UsageError(f"symbols: each must come once, but {twice[0]!r} comes more often: leave the others out.")

    def __len__(self) -> int:
        return FIRST + len(self.symbols)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols, start=FIRST)}

    def encode(self, sequence: Sequence[str], *, length: int | None = None) -> NDArray[np.int32]:
        """The numbers of a word, an END after them, and PADDING up to `length` if that is given.

        `Vocabulary(tuple("abc")).encode("cab", length=6)` is `[5, 3, 4, 2, 0, 0]`.

        Raises:
          UsageError: the word has a symbol that is not here, or no room in `length`.
        """
        unknown = [symbol for symbol in sequence if symbol not in self._numbers]
        if unknown:
            known = " ".join(self.symbols)
            raise UsageError(f"the symbol {unknown[0]!r} of {_written(sequence)!r} is unknown: use those of {known}.")
        size = len(sequence) + 1
        if length is not None and size > length:
            raise UsageError(
                f"length: {_written(sequence)!r} takes {size} numbers with its end, but there is room for {length}: "
                f"choose {size} or more."
            )
        numbers = np.full(size if length is None else length, PADDING, np.int32)
        numbers[:size] = [*(self._numbers[symbol] for symbol in sequence), END]
        return numbers

    def decode(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """The symbols before the first END; padding and start, which a network may have written, stand for nothing."""
        before_end = takewhile(lambda number: number != END, map(int, numbers))
        return tuple(self.symbols[number - FIRST] for number in before_end if number >= FIRST)


def _written(sequence: Sequence[str]) -> str:
    return sequence if isinstance(sequence, str) else " ".join(sequence)
