"""Symbols and their indices. Three are the same in every vocabulary: padding, the start and the end of a sequence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from ssl_jax.errors import UsageError

PADDING, START, END = 0, 1, 2
FIRST = 3  # The index of the first symbol.


@dataclass(frozen=True)
class Vocabulary:
    """Indices of symbols: letters of spelling, sounds of speech.

    symbols: each once; the first has index 3. `len(vocabulary)` counts padding, start and end, too.

    Raises:
      UsageError: a symbol occurs twice.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
        if twice:
            raise UsageError(
                f"symbols: each must occur once, but {twice[0]!r} occurs more often: remove the repetitions."
            )

    def __len__(self) -> int:
        return FIRST + len(self.symbols)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols, start=FIRST)}

    def encode(self, sequence: Sequence[str], *, length: int | None = None) -> NDArray[np.int32]:
        """The indices of a word, an END after them, and PADDING up to `length` if that is given.

        `Vocabulary(tuple("abc")).encode("cab", length=6)` is `[5, 3, 4, 2, 0, 0]`.

        Raises:
          UsageError: the word has an unknown symbol, or is longer than `length` with its end.
        """
        unknown = [symbol for symbol in sequence if symbol not in self._indices]
        if unknown:
            choices = " ".join(self.symbols)
            raise UsageError(f"the symbol {unknown[0]!r} of {_written(sequence)!r} is unknown: use those of {choices}.")
        size = len(sequence) + 1
        if length is not None and size > length:
            raise UsageError(
                f"length: {_written(sequence)!r} takes {size} indices with its end, got a length of {length}: "
                f"choose {size} or more."
            )
        indices = np.full(size if length is None else length, PADDING, np.int32)
        indices[:size] = [*(self._indices[symbol] for symbol in sequence), END]
        return indices

    def decode(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The symbols before the first END, without padding and start."""
        before_end = takewhile(lambda index: index != END, map(int, indices))
        return tuple(self.symbols[index - FIRST] for index in before_end if index >= FIRST)


def _written(sequence: Sequence[str]) -> str:
    return sequence if isinstance(sequence, str) else " ".join(sequence)
