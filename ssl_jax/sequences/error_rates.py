"""Error rates of transcriptions: fractions of wrong symbols and of wrong words."""

from collections.abc import Sequence
from typing import NamedTuple

from ssl_jax.evaluate.linear import wilson_interval

Symbols = Sequence[str]


class ErrorRates(NamedTuple):
    """The symbol error rate (of sounds: phoneme error rate), which may exceed 1, and the word error rate, in [0, 1]."""

    symbol_error_rate: float  # edits over the symbols of the references
    word_error_rate: float  # share of words that are not exactly one of their references
    interval: tuple[float, float]  # 95 % Wilson interval of the word error rate
    words: int


def error_rates(hypotheses: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> ErrorRates:
    """Error rates of one hypothesis for each word against its references.

    With several references the one with the fewest edits counts, the first of equals: its edits, and its length.

    Args:
      hypotheses: one for each word.
      references: one or more for each word, none of them empty.

    Raises:
      ValueError: another number of hypotheses than words, no words, or a word without references.

    Example:
      >>> print(error_rates(["kitten"], [["sitting", "mitten"]]))
      ErrorRates(symbol_error_rate=0.16666666666666666, word_error_rate=1.0, interval=(0.2065493117918027, 1.0), words=1)

    Source: Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion", section 5.2.
    """
    if len(hypotheses) != len(references) or not hypotheses or not all(map(len, references)):
        raise ValueError(
            f"error_rates: needs one hypothesis and one reference or more for each word, got {len(hypotheses)} hypotheses for "
            f"{len(references)} words, {sum(not of_word for of_word in references)} of them without references"
        )
    edits, symbols, wrong = 0, 0, 0
    for hypothesis, right in zip(hypotheses, references, strict=True):
        distances = [edit_distance(hypothesis, reference) for reference in right]
        nearest = distances.index(min(distances))
        edits += distances[nearest]
        symbols += len(right[nearest])
        wrong += distances[nearest] > 0
    share = wrong / len(references)
    return ErrorRates(edits / symbols, share, wilson_interval(share, len(references)), len(references))


def edit_distance(first: Symbols, second: Symbols) -> int:
    """Fewest symbols to insert, delete or replace that make one of the other; "kitten" and "sitting": 3.

    Example:
      >>> edit_distance("kitten", "sitting")
      3

    Source: Levenshtein 1966; Wagner and Fischer 1974, "The String-to-String Correction Problem".
    """
    above = list(range(len(second) + 1))  # From the empty sequence to each prefix of `second`.
    for row, symbol in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            current.append(min(above[column] + 1, current[-1] + 1, above[column - 1] + (symbol != other)))
        above = current
    return above[-1]
