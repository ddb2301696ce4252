"""Autoencoder, denoising autoencoder, transformer and language model: four ways to predict a word, side by side.

    python experiments/attention/architectures.py --seeds 0 1 2

All four are encoders and decoders of the same modules, and predict the letters y of words of the CMU Pronouncing Dictionary
(`pip install 'ssl_jax[speech]'`). What differs is what keeps them from copying: a code of few values, noise, the delay; and
whether they have x, the sounds of the word. Prints nats a letter and wrong letters of unseen words; writes
results/architectures.json and pictures/architectures.svg.
"""

from collections.abc import Mapping
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
from ssl_jax.report.figures import framed, write_svg
from ssl_jax.report.html import Html, tag
from ssl_jax.sequences.encoder_only import encoder_only
from ssl_jax.sequences.spelling import LETTERS, SOUNDS, Part, Spelling, open_spelling
from ssl_jax.sequences.transcription import energies
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, PADDING
from ssl_jax.sequences.word_noise import denoised, noise, transcribed

RESULTS = Path(__file__).parents[1] / "results" / "architectures.json"
PICTURES = Path(__file__).parent / "pictures"
MASK = len(LETTERS)


class Architecture(NamedTuple):
    """A network, its pairs of source and target, and what the source and the delayed target pass through."""

    net: Net
    source: str  # "spelling" or "sounds"
    noisy: bool
    steps: tuple[str, ...]  # on the way from y to the prediction, for the picture
    barrier: str  # what keeps the network from copying y


def architectures(
    *,
    seeds: tuple[int, ...] = (0,),
    words: int = 20_000,
    unseen: int = 1000,
    dim: int = 64,
    depth: int = 1,
    code: int = 8,
    steps: int = 500,
    results: Path = RESULTS,
    pictures: Path = PICTURES,
) -> Found:
    """Trains and draws all four; returns, by name, "nats" a letter and "wrong" letters in percent, one for each seed.

    Args:
      seeds: one run each.
      words, unseen: numbers of words for training and for evaluation.
      dim, depth: size of the networks.
      code: values of the autoencoder's code.
      steps: training steps.
      results: file of the measurements; runs that are missing in it follow one another.
      pictures: folder for the figure.
    """
    dictionary = open_spelling(longest=10, train_words=words, test_words=unseen)
    made = four(dim=dim, depth=depth, code=code)

    def measure(name: str, seed: int) -> dict[str, float]:
        return measured(made[name], dictionary, steps=steps, seed=seed)

    settings = {"words": words, "unseen": unseen, "dim": dim, "depth": depth, "code": code, "steps": steps}
    found = run_missing(results, settings, made, seeds, measure)
    rates = run_missing(
        results, settings, ("frequencies of letters", "copy of the noisy word"), (0,),
        lambda name, _: frequencies(dictionary) if name == "frequencies of letters" else copied(dictionary, made),
    )  # fmt: skip
    for name, kept in (found | rates).items():
        print(
            name,
            *(f"{metric} {np.mean(values):.3f} ± {np.std(values):.3f}" for metric, values in kept.items()),
            sep="  ",
        )
    write_svg(pictures / "architectures.svg", drawn(made, found))
    return found | rates


def measured(one: Architecture, dictionary: Spelling, *, steps: int, seed: int) -> dict[str, float]:
    """Trains one, and reads unseen words."""
    state, _ = learn(
        one.net, pairs(dictionary.train, one), steps=steps, seed=seed, learning_rate=5e-3,
        augment=denoised(corrupt) if one.noisy else transcribed,
    )  # fmt: skip
    source, target = views(dictionary.validation, one)
    apply = jax.jit(lambda params, *inputs: one.net.apply(params, {}, *inputs, train=False)[0]["logits"])
    logits, counted = apply(state.params["net"], source, target), target != PADDING
    return {
        "nats": float(energies(logits, target).sum()) / int(counted.sum()),
        "wrong": 100 * float((np.asarray(logits.argmax(-1)) != target)[counted].mean()),
    }


def four(*, dim: int, depth: int, code: int) -> dict[str, Architecture]:
    """The architectures by name; the last is the third without x."""
    letters: Any = {"dim": dim, "depth": depth, "heads": 4}
    autoencoder, denoiser = (encoder_only(symbols=MASK + 1, **letters, code=size) for size in (code, None))
    conditional, alone = (transformer(sources=size, symbols=MASK, **letters) for size in (len(SOUNDS), None))
    return {
        "autoencoder": Architecture(
            autoencoder, "spelling", False, ("encoder", f"{code} values", "decoder"), f"{code} values"
        ),
        "denoising autoencoder": Architecture(denoiser, "spelling", True, ("noise", "encoder", "decoder"), "noise"),
        "conditional delayed denoising autoencoder": Architecture(
            conditional, "sounds", False, ("delay", "encoder", "predictor", "decoder"), "delay"
        ),
        "language model": Architecture(alone, "spelling", False, ("delay", "encoder", "decoder"), "delay"),
    }


