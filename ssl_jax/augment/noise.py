"""Noise for words: letters masked, deleted or moved, so that writing the word as it was is something to learn from.

A word is int32 `[S]`: numbers of its letters, an END, PADDING. Noise touches letters alone: the end follows the last one
that is left. Whatever happens to a word is decided by its key.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.data.vocabulary import FIRST, PADDING
from ssl_jax.errors import UsageError

Noise = Callable[[Array, Array], Array]  # (rng, word [S]) -> word [S]
Pair = dict[str, Array]  # "source" [S] is read, "target" [T] is written


def transcribed(rng: Array, word: Pair) -> Pair:
    """A spelling and its sounds, as they are: the views of supervised transcription."""
    return {"source": word["spelling"], "target": word["sounds"]}


def denoised(noise: Noise) -> Callable[[Array, Array], Pair]:
    """Views of a denoising autoencoder: the word in noise is read, the word itself is written.

    Source: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders"; for sequences
    Lewis et al. 2020, "BART", https://arxiv.org/abs/1910.13461.
    """

    def augment(rng: Array, word: Array) -> Pair:
        return {"source": noise(rng, word), "target": word}

    return augment


def noise(*, mask: int, masked: float = 0.1, deleted: float = 0.1, reach: int = 3) -> Noise:
    """Letters change places, some are deleted, some masked: in this order, each with a key of its own.

    Args:
      mask: number that stands for a masked letter, one that no letter has.
      masked, deleted: probabilities of a letter, in [0, 1).
      reach: how many places a letter moves at most; 0 leaves them.

    Raises:
      UsageError: a number is out of range.

    Source: deletion and moves, with these numbers, Lample et al. 2018, https://arxiv.org/abs/1711.00043, section 2.3.
    """
    for name, probability in (("masked", masked), ("deleted", deleted)):
        if not 0 <= probability < 1:
            raise UsageError(f"noise: {name} must be in [0, 1), got {probability}.")
    if mask < FIRST or reach < 0:
        raise UsageError(f"noise: mask must be {FIRST} or more and reach 0 or more, got {mask} and {reach}.")

    def corrupt(rng: Array, word: Array) -> Array:
        move_rng, delete_rng, mask_rng = jax.random.split(rng, 3)
        word = move_letters(move_rng, word, reach=reach)
        word = delete_letters(delete_rng, word, probability=deleted)
        return mask_letters(mask_rng, word, probability=masked, mask=mask)

    return corrupt


def mask_letters(rng: Array, word: Array, *, probability: float, mask: int) -> Array:
    """Each letter becomes `mask` with `probability`."""
    return jnp.where(_chosen(rng, word, probability), jnp.int32(mask), word)


def delete_letters(rng: Array, word: Array, *, probability: float) -> Array:
    """Each letter goes with `probability`; those behind it move up."""
    gone = _chosen(rng, word, probability)
    kept_first = jnp.argsort(gone, stable=True)
    return jnp.where(gone, PADDING, word)[kept_first]


def move_letters(rng: Array, word: Array, *, reach: int) -> Array:
    """A random order in which no letter is more than `reach` places from where it was."""
    later = jax.random.uniform(rng, word.shape, maxval=reach + 1)
    places = jnp.arange(len(word), dtype=jnp.float32) + jnp.where(_is_letter(word), later, len(word) + reach)
    return word[jnp.argsort(places, stable=True)]


def _chosen(rng: Array, word: Array, probability: float) -> Array:
    """Each letter with `probability`, and nothing else, `[S]`."""
    return _is_letter(word) & (jax.random.uniform(rng, word.shape) < probability)


def _is_letter(word: Array) -> Array:
    return word >= FIRST
