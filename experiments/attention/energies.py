"""The energy of correct and wrong transcriptions of unseen words while a transformer learns spelling to sound.

    python experiments/attention/energies.py

Initially all transcriptions have similar energies. Soon random sounds have a high energy, and the sounds of another word;
finally one wrong sound costs several times the energy of the correct ones. Words are from the CMU Pronouncing Dictionary (`pip
install 'ssl_jax[speech]'`). Prints mean energies in nats; writes pictures/energies.svg beside this file.
"""

from pathlib import Path

import jax
import numpy as np
import tyro
from jax import Array
from learning import learn, on_devices
from numpy.typing import NDArray

from ssl_jax.report.figures import lines, write_svg
from ssl_jax.sequences.spelling import open_spelling
from ssl_jax.sequences.transcription import Transcription
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, FIRST
from ssl_jax.train.state import TrainState

PICTURES = Path(__file__).parent / "pictures"


def energies(
    *,
    seed: int = 0,
    words: int = 20_000,
    unseen: int = 500,
    dim: int = 64,
    depth: int = 2,
    steps: int = 1000,
    every: int = 100,
    pictures: Path = PICTURES,
) -> dict[str, list[tuple[float, float]]]:
    """Draws a curve for each kind of transcription; returns it as (step, mean energy in nats).

    Args:
      seed: seed of the run and of the wrong transcriptions.
      words, unseen: numbers of words for training and for evaluation.
      dim, depth: size of the transformer.
      steps, every: training steps, and steps between evaluations.
      pictures: folder for the figure.
    """
    dictionary = open_spelling(longest=10, train_words=words, test_words=unseen)
    part, symbols = dictionary.validation.examples.arrays, len(dictionary.sounds)
    kinds = transcriptions(part["sounds"], symbols=symbols, random=np.random.default_rng(seed))
    net = transformer(sources=len(dictionary.letters), symbols=symbols, dim=dim, depth=depth, heads=4)
    method, spelling = Transcription(net=net), on_devices(part["spelling"])
    kinds = {name: on_devices(sounds) for name, sounds in kinds.items()}

    @jax.jit
    def measure(state: TrainState) -> dict[str, Array]:
        return {
            name: method.energies(state.params, state.method_state, spelling, sounds).mean()
            for name, sounds in kinds.items()
        }

    _, records = learn(net, dictionary.train.examples, steps=steps, seed=seed, measure=measure, every=every)
    curves = {name: [(float(step), metrics[name]) for step, metrics in records] for name in kinds}
    for name, curve in curves.items():
        print(f"{name:<18} {curve[0][1]:6.1f} nats after {every} steps, {curve[-1][1]:6.1f} at the end")
    write_svg(
        pictures / "energies.svg", lines(curves, title="Energy of transcriptions", across="step", up="nats", low=0.0)
    )
    return curves


def transcriptions(
    sounds: NDArray[np.int32], *, symbols: int, random: np.random.Generator
) -> dict[str, NDArray[np.int32]]:
    """Correct ones `[N, T]`, and wrong ones: one sound changed, the sounds of the next word, as many random sounds."""
    lengths = (sounds >= FIRST).sum(axis=1)
    changed, rows = sounds.copy(), np.arange(len(sounds))
    at = (random.random(len(sounds)) * lengths).astype(int)
    others = random.integers(1, symbols - FIRST, len(sounds))
    changed[rows, at] = FIRST + (sounds[rows, at] - FIRST + others) % (symbols - FIRST)
    drawn = random.integers(FIRST, symbols, sounds.shape, dtype=np.int32)
    nonsense = np.where(sounds >= FIRST, drawn, sounds)
    assert ((nonsense == END) == (sounds == END)).all()
    return {
        "right": sounds,
        "one sound wrong": changed,
        "another word": np.roll(sounds, 1, axis=0),
        "nonsense": nonsense,
    }


if __name__ == "__main__":
    tyro.cli(energies)
