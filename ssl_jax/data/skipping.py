"""Sources that skip unreadable examples."""

import sys
import threading

from ssl_jax.data.source import Example, in_order
from ssl_jax.errors import UsageError

PATIENCE = 100  # Consecutive unreadable examples before reading fails.
_reporting = threading.Lock()  # In the module, since sources are sent to worker processes, and locks cannot be.


class Unreadable(Exception):
    """An example whose stored bytes cannot be decoded; the message gives the reason."""


class Skipping:
    """A source with possibly unreadable examples.

    In a batch of training the next readable example, with its label, replaces an unreadable one, so that
    indices and order are unchanged. Each is reported once on standard error and recorded in `unreadable`, so that
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
        """The name of this example in messages."""
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
        where, others = self._where(number), patience - 1
        if not others:
            raise UsageError(f"data: {where} cannot be read: repair it, or give others.")
        raise UsageError(
            f"data: {where} cannot be read, nor any of the {others} {self.examples} after it: repair or remove them."
        )

    def _check_all(self) -> None:
        """With `strict`, reads all examples, to refuse the first unreadable one at the start rather than hours into a run."""
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
