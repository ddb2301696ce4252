"""Symbols that sequence networks decode per second: with a cache, and with the whole network for each position.

    python benchmarks/decoding.py --results benchmarks/results/decoding-cpu.md

Greedy with its cache, the same without, and a beam, in one run, with initial parameters and without an end symbol, so that
all positions are decoded. Best of interleaved rounds after a call that compiles.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro
from jax import lax
from machine import about
from summary import compared, keep
from timing import best_times

from ssl_jax.networks.functional import Net, Tree
from ssl_jax.sequences.decoding import beam, greedy
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import END, FIRST, PADDING

SYMBOLS = FIRST + 39  # The sounds of English.


def decoding(
    *,
    lengths: tuple[int, ...] = (16, 32, 64),
    batch_size: int = 32,
    dim: int = 128,
    depth: int = 2,
    width: int = 5,
    rounds: int = 10,
    results: Path | None = None,
) -> None:
    """Prints a table.

    Args:
      lengths: numbers of symbols of the source, and of the target.
      batch_size: number of words at once.
      dim: size of each network; the transformer has 4 heads.
      depth: layers of the encoder, and of the predictor.
      width: hypotheses of the beam.
      rounds: number of interleaved measurements of each.
      results: file for the table.
    """
    size = {"sources": SYMBOLS, "symbols": SYMBOLS, "dim": dim, "depth": depth}
    nets = {
        "transformer": transformer(**size, heads=4),
        "GRU with attention": recurrent(**size),
        "GRU without": recurrent(**size, attention=False),
        "LSTM with attention": recurrent(**size, cell="lstm"),
    }
    machine, rows = about("jax", "flax"), []
    lines = [
        "# Writing with and without a cache",
        "",
        f"{machine}; `python benchmarks/decoding.py`.",
        f"{batch_size} words at once; {depth} layers of {dim} features to read and as many to write, float32.",
        "",
        "Symbols a second: greedily with a cache, greedily with the whole network run again for each position, and the best",
        f"hypotheses of a beam of {width}, with a cache.",
        "",
        "| network | length | cached | anew | cached over anew | beam |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for name, net in nets.items():
        for length in lengths:
            best = best_times(writers(net, length=length, batch_size=batch_size, width=width), rounds)
            rates = {way: batch_size * length / seconds for way, seconds in best.items()}
            cells = [f"{rates[way]:,.0f}" for way in ("cached", "anew")]
            ratio = f"{rates['cached'] / rates['anew']:.1f}"
            lines.append(f"| {name} | {length} | {' | '.join(cells)} | {ratio} | {rates['beam']:,.0f} |")
            print(lines[-1], flush=True)
            both = {
                "ours": rates["cached"],
                "theirs": rates["anew"],
                "unit": "symbols/s",
                "digits": ".0f",
                "more": True,
            }
            rows.append(compared(f"{name}, {length} symbols, with a cache", "the whole network again", **both))
    keep(results, "\n".join(lines) + "\n", rows, name="decoding", about=machine)


def writers(net: Net, *, length: int, batch_size: int, width: int) -> dict[str, Callable[[], object]]:
    params, stats = net.init(jax.random.key(0))
    bias = params["readout"]["bias"]
    params["readout"]["bias"] = bias.at[END].set(-1e9)
    source = jax.random.randint(jax.random.key(1), (batch_size, length), FIRST, SYMBOLS)
    ways = {"cached": greedy, "anew": anew, "beam": partial(beam, width=width)}
    return {name: partial(write, net, params, stats, source, length=length) for name, write in ways.items()}


@partial(jax.jit, static_argnames=("net", "length"))
def anew(net: Net, params: Tree, stats: Tree, source: jax.Array, *, length: int) -> jax.Array:
    """Greedy decoding without a cache and without an end."""

    def write(position: jax.Array, target: jax.Array) -> jax.Array:
        layers, _ = net.apply(params, stats, source, target, train=False)
        logits = lax.dynamic_index_in_dim(layers["logits"], position, axis=1, keepdims=False)
        best = END + jnp.argmax(logits[:, END:], axis=1).astype(jnp.int32)
        return lax.dynamic_update_slice_in_dim(target, best[:, None], position, axis=1)

    return lax.fori_loop(0, length, write, jnp.full((len(source), length), PADDING, jnp.int32))


if __name__ == "__main__":
    tyro.cli(decoding)
