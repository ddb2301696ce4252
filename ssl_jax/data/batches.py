"""The input of training: an endless iterator of global, sharded batches.

A batch has the arrays of the source's examples, such as `{"image": uint8 [B, H, W, C], "label": int32 [B]}`, and "index" int32
`[B]`, the index of each example in its source. Two implementations give the same batches, bit for bit:

- held: every device has the whole source in memory, and a batch is one jitted gather;
- streamed: grain reads the source at random, in threads or in worker processes, each process of a run its own rows.
"""

import contextlib
import functools
import os
from collections.abc import Generator
from typing import Any, Self

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from numpy.typing import NDArray

from ssl_jax.data.order import batch_indices, rows_of, steps_per_epoch
from ssl_jax.data.source import Readable, bytes_of
from ssl_jax.data.source import load_into_memory as load_source
from ssl_jax.errors import UsageError

Batch = dict[str, Array]
MOST_EXAMPLES = 2**31 - 1
LARGEST_HELD = 2**31  # Bytes of examples on one device; on CPU, of all its copies together.


class Batches:
    """Endless batches of a source, in an order that depends on `seed`: see `ssl_jax.data.order`.

    Args:
      source: the examples.
      batch_size: B, over all devices of all processes; at most the size of the source.
      seed: below 2**32.
      sharding: sharding of the batch, its leading axis over the devices; the default device when None.
      start: step of the first batch.
      workers: number of processes that decode (streamed only); 0 decodes in threads. A script that uses workers needs the
        guard `if __name__ == "__main__"`.
      threads: total number of threads that decode (streamed only); each makes a batch, and as many batches are prefetched.
      load_into_memory: True holds the source on the devices, False streams it, None holds it where it takes at most 2 GiB.

    Raises:
      UsageError: more than 2,147,483,647 examples, or a batch that is larger than the source or that the devices cannot share
        equally.

    Attributes:
      steps_per_epoch: steps until the source is permuted again, `len(source) // batch_size`: the definition of an epoch.
    """

    def __init__(
        self,
        source: Readable,
        batch_size: int,
        *,
        seed: int,
        sharding: Sharding | None = None,
        start: int = 0,
        workers: int = 0,
        threads: int | None = None,
        load_into_memory: bool | None = None,
    ):
        _check(source, batch_size, seed)
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch(len(source), batch_size)
        self._source, self._seed, self._step = source, seed, start
        self._sharding = sharding or SingleDeviceSharding(jax.devices()[0])
        self._rows = _rows_here(self._sharding, batch_size)
        self._indices = functools.partial(batch_indices, size=len(source), batch_size=batch_size, seed=seed)
        self._workers, self._threads = workers, threads or os.cpu_count() or 1
        self._take = jax.jit(_take, out_shardings=self._sharding)
        self._batches: Generator[Batch] | None = None
        self.held = _fits(source, self._sharding) if load_into_memory is None else load_into_memory

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        if self._batches is None:
            self._batches = self._held(self._step) if self.held else self._streamed(self._step)
        batch = next(self._batches)
        self._step += 1
        return batch

    def state(self) -> dict[str, int]:
        """The position in the input, for JSON, from which `restore` continues with exactly the remaining batches."""
        return {"seed": self._seed, "batch_size": self.batch_size, "size": len(self._source), "step": self._step}

    def restore(self, state: dict[str, int]) -> None:
        """Continues from a saved position; a `UsageError` if its seed, batch size or size of the source differs."""
        for name, current in self.state().items():
            if name != "step" and state.get(name) != current:
                raise UsageError(
                    f"{name}: the saved position in the input has {state.get(name)}, but this run has {current}: "
                    "resume with the same data, batch_size and seed, or start again in another folder."
                )
        self.close()
        self._step = state["step"]

    def indices(self, step: int) -> NDArray[np.int32]:
        """Indices `[B]` in the source of the examples of the batch with this number, from 0."""
        return self._indices(step)

    def close(self) -> None:
        """Stops threads and workers. The next batch starts them again."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _held(self, step: int) -> Generator[Batch]:
        while True:
            index = self._to_devices(self._indices(step)[self._rows])
            yield self._take(self._whole, index)
            step += 1

    @functools.cached_property
    def _whole(self) -> Batch:
        """All examples of the source, a copy on each device."""
        everything = load_source(self._source)
        mesh = getattr(self._sharding, "mesh", None)
        everywhere = NamedSharding(mesh, PartitionSpec()) if mesh else self._sharding
        return {name: _put(array, everywhere, len(array)) for name, array in everything.items()}

    def _streamed(self, step: int) -> Generator[Batch]:
        from ssl_jax.data.stream import Steps, lost_workers, stream  # noqa: PLC0415  Held sources do not wait for grain.

        steps = Steps(self._source, self._indices, self._rows, start=step)
        with lost_workers(), contextlib.closing(stream(steps, workers=self._workers, threads=self._threads)) as batches:
            for batch in batches:
                yield {name: self._to_devices(array) for name, array in batch.items()}

    def _to_devices(self, rows: NDArray[Any]) -> Array:
        return _put(rows, self._sharding, self.batch_size)


def _put(rows: NDArray[Any], sharding: Sharding, length: int) -> Array:
    """The rows of this process -> the global array of this length."""
    with jax.transfer_guard_host_to_device("allow"):  # Explicit, but on several hosts JAX counts it as implicit.
        return jax.make_array_from_process_local_data(sharding, rows, (length, *rows.shape[1:]))


def _take(whole: Batch, index: Array) -> Batch:
    return {name: array.at[index].get(mode="promise_in_bounds") for name, array in whole.items()} | {"index": index}


def _check(source: Readable, batch_size: int, seed: int) -> None:
    if len(source) > MOST_EXAMPLES:
        raise UsageError(
            f"data: {source.name} has {len(source)} examples, expected at most {MOST_EXAMPLES}, as their indices are int32: "
            "train on a part of them."
        )
    if not 1 <= batch_size <= len(source):
        raise UsageError(
            f"batch_size: got {batch_size}, but {source.name} has {len(source)} examples: choose 1 to {len(source)}."
        )
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed: got {seed}, but it must be at least 0 and below 2**32.")


def _rows_here(sharding: Sharding, batch_size: int) -> NDArray[np.intp]:
    """Rows of the batch that the devices of this process hold."""
    try:
        parts = sharding.addressable_devices_indices_map((batch_size,))
    except ValueError as fault:
        count = len(sharding.device_set)
        raise UsageError(
            f"batch_size: {batch_size} examples cannot be shared equally by {count} devices: "
            f"choose a multiple of {count}."
        ) from fault
    return rows_of((part[0] for part in parts.values() if part), batch_size)


def _fits(source: Readable, sharding: Sharding) -> bool:
    copies = len(sharding.addressable_devices) if jax.default_backend() == "cpu" else 1  # CPU devices share one memory.
    return copies * bytes_of(source) <= LARGEST_HELD
