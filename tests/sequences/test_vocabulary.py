"""Words become indices and words again."""

import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.sequences.vocabulary import END, PADDING, START, Vocabulary

LETTERS, SOUNDS = Vocabulary(tuple("abc")), Vocabulary(("AA", "B", "K"))


def test_a_word_becomes_indices_with_an_end_and_padding():
    np.testing.assert_array_equal(LETTERS.encode("cab"), [5, 3, 4, END])
    padded = SOUNDS.encode(("K", "AA", "B"), length=6)
    np.testing.assert_array_equal(padded, [5, 3, 4, END, PADDING, PADDING])
    assert padded.dtype == np.int32 and len(LETTERS) == 6
    np.testing.assert_array_equal(LETTERS.encode(""), [END])


def test_indices_become_the_word_up_to_its_end():
    assert LETTERS.decode(LETTERS.encode("abba", length=9)) == tuple("abba")
    assert SOUNDS.decode([START, 5, PADDING, 3, END, 4, END]) == ("K", "AA")
    assert LETTERS.decode(np.array([3, 4], np.int32)) == ("a", "b")  # cut off before its end
    assert LETTERS.decode([END]) == ()


@pytest.mark.parametrize(
    ("vocabulary", "word", "sentence"),
    [
        (LETTERS, "cabd", "^the symbol 'd' of 'cabd' is unknown: use those of a b c.$"),
        (SOUNDS, ("K", "AA", "SCH"), "^the symbol 'SCH' of 'K AA SCH' is unknown: use those of AA B K.$"),
        (LETTERS, "abc", "^length: 'abc' takes 4 indices with its end, got a length of 3: choose 4 or more.$"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(vocabulary, word, sentence):
    with pytest.raises(UsageError, match=sentence):
        vocabulary.encode(word, length=3 if word == "abc" else None)


def test_a_symbol_has_one_index():
    with pytest.raises(UsageError, match=r"^symbols: each must occur once, but 'b' occurs more often: "):
        Vocabulary(("a", "b", "b"))
