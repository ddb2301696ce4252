"""What the training loop waits for, so that a slow run says where to look; wall-clock times, without a synchronization."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ssl_jax.runs.waiting import KINDS


class Waits:
    """Seconds that the loop has spent in each of `KINDS` since the last record."""

    def __init__(self) -> None:
        self._compiled: set[str] = set()
        self._restart()

    def _restart(self) -> None:
        self._since, self._seconds = time.perf_counter(), dict.fromkeys(KINDS, 0.0)

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Counts the time in this context."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[kind] += time.perf_counter() - began

    @contextmanager
    def on_program(self, name: str, *, first: str = "compilation") -> Iterator[None]:
        """Counts the time of a call of this program: as `first` the first time, then as waiting for the device."""
        with self.on("device" if name in self._compiled else first):
            yield
        self._compiled.add(name)

    def shares(self) -> dict[str, float]:
        """The entries of a record: `seconds` since the last one, and `waits_KIND`, the fraction of them; begins anew."""
        seconds = time.perf_counter() - self._since
        found = {f"waits_{kind}": round(spent / seconds, 4) for kind, spent in self._seconds.items()}
        self._restart()
        return {"seconds": round(seconds, 3), **found}
