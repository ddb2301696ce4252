"""Metrics in Weights & Biases and MLflow: modules that stand for them get what metrics.jsonl has."""

import math
import sys

import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.runs import read_metrics
from ssl_jax.train.log import Log, log_pictures
from ssl_jax.train.trackers import Guarded, import_trackers, open_trackers


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
    image = np.zeros((4, 5, 3), np.uint8)
    log_pictures(tmp_path, {"map": image}, {}, step=2, trackers=trackers)
    for tracker in trackers:
        tracker.close()
    (_, _, begun), logged, made, shown, closed = calls["wandb"]
    assert made == ("Image", (image,), {}) and shown[0] == "log" and shown[2] == {"step": 2} and "map" in shown[1][0]
    assert begun["config"] == {"temperature": 0.1} and begun["resume"] == "allow" and begun["name"] == tmp_path.name
    assert logged == ("log", ({"loss": 2.0},), {"step": 1}) and closed[0] == "finish"
    assert calls["mlflow"][2:] == [
        ("log_params", ({"temperature": "0.1"},), {}),
        ("log_metrics", ({"loss": 2.0},), {"step": 1}),
        ("log_image", (image,), {"key": "map", "step": 2}),
        ("end_run", (), {}),
    ]


def test_one_that_is_not_installed_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match="log_to: wandb is not installed: pip install wandb"):
        import_trackers(("wandb",))
    assert import_trackers(()) == {}


class Unreachable:
    """A tracker of a server that is gone, which prints, too."""

    tried = 0

    def log(self, metrics, step):
        self.tried += 1
        print("a line of its own")
        raise ConnectionError("no route to host")

    close = None


def test_a_server_that_is_gone_is_said_once_and_the_run_goes_on(tmp_path, capsys):
    gone = Unreachable()
    with Log(tmp_path, steps=2, trackers=[Guarded("mlflow", gone)]) as log:
        log.write(1, {"loss": 2.0})
        log.write(2, {"loss": 1.0})
    log_pictures(tmp_path, {"map": np.zeros((4, 5, 3), np.uint8)}, {}, step=2, trackers=log.trackers)
    shown = capsys.readouterr()
    assert gone.tried == 1 and len(read_metrics(tmp_path)) == 2
    assert shown.err.count("mlflow: no route to host: it gets no more metrics") == 1
    assert shown.out == ""


def test_one_that_refuses_the_run_is_a_sentence_and_closes_the_others(tmp_path):
    calls = []

    class NoKey:
        def set_experiment(self, name):
            raise RuntimeError("api_key not configured\nlong explanation")

    with pytest.raises(UsageError, match=r"log_to: mlflow cannot record the run \(api_key not configured\): log in"):
        open_trackers({"wandb": Recorder(calls), "mlflow": NoKey()}, tmp_path, {})
    assert calls[-1][0] == "finish"
