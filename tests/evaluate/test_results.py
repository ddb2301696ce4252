"""Results are nested in results.json and flat in the line that ends a command; a protocol more needs no edit elsewhere."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.evaluate.features import Features
from ssl_jax.evaluate.protocols import PROTOCOLS, Protocol, Words
from ssl_jax.evaluate.results import digest, evaluate_sources
from ssl_jax.report import write_report
from ssl_jax.runs import read_results, write_results

PAGE = Path(__file__).parents[2] / "docs/results.md"
ACCURACY = {"accuracy": 0.25, "interval": [0.2, 0.3]}
FEW = {"accuracy": 0.5, "deviation": 0.1, "labels_per_class": 10}
WHOLE = {
    "method": "simclr",
    "features": {
        source: {"knn": ACCURACY, "linear": ACCURACY, "few_labels": FEW}
        for source in ("pretrained", "untrained", "pixels")
    },
    "seconds": 1.0,
}


def test_the_digest_is_flat_and_has_the_keys_that_scripts_read():
    flat = digest(WHOLE)
    names = [
        f"{protocol}{source}{field}"
        for source in ("", "_random_init", "_pixels")
        for protocol, field in [
            ("knn", ""), ("knn", "_interval"), ("linear_probe", ""), ("linear_probe", "_interval"),
            ("few_label_probe", ""), ("few_label_probe", "_std"),
        ]
    ]  # fmt: skip
    assert list(flat) == ["method", *names, "seconds"]
    assert flat["linear_probe_pixels_interval"] == [0.2, 0.3] and flat["few_label_probe_random_init_std"] == 0.1


@pytest.mark.parametrize("features", [{}, {"pretrained": {"knn": {"accuracy": None}}}])
def test_the_digest_has_null_for_each_accuracy_that_was_not_measured(features):
    names = {
        f"{name}{of}" for name in ("knn", "linear_probe", "few_label_probe") for of in ("", "_random_init", "_pixels")
    }
    assert digest({"features": features}) == dict.fromkeys(names)


def test_the_figures_of_retrieval_are_its_average_precision_and_recall():
    fields = {"average_precision": 0.5, "interval": [0.4, 0.6], "recall_1": {"share": 0.9}}
    flat = digest({"features": {"pretrained": {"retrieval": fields}}})
    assert (
        flat["retrieval"] == 0.5
        and flat["retrieval_recall_1"] == 0.9
        and flat["retrieval_interval"] == [0.4, 0.6]
        and flat["knn"] is None
    )


def test_the_page_explains_every_key():
    (table,) = re.findall(r"\| key of the digest .*?\n\n", PAGE.read_text(), re.DOTALL)
    explained = set(re.findall(r"`(\w+)`", table))
    assert {name.replace("_random_init", "").replace("_pixels", "") for name in digest(WHOLE)} - {
        "method",
        "seconds",
    } <= explained


def nearest_mean(features, seed):
    """A toy: the share of test features whose class has the nearest mean."""
    train, labels, test, answers, classes = features
    means = np.stack([train[labels == each].mean(axis=0) for each in range(classes)])
    found = np.linalg.norm(test[:, None] - means, axis=-1).argmin(axis=1)
    return {"accuracy": float((found == answers).mean()), "interval": [0.7, 0.8], "seed": seed}


@pytest.fixture
def no_protocols():
    """The package's own would take seconds. `monkeypatch.delitem` would put them back in another order."""
    saved = dict(PROTOCOLS)
    PROTOCOLS.clear()
    yield
    PROTOCOLS.clear()
    PROTOCOLS.update(saved)


def test_a_further_protocol_is_in_results_report_and_digest(tmp_path, no_protocols):
    words = Words(
        "Nearest mean", "the class whose mean is nearest", "The nearest mean by {method} names {accuracy} right"
    )
    PROTOCOLS["toy"] = Protocol(nearest_mean, words)
    rows, labels = np.array([[0.0], [2.0], [0.1], [1.9]], np.float32), np.array([0, 1, 0, 1], np.int32)
    answers = {"pretrained": [0, 1, 0, 0], "untrained": [0, 1, 1, 0], "pixels": [1, 0, 1, 0]}
    sources = {name: Features(rows, labels, rows, np.array(each, np.int32), 2) for name, each in answers.items()}
    results = {"method": "simclr", "features": evaluate_sources(sources, seed=3)}
    (tmp_path / "run.json").write_text('{"method": "simclr"}')
    write_results(tmp_path, results)

    assert read_results(tmp_path) == results
    assert results["features"]["pretrained"]["toy"] == {"accuracy": 0.75, "interval": [0.7, 0.8], "seed": 3}
    flat = digest(results)
    assert (flat["toy"], flat["toy_random_init"], flat["toy_pixels"]) == (0.75, 0.5, 0)
    assert flat["toy_interval"] == [0.7, 0.8] and json.loads(json.dumps(flat)) == flat
    page = write_report(tmp_path).read_text()
    assert (
        "The nearest mean by SimCLR names 75.0% right, against 50.0% with an untrained encoder and 0.0% on raw pixels."
        in page
    )
    assert "Nearest mean<span>the class whose mean is nearest" in page and "+25.0<span> points" in page
