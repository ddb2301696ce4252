"""Transformer and recurrent networks: errors, and the time of a step, over the length of the sequence.

    python experiments/attention/lengths.py

The task is to reverse strings of random letters, so that every letter has to be stored. All networks have about as
many parameters, and the same number of steps. Prints both figures and writes pictures/lengths_error.svg and
pictures/lengths_time.svg beside this file.
"""

import time
from pathlib import Path

import jax
import numpy as np
import tyro
from learning import learn

from ssl_jax.data import Arrays
from ssl_jax.networks.functional import Net
from ssl_jax.report.figures import lines, write_svg
from ssl_jax.sequences.decoding import greedy
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, FIRST
from ssl_jax.train.state import TrainState

PICTURES = Path(__file__).parent / "pictures"
LETTERS = 16


def lengths(
    *,
    lengths: tuple[int, ...] = (8, 16, 32, 64),
    dim: int = 64,
    steps: int = 600,
    batch_size: int = 64,
    seed: int = 0,
    pictures: Path = PICTURES,
) -> dict[str, list[tuple[int, float, float]]]:
    """Draws errors and times; returns, for each network, (length, fraction of wrong letters, milliseconds a step).

    Args:
      lengths: lengths of the strings; a new network is trained for each.
      dim: size of the transformer, with two layers on each side; recurrent networks have one layer of equal parameters.
      steps, batch_size: of training; the second half of the steps, at least one, is timed.
      seed: seed of strings and weights.
      pictures: folder for the figures.
    """
    results: dict[str, list[tuple[int, float, float]]] = {}
    for name, net in networks(dim).items():
        for length in lengths:
            train, test = strings(length, 64 * batch_size, seed=seed), strings(length, 256, seed=seed + 1)
            state, clocks = learn(
                net, train, steps=steps, seed=seed, batch_size=batch_size, measure=clock, every=steps // 2
            )
            (half, began), (whole, ended) = clocks[-2:]
            milliseconds = 1e3 * (ended["seconds"] - began["seconds"]) / (whole - half)
            write = jax.jit(greedy, static_argnums=0, static_argnames="length")
            written = write(net, state.params["net"], state.method_state["net"], test.arrays["spelling"], length=length)
            error = float((np.asarray(written) != test.arrays["sounds"][:, :length]).mean())
            results.setdefault(name, []).append((length, error, milliseconds))
            print(f"{name:<14} length {length:>3}: {100 * error:5.1f} % wrong, {milliseconds:7.1f} ms a step")
    for file, column, title, up in (
        ("lengths_error", 1, "Wrong letters", "percent"),
        ("lengths_time", 2, "Time a step", "milliseconds"),
    ):
        scale = 100 if column == 1 else 1
        curves = {name: [(row[0], scale * row[column]) for row in rows] for name, rows in results.items()}
        chart = lines(curves, title=title, across="letters", up=up, log=True, low=0.0)
        write_svg(pictures / f"{file}.svg", chart)
    return results


def clock(state: TrainState) -> dict[str, float]:
    """A clock to read twice: compilation is over before the first half of the training ends."""
    jax.block_until_ready(state)
    return {"seconds": time.perf_counter()}


def networks(dim: int) -> dict[str, Net]:
    """Networks of about one size, by the `dim` of the recurrent ones."""
    symbols = FIRST + LETTERS
    made = {"transformer": transformer(sources=symbols, symbols=symbols, dim=dim, depth=2, heads=4)}
    for name, attention in (("GRU, attention", True), ("GRU alone", False)):
        widths = [recurrent(sources=symbols, symbols=symbols, dim=width, depth=1, attention=attention)
                  for width in range(dim, 4 * dim, 8)]  # fmt: skip
        made[name] = min(widths, key=lambda net: abs(size(net) - size(made["transformer"])))
    return made


def size(net: Net) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0))[0]))


def strings(length: int, count: int, *, seed: int) -> Arrays:
    """Random strings with an END, and their reversals."""
    letters = np.random.default_rng([seed, length]).integers(FIRST, FIRST + LETTERS, (count, length), dtype=np.int32)
    end = np.full((count, 1), END, np.int32)
    pairs = {"spelling": np.hstack([letters, end]), "sounds": np.hstack([letters[:, ::-1], end])}
    return Arrays(f"strings of {length}", pairs)


if __name__ == "__main__":
    tyro.cli(lengths)
