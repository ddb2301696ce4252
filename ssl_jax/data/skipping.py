"""Sources that skip what cannot be read."""

import sys
import threading

from ssl_jax.data.source import Example, in_order
from ssl_jax.errors import UsageError

PATIENCE = 100  # Unreadable examples in a row before a source is given up.
_reporting = threading.Lock()  # Of the module, since sources are sent to worker processes and locks cannot be.


class Unreadable(Exception):
    """An example whose stored bytes cannot be decoded; the message says why."""


class Skipping:
    """A source some of whose examples may be unreadable.

    For a batch of training the next readable example, with its label, stands in for one that is unreadable, so that
    indices and order stay as they are. Each is reported once on standard error and kept in `unreadable`, by which
    `ssl_jax.data.in_order` leaves it out of evaluation. With `strict` the first one raises a `UsageError`.

    A subclass defines `__len__`, `_example` and `_where`, and its constructor ends with `_check_all`.
    """

    name: str
    examples = "images"

    def __init__(self, *, strict: bool):
        self.unreadable: set[int] = set()
        self._strict = strict

    def __len__(self) -> int:
        raise NotImplementedError

    def _example(self, number: int) -> Example:
        """The example itself; raises `Unreadable`."""
        raise NotImplementedError

    def _where(self, number: int) -> str:
        """What a message calls this example."""
        raise NotImplementedError

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(number)
        patience = min(PATIENCE, len(self))
        for neighbour in range(number, number + patience):
            try:
                return self._example(neighbour % len(self))
            except Unreadable as fault:
                self._report(neighbour % len(self), fault)
        raise UsageError(
            f"data: {self._where(number)} cannot be read, nor any of the {patience} {self.examples} from there on: "
            "repair or remove them."
        )

    def _check_all(self) -> None:
        """With `strict`, reads everything, to refuse the first unreadable example now rather than hours into a run."""
        for _ in in_order(self, batch_size=256) if self._strict else ():
            pass

    def _report(self, number: int, fault: Unreadable) -> None:
        where = self._where(number)
        if self._strict:
            raise UsageError(
                f"strict: {where} cannot be read ({fault}): repair or remove it, or leave strict out to skip it."
            ) from fault
        with _reporting:
            if number in self.unreadable:
                return
            self.unreadable.add(number)
            count = f"{len(self.unreadable)} of {len(self)} {self.examples} so far"
            print(f"data: {where} cannot be read ({fault}): skipped, {count}", file=sys.stderr)
