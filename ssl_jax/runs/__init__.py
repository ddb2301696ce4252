"""The folder of a run: the names of its files, their readers and writers, and its lock.

Below every floor, and the only package that names these files; docs/results.md explains them.
"""

from ssl_jax.runs.folder import (
    CHECKPOINTS,
    CLASSIFIER,
    DAMAGED_METRICS,
    FINE_TUNED,
    LAYERS,
    METRICS,
    NESTED,
    NONFINITE,
    PICTURES,
    REPORT,
    REQUEST,
    RESULTS,
    add_nonfinite,
    add_results,
    nearest_run,
    read_metrics,
    read_record,
    read_request,
    read_results,
    truncate_metrics,
    unreadable_metrics,
    write_results,
)
from ssl_jax.runs.opening import holder, open_run

__all__ = [
    "CHECKPOINTS",
    "CLASSIFIER",
    "DAMAGED_METRICS",
    "FINE_TUNED",
    "LAYERS",
    "METRICS",
    "NESTED",
    "NONFINITE",
    "PICTURES",
    "REPORT",
    "REQUEST",
    "RESULTS",
    "add_nonfinite",
    "add_results",
    "holder",
    "nearest_run",
    "open_run",
    "read_metrics",
    "read_record",
    "read_request",
    "read_results",
    "truncate_metrics",
    "unreadable_metrics",
    "write_results",
]
