"""How rows are compared across devices: with gathered keys, or with keys that pass through a ring."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Exchange:
    """How rows are compared across devices where a caller gives no `block_size`.

    keys: "gather" copies the keys of all devices to each; "ring" passes them from device to device, so that a device holds
      those of one other at a time; "auto" gathers while scores are few, and uses the ring otherwise.
    block_size: keys compared at once; None chooses by size.
    """

    keys: Literal["auto", "gather", "ring"] = "auto"
    block_size: int | None = None


BY_SIZE = Exchange()
_chosen: ContextVar[Exchange] = ContextVar("exchange", default=BY_SIZE)


@contextmanager
def exchanging(exchange: Exchange) -> Iterator[None]:
    """Functions that are traced inside this context compare rows across devices in this way."""
    token = _chosen.set(exchange)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen_exchange() -> Exchange:
    """That of the innermost `exchanging`."""
    return _chosen.get()
