"""Noise changes letters alone, with the given probabilities, and depends on its key alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.sequences.vocabulary import END, PADDING, Vocabulary
from ssl_jax.sequences.word_noise import (
    delete_letters,
    denoised,
    mask_letters,
    missing,
    move_letters,
    noise,
    transcribed,
)

LETTERS = Vocabulary(tuple("abcdefgh"))
MASK = len(LETTERS)
WORD = jnp.asarray(LETTERS.encode("abcdefgh", length=12))
KEYS = jax.random.split(jax.random.key(0), 500)


def drawn(function, word=WORD, **options):
    """`function` with 500 keys, `[500, S]`."""
    return np.asarray(jax.jit(jax.vmap(lambda key: function(key, word, **options)))(KEYS))


def test_masked_letters_stay_where_they_were():
    words = drawn(mask_letters, probability=0.25, mask=MASK)
    masked = words == MASK
    np.testing.assert_array_equal(np.where(masked, WORD, words), np.broadcast_to(WORD, words.shape))
    assert not masked[:, 8:].any()  # neither the end nor the padding
    np.testing.assert_allclose(masked[:, :8].mean(axis=0), 0.25, atol=0.06)


def test_what_follows_a_deleted_letter_moves_up():
    words = drawn(delete_letters, probability=0.3)
    lengths = []
    for word in words:
        end = list(word).index(END)
        letters = LETTERS.decode(word)
        assert len(letters) == end and list(letters) == sorted(set(letters)) and (word[end + 1 :] == PADDING).all()
        lengths.append(end)
    np.testing.assert_allclose(np.mean(lengths), 0.7 * 8, atol=0.2)
    assert min(lengths) < 4 and max(lengths) == 8
    gone = [sum(letter not in LETTERS.decode(word) for word in words) / 500 for letter in LETTERS.symbols]
    np.testing.assert_allclose(gone, 0.3, atol=0.07)


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_no_letter_moves_further_than_the_reach(reach):
    words = drawn(move_letters, reach=reach)
    np.testing.assert_array_equal(words[:, 8:], np.broadcast_to(WORD[8:], (500, 4)))
    np.testing.assert_array_equal(np.sort(words[:, :8], axis=1), np.broadcast_to(WORD[:8], (500, 8)))
    moved = np.abs(words[:, :8] - 3 - np.arange(8))
    assert moved.max() == reach
    assert reach == 0 or (moved > 0).mean() > 0.2  # Neighbours change places with probability 1/8 if reach is 1.


def test_noise_is_all_of_it_and_the_word_is_the_target():
    augment = denoised(noise(mask=MASK))
    pairs = jax.jit(jax.vmap(augment, (0, None)))(KEYS, WORD)
    again = jax.jit(jax.vmap(augment, (0, None)))(KEYS, WORD)
    np.testing.assert_array_equal(pairs["source"], again["source"])
    np.testing.assert_array_equal(pairs["target"], np.broadcast_to(WORD, (500, 12)))
    source = np.asarray(pairs["source"])
    assert pairs["source"].dtype == jnp.int32
    np.testing.assert_allclose((source == MASK).sum() / 500, 0.1 * 0.9 * 8, atol=0.15)
    np.testing.assert_allclose((source >= 3).sum() / 500, 0.9 * 8, atol=0.15)
    assert (source == END).sum() == 500 and len({tuple(word) for word in source}) > 400
    letters = [[letter for letter in word if 3 <= letter < MASK] for word in source]
    assert np.mean([list(word) != sorted(word) for word in letters]) > 0.5


def test_without_noise_the_word_is_read_as_it_is():
    corrupt = noise(mask=MASK, masked=0, deleted=0, reach=0)
    np.testing.assert_array_equal(corrupt(KEYS[0], WORD), WORD)
    pair = transcribed(KEYS[0], {"spelling": WORD, "sounds": WORD[:3]})
    np.testing.assert_array_equal(pair["source"], WORD)
    np.testing.assert_array_equal(pair["target"], WORD[:3])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask": 5, "masked": 1.0}, r"noise: masked must be in \[0, 1\), got 1.0."),
        ({"mask": 5, "deleted": -0.1}, r"noise: deleted must be in \[0, 1\), got -0.1."),
        ({"mask": 2}, "noise: mask must be 3 or more and reach 0 or more, got 2 and 3."),
        ({"mask": 5, "reach": -1}, "noise: mask must be 3 or more and reach 0 or more, got 5 and -1."),
    ],
)
def test_what_is_out_of_range_is_one_sentence(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        noise(**options)


def test_only_missing_letters_are_asked_for():
    word = jnp.array([3, 4, 5, 6, 7, 8, 2, 0])
    views = jax.vmap(missing(mask=9, masked=0.3), in_axes=(0, None))(jax.random.split(jax.random.key(0), 500), word)
    source, target = np.asarray(views["source"]), np.asarray(views["target"])
    masked = source == 9
    np.testing.assert_array_equal(source, np.where(masked, 9, word))
    np.testing.assert_array_equal(target, np.where(masked, word, 0))
    assert not masked[:, 6:].any() and abs(masked[:, :6].mean() - 0.3) < 0.03  # Standard error 0.008.
    for wrong in (0.0, 1.0):
        with pytest.raises(UsageError, match=r"masked in \(0, 1\)"):
            missing(mask=9, masked=wrong)
