"""What a run says about itself without labels: its gauges at the end, and whether they showed a collapse."""

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_jax.evaluate.alarm import COMPARING, first_alarm
from ssl_jax.methods.method import Facts

GAUGES = {
    "view_correlation": "correlation of two views {:.2f} (0 unrelated, 1 invariant)",
    "effective_rank": "effective rank of the embeddings {:.1f}",
    "std": "spread {:.2f} (0 collapsed, 1 fills the sphere)",
}


def label_free(
    records: Sequence[Mapping[str, Any]], name: str, facts: Facts | None, *, examples: int
) -> dict[str, float | str | None]:
    """The `GAUGES` of the last record that has them, four decimals, and "collapse": the alarm's sentence, None without one.

    "view_correlation" is the score that chooses a checkpoint without labels (docs/evaluation.md). Methods that do not compare
    two views, such as MAE, have no view_correlation; those that the alarm does not check have no "collapse".

    Args:
      records: those of metrics.jsonl, in order of their steps.
      name, facts, examples: of the method, and the size of a batch, as for `CollapseAlarm`.
    """
    gauges = [_numbers(record) for record in records if "std" in record]
    last = gauges[-1] if gauges else {}
    found: dict[str, float | str | None] = {gauge: round(last[gauge], 4) for gauge in GAUGES if gauge in last}
    if facts is not None and facts.family in COMPARING:
        found["collapse"] = first_alarm(gauges, name, facts, examples=examples)
    return found


def in_words(found: Mapping[str, Any]) -> str:
    """One line for the terminal and the report: the gauges, and a collapse or none."""
    measured = [text.format(found[gauge]) for gauge, text in GAUGES.items() if gauge in found]
    return ", ".join(measured + ([found["collapse"] or "no collapse"] if "collapse" in found else []))


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in record.items() if isinstance(value, int | float)}  # null stands for NaN.
