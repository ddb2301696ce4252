"""Evaluation for `speller.py`: error rates of a network's outputs, and its attention for one word."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from speller_setup import Size, Task

from ssl_jax.networks.functional import Net
from ssl_jax.report.attention import alignment_matrix
from ssl_jax.report.figures import write_svg
from ssl_jax.sequences.decoding import beam, greedy
from ssl_jax.sequences.error_rates import error_rates
from ssl_jax.sequences.vocabulary import END, FIRST, Vocabulary
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.state import TrainState

CHUNK = 256  # Words at a time.


def evaluate(net: Net, state: TrainState, task: Task, size: Size) -> dict[str, Any]:
    """Error rates of greedy and of beam search, and some hypotheses."""
    params, stats, length = state.params["net"], state.method_state["net"], task.test[1].shape[1]

    def best_of_beam(read: jax.Array) -> jax.Array:
        return beam(net, params, stats, read, length=length, width=size.width)[0][:, 0]

    kept: dict[str, Any] = {}
    for how, write in (("greedy", partial(greedy, net, params, stats, length=length)), ("beam", best_of_beam)):
        hypotheses = [task.written.decode(row) for row in by_chunks(write, task.read)]
        rates = error_rates(hypotheses, task.references)
        kept[how] = jax.tree.map(lambda value: round(value, 4), rates._asdict())
    kept["written"] = [" ".join(symbols) for symbols in hypotheses[:8]]
    return kept


def by_chunks(function: Callable[..., jax.Array], *arrays: NDArray[np.int32]) -> NDArray[Any]:
    """The outputs of a jitted function for rows, CHUNK at a time: the last chunk is padded, so that it compiles once."""
    size, parts, spread = len(arrays[0]), [], batch_sharding(make_mesh())
    for first in range(0, size, CHUNK):
        rows = np.minimum(np.arange(first, first + CHUNK), size - 1)
        parts.append(jax.device_get(function(*jax.device_put([array[rows] for array in arrays], spread))))
    return np.concatenate(parts)[:size]


def draw_alignment(net: Net, state: TrainState, task: Task, file: Path) -> None:
    """Draws the attention for each predicted symbol, for the test word with the largest excess of letters over sounds."""
    params, stats = state.params["net"], state.method_state["net"]

    @jax.jit
    def alignments(read: jax.Array, written: jax.Array) -> jax.Array:
        assert net.inspect is not None
        return net.inspect(params, stats, read, written)[1]["alignment"]

    silent = [np.count_nonzero(row) - len(right[0]) for row, right in zip(task.read, task.references, strict=True)]
    read = task.read[np.argmax(silent)][None]
    written = by_chunks(partial(greedy, net, params, stats, length=task.test[1].shape[1]), read)
    rows, columns = names(written[0], task.written), names(read[0], task.letters)
    weights = by_chunks(alignments, read, written)[0, : len(rows), : len(columns)]
    write_svg(file, alignment_matrix(weights, rows=rows, columns=columns, title="Attention of outputs to letters"))


def names(indices: NDArray[np.int32], vocabulary: Vocabulary) -> list[str]:
    """The names of the symbols, including the end; "?" is a masked letter."""
    symbols = [*vocabulary.symbols, "?"]
    return ["end" if number == END else symbols[number - FIRST] for number in indices if number >= END]
