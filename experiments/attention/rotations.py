"""Queries, keys and values as rotations of the input, against free linear projections: learning curves of two transformers.

    python experiments/attention/rotations.py --seeds 0 1 2

Spelling to sound on the CMU Pronouncing Dictionary (`pip install 'ssl_jax[speech]'`). Prints the energy of correct
transcriptions of unseen words, in nats a sound; writes pictures/rotations.svg beside this file.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from learning import learn, on_devices

from ssl_jax.report.figures import lines, write_svg
from ssl_jax.sequences.spelling import open_spelling
from ssl_jax.sequences.transcription import Transcription
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import PADDING
from ssl_jax.train.state import TrainState

PICTURES = Path(__file__).parent / "pictures"


def rotations(
    *,
    seeds: tuple[int, ...] = (0,),
    words: int = 20_000,
    dim: int = 64,
    depth: int = 2,
    steps: int = 1000,
    every: int = 100,
    pictures: Path = PICTURES,
) -> dict[str, list[tuple[float, float]]]:
    """Draws the learning curve of each projection; returns it as (step, nats a sound of unseen words), the mean over seeds.

    Args:
      seeds: one run each.
      words: number of words for training; as many more are for validation, at most 1,000.
      dim, depth: size of the transformers.
      steps, every: training steps, and steps between evaluations.
      pictures: folder for the figure.
    """
    dictionary = open_spelling(longest=10, train_words=words, test_words=min(words, 1000))
    unseen = {name: on_devices(rows) for name, rows in dictionary.validation.examples.arrays.items()}
    curves = {}
    for projection in ("linear", "rotation"):
        net = transformer(
            sources=len(dictionary.letters), symbols=len(dictionary.sounds), dim=dim, depth=depth, heads=4,
            projection=projection,
        )  # fmt: skip
        measure = jax.jit(partial(nats_a_sound, Transcription(net=net), **unseen))
        runs = [
            learn(net, dictionary.train.examples, steps=steps, seed=seed, measure=measure, every=every)[1]
            for seed in seeds
        ]
        nats = np.array([[metrics["nats"] for _, metrics in run] for run in runs])
        at = [float(step) for step, _ in runs[0]]
        curves[projection] = list(zip(at, nats.mean(axis=0).tolist(), strict=True))
        count = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0))[0]))
        print(f"{projection:<9} {nats[:, -1].mean():.3f} ± {nats[:, -1].std():.3f} nats a sound, {count:,} parameters")
    chart = lines(curves, title="Unseen words", across="step", up="nats a sound", low=0.0)
    write_svg(pictures / "rotations.svg", chart)
    return curves


def nats_a_sound(method: Transcription, state: TrainState, *, spelling: Array, sounds: Array) -> dict[str, Array]:
    """Mean energy of the symbols of correct transcriptions, including their ends."""
    energies = method.energies(state.params, state.method_state, spelling, sounds)
    return {"nats": energies.sum() / (sounds != PADDING).sum(dtype=jnp.float32)}


if __name__ == "__main__":
    tyro.cli(rotations)
