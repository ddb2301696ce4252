"""Frozen features, judged."""

from ssl_jax.evaluate.diagnostics import diagnostics
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.judge import judge
from ssl_jax.evaluate.knn import knn
from ssl_jax.evaluate.linear import linear_probe

__all__ = ["diagnostics", "few_label_probe", "judge", "knn", "linear_probe"]
