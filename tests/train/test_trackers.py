"""Metrics in Weights & Biases and MLflow: modules that stand for them get what metrics.jsonl has."""

import math
import sys

import pytest

from ssl_jax.errors import UsageError
from ssl_jax.train.log import Log
from ssl_jax.train.trackers import import_trackers, open_trackers


class Recorder:
    """A module, or a run of one, that notes how it is called."""

    def __init__(self, calls):
        self.calls = calls

    def __getattr__(self, name):
        def call(*given, **named):
            self.calls.append((name, given, named))
            return Recorder(self.calls)

        return call


def test_both_get_the_finite_metrics_and_are_closed(tmp_path, monkeypatch):
    calls = {"wandb": [], "mlflow": []}
    for name, made in calls.items():
        monkeypatch.setitem(sys.modules, name, Recorder(made))
    modules = import_trackers(("wandb", "mlflow"))
    trackers = open_trackers(modules, tmp_path, {"temperature": 0.1})
    with Log(tmp_path, steps=2, trackers=trackers) as log:
        log.write(1, {"loss": 2.0, "knn": math.nan})
    (_, _, begun), logged, closed = calls["wandb"]
    assert begun["config"] == {"temperature": 0.1} and begun["resume"] == "allow" and begun["name"] == tmp_path.name
    assert logged == ("log", ({"loss": 2.0},), {"step": 1}) and closed[0] == "finish"
    assert calls["mlflow"][2:] == [
        ("log_params", ({"temperature": "0.1"},), {}),
        ("log_metrics", ({"loss": 2.0},), {"step": 1}),
        ("end_run", (), {}),
    ]


def test_one_that_is_not_installed_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match="log_to: wandb is not installed: pip install wandb"):
        import_trackers(("wandb",))
    assert import_trackers(()) == {}
