"""Evaluation of frozen features. `fine_tune`, which trains, is imported from `ssl_jax.evaluate.fine_tune`."""

from ssl_jax.evaluate.agreement import cross_correlation, memory_cosine, teacher_distance
from ssl_jax.evaluate.assignments import assignment_entropy, prototype_use
from ssl_jax.evaluate.clustering import cluster_scores
from ssl_jax.evaluate.diagnostics import alignment, diagnostics, effective_rank, eigenvalue_decay, uniformity
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.invariance import lidar
from ssl_jax.evaluate.knn import knn, knn_accuracy
from ssl_jax.evaluate.layers import layer_probes
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.evaluate.linear_sgd import linear_sgd
from ssl_jax.evaluate.multi_label import multi_label_probe
from ssl_jax.evaluate.principal_colors import principal_colors
from ssl_jax.evaluate.protocols import evaluate_features
from ssl_jax.evaluate.retrieval import retrieval
from ssl_jax.evaluate.ridge import ridge_accuracy
from ssl_jax.evaluate.robustness import robustness
from ssl_jax.evaluate.segmentation import patch_knn, segmentation_probe

__all__ = [
    "alignment",
    "assignment_entropy",
    "cluster_scores",
    "cross_correlation",
    "diagnostics",
    "effective_rank",
    "eigenvalue_decay",
    "evaluate_features",
    "few_label_probe",
    "knn",
    "knn_accuracy",
    "layer_probes",
    "lidar",
    "linear_probe",
    "linear_sgd",
    "memory_cosine",
    "multi_label_probe",
    "patch_knn",
    "principal_colors",
    "prototype_use",
    "retrieval",
    "ridge_accuracy",
    "robustness",
    "segmentation_probe",
    "teacher_distance",
    "uniformity",
]
