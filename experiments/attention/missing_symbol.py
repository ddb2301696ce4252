"""The missing symbol: letters and sounds are predicted from their neighbours, and what is alike gets vectors that are alike.

    python experiments/attention/missing_symbol.py --seeds 0 1 2

Two models, on words and on pronunciations of the CMU Pronouncing Dictionary (`pip install 'ssl_jax[speech]'`), without labels:
the continuous bag of words of word2vec, which averages two neighbours on each side, and a transformer that restores masked
symbols. They have no labels of vowels. The check: is the nearest vector, by its cosine, of a vowel a vowel's, and of a
consonant a consonant's? Beside it the untrained vectors, and the share of as good random assignments. Writes
results/missing_symbol.json and pictures/missing_symbol.svg, a map of the sounds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from learning import learn
from missing_runs import Found, run_missing
from numpy.typing import NDArray

from ssl_jax.data import Arrays
from ssl_jax.networks.functional import Net
from ssl_jax.report.figures import COLORS, framed, write_svg
from ssl_jax.report.html import Html, tag
from ssl_jax.sequences.encoder_only import context_bag, encoder_only
from ssl_jax.sequences.spelling import LETTERS, SOUNDS, VOWELS, Spelling, open_spelling
from ssl_jax.sequences.transcription import energies
from ssl_jax.sequences.vocabulary import END, FIRST, PADDING, Vocabulary
from ssl_jax.sequences.word_noise import missing, transcribed

RESULTS = Path(__file__).parents[1] / "results" / "missing_symbol.json"
PICTURES = Path(__file__).parent / "pictures"


class Symbols(NamedTuple):
    """Sequences of training and validation, and which symbols are asked about, with True for vowels."""

    vocabulary: Vocabulary
    train: NDArray[np.int32]
    unseen: NDArray[np.int32]
    vowels: dict[str, bool]


def missing_symbol(
    *,
    seeds: tuple[int, ...] = (0,),
    words: int = 20_000,
    unseen: int = 1000,
    dim: int = 32,
    steps: int = 400,
    results: Path = RESULTS,
    pictures: Path = PICTURES,
) -> Found:
    """Trains both models on both kinds of symbols; returns, by kind and model, the measurements of each seed.

    Those are "nats" of a missing symbol in unseen words, "right", the share of vectors whose nearest is of their kind,
    "untrained", the same before training, and "chance", the share of 10,000 random assignments that are as good.

    Args:
      seeds: one run each; the map is of seed 0.
      words, unseen: numbers of words for training and for evaluation.
      dim: size of a vector.
      steps: training steps.
      results: file of the measurements; runs that are missing in it follow one another.
      pictures: folder for the figure.
    """
    dictionary = open_spelling(longest=10, train_words=words, test_words=unseen)
    of_kind = kinds(dictionary)

    def measure(name: str, seed: int) -> dict[str, float]:
        kind, model = name.split(", ")
        symbols = of_kind[kind]
        if model == "frequencies":
            return {"nats": frequency_nats(symbols)}
        net, augment = models(len(symbols.vocabulary), dim)[model]
        pairs = Arrays(kind, inputs(symbols.train, augment))
        state, _ = learn(net, pairs, steps=steps, seed=seed, learning_rate=5e-3, augment=augment)
        vectors, start = (
            vectors_of(params, symbols) for params in (state.params["net"], net.init(jax.random.key(seed))[0])
        )
        if (name, seed) == ("sounds, bag of neighbours", 0):
            write_svg(pictures / "missing_symbol.svg", drawn(vectors, symbols.vowels))
        vowel = np.array(list(symbols.vowels.values()))
        return {
            "nats": nats(net, augment, state.params["net"], symbols),
            "right": nearest_alike(vectors, vowel),
            "untrained": nearest_alike(start, vowel),
            "chance": as_good(vectors, vowel),
        }

    settings = {"words": words, "unseen": unseen, "dim": dim, "steps": steps}
    names = [f"{kind}, {model}" for kind in of_kind for model in ("bag of neighbours", "masked")]
    found = run_missing(results, settings, names, seeds, measure)
    found |= run_missing(results, settings, [f"{kind}, frequencies" for kind in of_kind], (0,), measure)
    for name, kept in found.items():
        print(
            name,
            *(f"{metric} {np.mean(values):.3f} ± {np.std(values):.3f}" for metric, values in kept.items()),
            sep="  ",
        )
    return found


def kinds(dictionary: Spelling) -> dict[str, Symbols]:
    """Letters without y, which is both, and without signs; and all sounds."""
    letters = {letter: letter in "aeiou" for letter in "abcdefghijklmnopqrstuvwxz"}
    sounds = {sound: sound in VOWELS for sound in SOUNDS.symbols}
    parts = dictionary.train, dictionary.validation
    return {
        "letters": Symbols(LETTERS, *(part.spellings.arrays["spelling"] for part in parts), letters),
        "sounds": Symbols(SOUNDS, *(part.examples.arrays["sounds"] for part in parts), sounds),
    }


def models(symbols: int, dim: int) -> dict[str, tuple[Net, Callable[..., Any]]]:
    """Networks and their views; the index after the symbols is the mask."""
    return {
        "bag of neighbours": (context_bag(symbols=symbols, dim=dim, window=2), transcribed),
        "masked": (encoder_only(symbols=symbols + 1, dim=dim, depth=1, heads=2), missing(mask=symbols, masked=0.2)),
    }


def nats(net: Net, augment: Callable[..., Any], params: Any, symbols: Symbols) -> float:
    """Mean energy of a missing symbol of unseen words; ends are given."""
    rngs = jax.random.split(jax.random.key(0), len(symbols.unseen))
    words = inputs(jnp.asarray(symbols.unseen), augment)
    views = jax.vmap(augment)(rngs, words if augment is transcribed else words["spelling"])
    logits = jax.jit(lambda source: net.apply(params, {}, source, train=False)[0]["logits"])(views["source"])
    target = jnp.where(views["target"] == END, PADDING, views["target"])
    return float(energies(logits, target).sum()) / int((target != PADDING).sum())


def inputs(sequences: Any, augment: Callable[..., Any]) -> dict[str, Any]:
    """Sources and targets for `transcribed`; the sequences alone for views that are made of them."""
    return {"spelling": sequences, **({"sounds": sequences} if augment is transcribed else {})}


def frequency_nats(symbols: Symbols) -> float:
    """Every symbol predicted by its frequency."""
    train, unseen = (part[part >= FIRST] for part in (symbols.train, symbols.unseen))
    counts = np.bincount(train, minlength=len(symbols.vocabulary)) + 1.0
    return float(-np.log(counts / counts[FIRST:].sum())[unseen].mean())


def vectors_of(params: Any, symbols: Symbols) -> NDArray[np.float64]:
    """Vectors `[N, D]` of the symbols that are asked about, without their mean."""
    rows = [FIRST + symbols.vocabulary.symbols.index(symbol) for symbol in symbols.vowels]
    vectors = np.asarray(params["vectors"]["embedding"], np.float64)[rows]
    return vectors - vectors.mean(axis=0)


def nearest_alike(vectors: NDArray[np.float64], kind: NDArray[np.bool_]) -> float:
    """Share of vectors, of both kinds alike, whose nearest other vector is of their kind: 0.5 by chance, about."""
    alike = kind[nearest(vectors)] == kind
    return float((alike[kind].mean() + alike[~kind].mean()) / 2)


def nearest(vectors: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the other vector with the largest cosine, `[N]`."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.argmax(axis=1)


def as_good(vectors: NDArray[np.float64], kind: NDArray[np.bool_], *, tries: int = 10_000) -> float:
    """Share of random assignments of the kinds to the vectors that are at least as good."""
    found, to, random = nearest_alike(vectors, kind), nearest(vectors), np.random.default_rng(0)
    kinds = random.permuted(np.tile(kind, (tries, 1)), axis=1)
    alike = kinds[:, to] == kinds
    rates = [np.where(side, alike, 0).sum(axis=1) / side.sum(axis=1) for side in (kinds, ~kinds)]
    return float(((rates[0] + rates[1]) / 2 >= found - 1e-9).mean())


def drawn(vectors: NDArray[np.float64], vowels: dict[str, bool]) -> Html:
    """The symbols at the first two principal components of their directions."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    at = centred @ axes[:2].T
    low, high = at.min(axis=0), at.max(axis=0)
    spots = (at - low) / (high - low) * [440, 300] + [40, 60]
    parts: Sequence[Html] = [
        tag("text", name, x=f"{x:.0f}", y=f"{y:.0f}", class_="middle mark", style=f"fill: {COLORS[int(vowels[name])]}")
        for name, (x, y) in zip(vowels, spots, strict=True)
    ]
    legend = [
        tag("text", word, x=16 + 100 * number, y=40, class_="mark", style=f"fill: {COLORS[number]}")
        for number, word in enumerate(("consonants", "vowels"))
    ]
    return framed(520, 380, "Vectors of sounds, learned from their neighbours", *legend, *parts)


if __name__ == "__main__":
    tyro.cli(missing_symbol)
