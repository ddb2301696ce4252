"""The cost and the results of the evaluation protocols on the embedded digits, against scikit-learn, in one run.

    pip install scikit-learn
    python -m benchmarks evaluate --results benchmarks/results/evaluate-cpu.md
    python -m benchmarks evaluate --data fashion-mnist
    python -m benchmarks evaluate --neighbors      # the best number of neighbours, by the size of the training set

"first" includes compilation, "again" is the best of the repeats. Times on a loaded machine are too high.
"""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro
from machine import about
from summary import compared, keep
from timing import timed

from ssl_jax.data import open_data
from ssl_jax.evaluate import diagnostics, few_label_probe, knn_accuracy, linear_probe, uniformity
from ssl_jax.evaluate.features import compute_features, pixels
from ssl_jax.evaluate.few_labels import balanced_draw
from ssl_jax.evaluate.logistic import logistic_regression, no_opinion
from ssl_jax.evaluate.standardization import moments, standardized

try:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
except ImportError:
    LogisticRegression = KNeighborsClassifier = None


def report(name, run, *, repeats):
    """The cells of a row: the first time of `run`, its best time after that, and the text that it returns."""
    times, (text, *_) = zip(*(timed(run) for _ in range(repeats + 1)), strict=True)
    print(f"{name:36}{times[0]:9.2f} s first{min(times[1:]):9.3f} s again   {text}", flush=True)
    return name, times[0], min(times[1:]), text


def accuracies(features, classes, repeats):
    def linear():
        probe = linear_probe(*features, num_classes=classes)
        low, high = probe.interval
        return f"{probe.accuracy:.1%} ({low:.1%} to {high:.1%}), strength {probe.strength:g}"

    def few():
        probe = few_label_probe(*features, num_classes=classes)
        return f"{probe.accuracy:.1%} ± {probe.deviation:.1%}, 10 labels a class"

    def nearest():
        return f"{float(knn_accuracy(*features, num_classes=classes)):.1%}"

    def theirs():
        vote = KNeighborsClassifier(6, weights=lambda d: np.exp((1 - d) / 0.07), metric="cosine")
        return f"{vote.fit(*features[:2]).score(*features[2:]):.1%}"

    yield report("k-NN", nearest, repeats=repeats)
    yield report("linear probe, 7 strengths", linear, repeats=repeats)
    yield report("few-label probe, 5 draws", few, repeats=repeats)
    if KNeighborsClassifier:
        yield report("k-NN, scikit-learn", theirs, repeats=repeats)


def one_fit(features, classes, repeats, *, strength=1e-2):
    """One logistic regression at one strength, from zero, ours and scikit-learn's: the same convex problem."""
    train, labels, test, answers = jax.device_put(tuple(features))
    mean, scale = moments(train)
    train, test = standardized(train, mean, scale), standardized(test, mean, scale)

    def ours():
        rows, start = np.ones(len(labels), bool), no_opinion(classes, train)
        solution = np.asarray(logistic_regression(train, labels, rows, strength=strength, start=start, tolerance=1e-3))
        return f"{np.mean((solution @ np.asarray(test).T).argmax(axis=0) == np.asarray(answers)):.1%}"

    def theirs():
        host = [np.asarray(array) for array in (train, labels, test, answers)]
        model = LogisticRegression(C=1 / (strength * len(host[0])), tol=1e-3, max_iter=1000)
        return f"{model.fit(host[0][:, :-1], host[1]).score(host[2][:, :-1], host[3]):.1%}"

    yield report(f"one fit, strength {strength:g}", ours, repeats=repeats)
    if LogisticRegression:
        yield report(f"one fit, strength {strength:g}, scikit-learn", theirs, repeats=repeats)


def gauges(repeats):
    def described(run, rows):
        return ", ".join(f"{name} {float(value):.2f}" for name, value in run(rows).items())

    run = jax.jit(lambda rows: {**diagnostics(rows), "uniformity": uniformity(rows)})
    for batch, dim in [(256, 128), (1024, 256), (4096, 2048)]:
        rows = jax.random.normal(jax.random.key(0), (batch, dim))
        yield report(f"gauges of [{batch}, {dim}]", partial(described, run, rows), repeats=repeats)


def by_neighbors(features, classes):
    """Accuracy for each k, over training sets of growing size: mean of 4 balanced draws."""
    train, labels, test, answers = features
    counts = [1, 3, 5, 7, 10, 20, 40, 80, 200]
    print("a class" + "".join(f"{f'k={k}':>8}" for k in counts))
    for per_class in (10, 50, 100, 200, 400):
        table = []
        for draw in range(4):
            rows = balanced_draw(labels, per_class, seed=draw)
            part = train[rows], labels[rows], test, answers
            table.append([float(knn_accuracy(*part, num_classes=classes, k=k)) for k in counts])
        print(f"{per_class:7}" + "".join(f"{share:8.1%}" for share in np.mean(table, axis=0)), flush=True)


def evaluate(*, data: str = "digits", repeats: int = 3, neighbors: bool = False, results: Path | None = None) -> None:
    """Prints the times and the results of each protocol.

    Args:
      data: as of `ssl-jax evaluate --data`; its pixels are the features.
      repeats: calls after the first.
      neighbors: accuracy by the number of neighbours instead; nothing is kept.
      results: file of the table.
    """
    *features, classes = compute_features(pixels, None, None, open_data(data))
    if neighbors:
        return by_neighbors(features, classes)
    machine, sizes = about("jax", "jaxlib", "scikit-learn"), " and ".join(f"{len(features[n]):,}" for n in (0, 2))
    heading = f"{machine}; `python -m benchmarks evaluate`; pixels of {data}, {sizes} of {features[0].shape[1]}"
    found = [*accuracies(features, classes, repeats), *one_fit(features, classes, repeats), *gauges(repeats)]
    lines = [
        "# Evaluation protocols, on CPU",
        "",
        heading,
        "",
        "| what | first, s | again, s | result |",
        "|---" * 4 + "|",
    ]
    lines += [f"| {name} | {first:.2f} | {again:.3f} | {text} |" for name, first, again, text in found]
    times = {name: again for name, _, again, _ in found}
    rows = [
        compared(name, "scikit-learn", seconds, times[f"{name}, scikit-learn"], unit="s", digits=".3f")
        for name, seconds in times.items()
        if f"{name}, scikit-learn" in times
    ]
    keep(results, "\n".join([*lines, ""]), rows, name="evaluate", about=machine)


if __name__ == "__main__":
    tyro.cli(evaluate)
