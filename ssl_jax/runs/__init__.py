"""The folder of a run: the names of its files, their readers and writers, and its lock.

Below every floor, and the only package that names these files; docs/results.md explains them.
"""

from ssl_jax.runs.features import (
    FEATURES,
    feature_file,
    feature_files,
    read_arrays,
    read_features,
    write_features,
)
from ssl_jax.runs.folder import (
    CHECKPOINTS,
    DAMAGED_METRICS,
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
    "DAMAGED_METRICS",
    "FEATURES",
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
    "feature_file",
    "feature_files",
    "holder",
    "nearest_run",
    "open_run",
    "read_arrays",
    "read_features",
    "read_metrics",
    "read_record",
    "read_request",
    "read_results",
    "truncate_metrics",
    "unreadable_metrics",
    "write_features",
    "write_results",
]
