"""How `speller.py` judges: error rates of what a network writes, and where it looks while it writes one word."""

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

CHUNK = 256  # Words that are judged at a time.


def judge(net: Net, state: TrainState, task: Task, size: Size) -> dict[str, Any]:
    """Error rates of what is written greedily and with a beam, and some of it to look at."""
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
    """What a jitted function makes of rows, CHUNK at a time: the last are filled up, so that it is compiled once."""
    size, parts, spread = len(arrays[0]), [], batch_sharding(make_mesh())
    for first in range(0, size, CHUNK):
        rows = np.minimum(np.arange(first, first + CHUNK), size - 1)
        parts.append(jax.device_get(function(*jax.device_put([array[rows] for array in arrays], spread))))
    return np.concatenate(parts)[:size]


def draw_alignment(net: Net, state: TrainState, task: Task, file: Path) -> None:
    """Where the network looks before each symbol that it writes, for the test's word with most letters that are not heard."""
    params, stats = state.params["net"], state.method_state["net"]

    @jax.jit
    def looks(read: jax.Array, written: jax.Array) -> jax.Array:
        assert net.inspect is not None
        return net.inspect(params, stats, read, written)[1]["alignment"]

    silent = [np.count_nonzero(row) - len(right[0]) for row, right in zip(task.read, task.references, strict=True)]
    read = task.read[np.argmax(silent)][None]
    written = by_chunks(partial(greedy, net, params, stats, length=task.test[1].shape[1]), read)
    rows, columns = names(written[0], task.written), names(read[0], task.letters)
    weights = by_chunks(looks, read, written)[0, : len(rows), : len(columns)]
    write_svg(file, alignment_matrix(weights, rows=rows, columns=columns, title="Written, and the letters looked at"))


def names(numbers: NDArray[np.int32], vocabulary: Vocabulary) -> list[str]:
    """How the symbols are called, the end among them; "?" is a letter that noise has masked."""
    known = [*vocabulary.symbols, "?"]
    return ["end" if number == END else known[number - FIRST] for number in numbers if number >= END]
