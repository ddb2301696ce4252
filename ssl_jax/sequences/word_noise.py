"""Noise for words: letters masked, deleted or moved, so that a network can learn to restore the word.

A word is int32 `[S]`: indices of its letters, an END, PADDING. Noise changes letters only: the end follows the last remaining
letter. The noise depends on the key only.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.sequences.vocabulary import FIRST, PADDING

Noise = Callable[[Array, Array], Array]  # (rng, word [S]) -> word [S]
Pair = dict[str, Array]  # "source" [S] is the input, "target" [T] the sequence to predict


def transcribed(rng: Array, word: Pair) -> Pair:
    """A spelling and its sounds without noise: the views of supervised transcription.

    Example:
      >>> word = {"spelling": jnp.array([3, 4, 5, 2]), "sounds": jnp.array([7, 8, 2])}
      >>> print(transcribed(jax.random.key(0), word))
      {'source': Array([3, 4, 5, 2], dtype=int32), 'target': Array([7, 8, 2], dtype=int32)}
    """
    return {"source": word["spelling"], "target": word["sounds"]}


def denoised(noise: Noise) -> Callable[[Array, Array], Pair]:
    """Views of a denoising autoencoder: the word with noise is the source, the word without is the target.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> views = denoised(noise(mask=9))(jax.random.key(0), word)
      >>> print(sorted(views))
      ['source', 'target']

    Source: Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders"; for sequences
    Lewis et al. 2020, "BART", https://arxiv.org/abs/1910.13461.
    """

    def augment(rng: Array, word: Array) -> Pair:
        return {"source": noise(rng, word), "target": word}

    return augment


def missing(*, mask: int, masked: float) -> Callable[[Array, Array], Pair]:
    """Views that ask for missing letters: some letters of the source are `mask`, and only these are in the target.

    Args:
      mask: index of the mask symbol, which is no letter's.
      masked: probability for each letter, in (0, 1).

    Raises:
      UsageError: a value is out of range.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> print(missing(mask=9, masked=0.5)(jax.random.key(0), word))
      {'source': Array([3, 4, 9, 9, 2, 0], dtype=int32), 'target': Array([0, 0, 5, 6, 0, 0], dtype=int32)}

    Source: Devlin et al. 2019, "BERT", https://arxiv.org/abs/1810.04805, section 3.1, but all chosen letters are masked.
    """
    if mask < FIRST or not 0 < masked < 1:
        raise UsageError(f"missing: mask must be {FIRST} or more and masked in (0, 1), got {mask} and {masked}.")

    def augment(rng: Array, word: Array) -> Pair:
        chosen = _chosen(rng, word, masked)
        return {"source": jnp.where(chosen, jnp.int32(mask), word), "target": jnp.where(chosen, word, PADDING)}

    return augment


def noise(*, mask: int, masked: float = 0.1, deleted: float = 0.1, reach: int = 3) -> Noise:
    """Letters are moved, then some deleted, then some masked, each step with its own key.

    Args:
      mask: index of the mask symbol, which is no letter's.
      masked, deleted: probabilities for each letter, in [0, 1).
      reach: largest number of positions by which a letter moves; 0 for no moves.

    Raises:
      UsageError: a value is out of range.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> print(noise(mask=9)(jax.random.key(0), word).shape)
      (6,)

    Source: deletion and moves, with these values, Lample et al. 2018, https://arxiv.org/abs/1711.00043, section 2.3.
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
    """Each letter becomes `mask` with `probability`.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> print(mask_letters(jax.random.key(0), word, probability=0.5, mask=9))
      [3 4 9 9 2 0]
    """
    return jnp.where(_chosen(rng, word, probability), jnp.int32(mask), word)


def delete_letters(rng: Array, word: Array, *, probability: float) -> Array:
    """Each letter is deleted with `probability`; those after it move up.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> print(delete_letters(jax.random.key(0), word, probability=0.5))
      [3 4 2 0 0 0]
    """
    gone = _chosen(rng, word, probability)
    kept_first = jnp.argsort(gone, stable=True)
    return jnp.where(gone, PADDING, word)[kept_first]


def move_letters(rng: Array, word: Array, *, reach: int) -> Array:
    """A random order in which no letter is more than `reach` positions from its own.

    Example:
      >>> word = jnp.array([3, 4, 5, 6, 2, 0])
      >>> print(move_letters(jax.random.key(0), word, reach=2))
      [3 5 4 6 2 0]
    """
    later = jax.random.uniform(rng, word.shape, maxval=reach + 1)
    ranks = jnp.arange(len(word), dtype=jnp.float32) + jnp.where(_is_letter(word), later, len(word) + reach)
    return word[jnp.argsort(ranks, stable=True)]


def _chosen(rng: Array, word: Array, probability: float) -> Array:
    """A mask `[S]` of letters, each with `probability`; False for all other symbols."""
    return _is_letter(word) & (jax.random.uniform(rng, word.shape) < probability)


def _is_letter(word: Array) -> Array:
    return word >= FIRST
