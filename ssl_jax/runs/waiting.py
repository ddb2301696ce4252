"""What the training loop waited for, as the records of a run have it: `seconds` since the record before, and shares of them."""

from collections.abc import Iterable, Mapping
from typing import Any

# input: the next batch; where the devices hold the examples, the first one. compilation: the first call of a program. device:
# later calls, which wait where the device is behind, and their results. evaluation: online k-NN and linear probe. writing:
# records, pictures and checkpoints.
KINDS = ("input", "device", "compilation", "evaluation", "writing")
WAITS = tuple(f"waits_{kind}" for kind in KINDS)


def waited(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The share of the time of these records that the loop waited for each of `KINDS`; empty where no record says it."""
    of_time = [record for record in records if all(_is_positive(record.get(name)) for name in ("seconds", *WAITS))]
    total = sum(record["seconds"] for record in of_time)
    if not total:
        return {}
    sums = [sum(record["seconds"] * record[name] for record in of_time) for name in WAITS]
    return {kind: spent / total for kind, spent in zip(KINDS, sums, strict=True)}


def in_words(shares: Mapping[str, float]) -> str:
    """ "waited for input 1 %, device 95 %, writing 2 %", without what rounds to nothing; empty where nothing is known."""
    parts = [f"{kind} {100 * share:.0f} %" for kind, share in shares.items() if kind == "input" or share >= 0.005]
    return f"waited for {', '.join(parts)}" if parts else ""


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e12
