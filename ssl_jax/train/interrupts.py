"""What interrupts a run between its regular checkpoints: a signal to stop, and the time since the last checkpoint."""

import contextlib
import signal
import threading
import time
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils

STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)  # A scheduler's, a closed terminal's, Ctrl-C.
EXCHANGE_EVERY = 10  # Steps between two exchanges of several processes, in which each waits for the others.


class Interrupts:
    """In this context, the first signal of `STOPPING` is noted, so that the trainer stops after a step; another acts as usual.

    Signals that the process ignores (SIGHUP under nohup) stay ignored. Python allows handlers in the main thread only:
    in another one, all signals act as usual.

    Args:
      save_minutes: time between checkpoints, after which one is due; None for never.

    Attributes:
      received: name of the signal that came, such as "SIGTERM"; None before.
    """

    def __init__(self, *, save_minutes: float | None = None):
        self.save_minutes = save_minutes
        self.received: str | None = None
        self._saved, self._usual = time.monotonic(), contextlib.ExitStack()

    def due(self, step: int, *, last: bool) -> tuple[bool, bool]:
        """Whether to stop after this step, and whether a checkpoint is due: the same on all processes, which all call it.

        On several processes, signals and clocks are exchanged every `EXCHANGE_EVERY` steps, and at the last.
        """
        late = self.save_minutes is not None and time.monotonic() - self._saved > 60 * self.save_minutes
        stop = self.received is not None
        if jax.process_count() == 1:
            return stop, late
        if step % EXCHANGE_EVERY and not last:
            return False, False
        with jax.transfer_guard("allow"):
            stop, late = multihost_utils.process_allgather(np.array([stop, late])).any(axis=0).tolist()
        return stop, late

    def saved(self) -> None:
        """A checkpoint was written: the time starts again."""
        self._saved = time.monotonic()

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                usual = signal.getsignal(number)
                if usual not in (signal.SIG_IGN, None):  # None: set by other code than Python's.
                    signal.signal(number, self._note)
                    self._usual.callback(signal.signal, number, usual)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._usual.close()

    def __exit__(self, *_: object) -> None:
        self._usual.close()
