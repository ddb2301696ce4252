"""Frozen features, judged."""

from ssl_jax.evaluate.diagnostics import alignment, diagnostics, uniformity
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.judge import judge
from ssl_jax.evaluate.knn import knn, knn_accuracy
from ssl_jax.evaluate.linear import linear_probe

__all__ = [
    "alignment",
    "diagnostics",
    "few_label_probe",
    "judge",
    "knn",
    "knn_accuracy",
    "linear_probe",
    "uniformity",
]