def corrupt(rng: jax.Array, word: jax.Array) -> jax.Array:
    """A fifth of the letters masked, and neighbours exchanged: each letter stays at, or beside, its position."""
    return noise(mask=MASK, masked=0.2, deleted=0.0, reach=1)(rng, word)


def pairs(part: Part, one: Architecture) -> Arrays:
    """The examples of training; a denoiser takes its source from the target."""
    examples = part.examples.arrays
    if one.noisy:
        return part.spellings
    return Arrays(part.examples.name, {"spelling": examples[one.source], "sounds": examples["spelling"]})


def views(part: Part, one: Architecture) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sources and targets of the evaluation; noise is that of a fixed key."""
    if not one.noisy:
        source, target = pairs(part, one).arrays.values()
        return source, target
    words = part.spellings.arrays["spelling"]
    return np.asarray(jax.vmap(corrupt)(jax.random.split(jax.random.key(0), len(words)), jnp.asarray(words))), words


def frequencies(dictionary: Spelling) -> dict[str, float]:
    """Every letter, and the end, predicted by its frequency in training: what a network without any input reaches."""
    parts = dictionary.train, dictionary.validation
    train, unseen = (rows[rows >= END] for rows in (part.examples.arrays["spelling"] for part in parts))
    counts = np.bincount(train, minlength=MASK) + 1.0
    nats = -np.log(counts / counts[END:].sum())[unseen].mean()
    return {"nats": float(nats), "wrong": 100 * float((unseen != counts.argmax()).mean())}


def copied(dictionary: Spelling, made: Mapping[str, Architecture]) -> dict[str, float]:
    """The letters that noise has changed."""
    source, target = views(dictionary.validation, made["denoising autoencoder"])
    return {"wrong": 100 * float((source != target)[target != PADDING].mean())}


def drawn(shown: Mapping[str, Architecture], found: Mapping[str, Mapping[str, list[float]]]) -> Html:
    """A row for each architecture: its modules from y to the prediction, x below the predictor, and the measurements."""
    parts: list[Html] = []
    for row, (name, one) in enumerate(shown.items()):
        y = 66 + 104 * row
        parts.append(tag("text", name, x=16, y=y - 14, style="font-weight: 600"))
        boxes = ("y", *one.steps, "ỹ")
        for number, word in enumerate(boxes):
            x = 16 + 92 * number
            if number:
                parts.append(arrow(x - (16 if number > 1 else 62), y + 14, x - 2, y + 14))
            parts.append(box(word, x, y, small=word in ("y", "ỹ"), marked=word == one.barrier))
            if word == "predictor":
                parts += [
                    arrow(x + 36, y + 50, x + 36, y + 31),
                    tag("text", "encoder ← x, the sounds", x=x - 30, y=y + 64),
                ]
        values = found[name]
        parts.append(tag("text", f"{spread(values['nats'], 2)} nats", x=580, y=y + 10))
        parts.append(tag("text", f"{spread(values['wrong'], 1)} % wrong", x=580, y=y + 28))
    return framed(720, 66 + 104 * len(shown), "What is encoded, and what keeps it from being copied", *parts)


def box(word: str, x: float, y: float, *, small: bool, marked: bool) -> Html:
    rect = tag(
        "rect", x=x, y=y, width=28 if small else 74, height=28, rx=14 if small else 5, fill="none",
        stroke="#c8501e" if marked else "#1f6fb2", class_="curve",
    )  # fmt: skip
    return tag("g", rect, tag("text", word, x=x + (14 if small else 37), y=y + 19, class_="middle"))


def arrow(x: float, y: float, to_x: float, to_y: float) -> Html:
    along = (4 * np.sign(to_x - x), 4 * np.sign(to_y - y))
    left, right = (f"{to_x - along[0] + side * along[1]},{to_y - along[1] + side * along[0]}" for side in (1, -1))
    head = tag("polygon", points=f"{to_x},{to_y} {left} {right}", fill="#8a9099")
    return tag("g", tag("path", d=f"M{x} {y}L{to_x} {to_y}", stroke="#8a9099"), head)


def spread(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f}" + (f" ± {np.std(values):.{digits}f}" if len(values) > 1 else "")


if __name__ == "__main__":
    tyro.cli(architectures)
