"""Features in blocks on the device, which holds all of them or is sent one block after the other from the host.

N: features; D: their dimension. A file of features, as `numpy.load(file, mmap_mode="r")` opens it, is read a block at a time.
However large it is, the device holds two blocks as they come, and a standardised one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ssl_jax.evaluate.checks import labelled_rows
from ssl_jax.evaluate.standardization import moments, moments_of_parts, standardized
from ssl_jax.ops.normalize import Rows

# Of a block from the host: its transfer takes far longer than its start. On a CPU the standardised block stays in the cache.
BLOCK_BYTES, CACHED_BLOCK_BYTES = 2**28, 2**22
SHARE = 4  # The part of a device's memory that features take: a standardised copy and what is computed need the rest.
OF_UNKNOWN_DEVICE = 2**32  # Bytes for features where a device does not state its memory, as CPUs do not.
Carry = TypeVar("Carry")


@dataclass(frozen=True)
class HostFeatures:
    """Features on the host, in memory or in a file.

    rows: `[N', D]`. chosen: the rows that count, `[N]`; all when None.
    statistics: as `moments` returns them; visits then get the features standardised, `[N, D + 1]` with the last column 1.
    """

    rows: NDArray[Any]
    chosen: NDArray[np.intp] | None = None
    statistics: tuple[Array, Array] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.rows.shape[1] + (self.statistics is not None)

    def __len__(self) -> int:
        return len(self.rows if self.chosen is None else self.chosen)

    def sent(self, first: int, size: int) -> Array:
        """Rows on their way to the device, as they are stored."""
        part = slice(first, first + size)
        return jax.device_put(self.rows[part if self.chosen is None else self.chosen[part]])

    @property
    def largest(self) -> int:
        """Rows of a block of `BLOCK_BYTES`."""
        size = CACHED_BLOCK_BYTES if jax.default_backend() == "cpu" else BLOCK_BYTES
        return max(1, size // (4 * self.rows.shape[1]))


Blocks = Array | HostFeatures


def placed(features: Rows, *, chosen: NDArray[np.intp] | None = None, budget: int | None = None) -> Blocks:
    """The `chosen` rows of features `[N', D]`, all when None: on the device, or where they are if they are too large for it.

    budget: bytes of the device for these features, in float32; a quarter of its memory when None, and 4 GiB where it does not
      state it. Features of JAX's are on the device already.
    """
    if isinstance(features, Array) or 4 * features.size <= (device_budget() if budget is None else budget):
        return jax.device_put(features if chosen is None else jax.device_get(features)[chosen])
    return HostFeatures(features, chosen)


def labelled_blocks(what: str, features: Rows, labels: Rows, *, budget: int | None) -> tuple[Blocks, NDArray[Any]]:
    """The features that have a label, as `placed` returns them, and these labels in numpy.

    Raises:
      ValueError: no row has a label. `what` names the part in the sentence: "training" or "test".
    """
    rows = labelled_rows(what, np.arange(len(features)), labels=jax.device_get(labels))
    chosen, found = (np.asarray(each) for each in rows)
    return placed(features, chosen=None if len(found) == len(features) else chosen, budget=budget), found


def device_budget() -> int:
    """Bytes of the default device that features may take."""
    stated = jax.local_devices()[0].memory_stats() or {}
    return stated["bytes_limit"] // SHARE if "bytes_limit" in stated else OF_UNKNOWN_DEVICE


def statistics_of(features: Blocks) -> tuple[Array, Array]:
    """`moments` of features on the device or on the host."""
    if isinstance(features, Array):
        return moments(features)
    size = features.largest
    return moments_of_parts(
        features.sent(first, min(size, len(features) - first)) for first in range(0, len(features), size)
    )


def standardized_by(features: Blocks, statistics: tuple[Array, Array]) -> Blocks:
    """`standardized`, of features on the host block by block when they are visited."""
    return (
        standardized(features, *statistics) if isinstance(features, Array) else replace(features, statistics=statistics)
    )


def over_blocks(visit: Callable[[Carry, Array, Array], Carry], carry: Carry, features: Blocks, *, size: int) -> Carry:
    """`carry` after `carry = visit(carry, rows, place)` of each block in turn, while the next one is read and sent.

    Args:
      visit: jitted. rows: `[b, D + 1]`, all blocks of one size. place: `[2]`, the indices of the first row and of the first
        that is new: the last block begins with rows of the one before.
      features: standardised, `[N, D + 1]`.
      size: the largest number of rows of a block.
    """
    total = len(features)
    size = min(size, total, total if isinstance(features, Array) else features.largest)
    following = _sent(features, 0, size)
    for new in range(0, total, size):
        place = jax.device_put(np.array([min(new, total - size), new], np.int32))
        carry = visit(carry, _ready(features, following), place)
        if new + size < total:
            following = _sent(features, min(new + size, total - size), size)
        jax.block_until_ready(carry)  # A further block would be sent before this one is done with.
    return carry


def _sent(features: Blocks, first: int, size: int) -> Array:
    if isinstance(features, HostFeatures):
        return features.sent(first, size)
    return features if size == len(features) else _sliced(features, jax.device_put(np.int32(first)), size=size)


@partial(jax.jit, static_argnames="size")
def _sliced(features: Array, first: Array, *, size: int) -> Array:
    return lax.dynamic_slice_in_dim(features, first, size)


def _ready(features: Blocks, rows: Array) -> Array:
    return (
        standardized(rows, *features.statistics) if isinstance(features, HostFeatures) and features.statistics else rows
    )
