"""The cost and the results of the evaluation protocols on the embedded digits, against scikit-learn, in one run.

    python benchmarks/evaluate.py                  # pixels of the digits; scikit-learn's columns where it can be imported
    python benchmarks/evaluate.py --data fashion-mnist
    python benchmarks/evaluate.py --neighbors      # the best number of neighbours, by the size of the training set

"first" includes compilation, "again" is the best of the repeats. Times on a loaded machine are too high.
"""

import argparse

import jax
import numpy as np
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
    """Prints what `run` returns, its first time and its best time after that."""
    times, (text, *_) = zip(*(timed(run) for _ in range(repeats + 1)), strict=True)
    print(f"{name:36}{times[0]:9.2f} s first{min(times[1:]):9.3f} s again   {text}", flush=True)


def accuracies(features, classes, repeats):
    def linear():
        probe = linear_probe(*features, num_classes=classes)
        low, high = probe.interval
        return f"{probe.accuracy:.1%} ({low:.1%} to {high:.1%}), strength {probe.strength:g}"

    def few():
        probe = few_label_probe(*features, num_classes=classes)
        return f"{probe.accuracy:.1%} ± {probe.deviation:.1%}, 10 labels a class"

    report("k-NN", lambda: f"{float(knn_accuracy(*features, num_classes=classes)):.1%}", repeats=repeats)
    report("linear probe, 7 strengths", linear, repeats=repeats)
    report("few-label probe, 5 draws", few, repeats=repeats)


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

    report(f"one fit, strength {strength:g}", ours, repeats=repeats)
    if LogisticRegression:
        report("  scikit-learn LogisticRegression", theirs, repeats=repeats)
        vote = KNeighborsClassifier(6, weights=lambda d: np.exp((1 - d) / 0.07), metric="cosine")
        report("k-NN, scikit-learn", lambda: f"{vote.fit(*features[:2]).score(*features[2:]):.1%}", repeats=repeats)


def gauges(repeats):
    for batch, dim in [(256, 128), (1024, 256), (4096, 2048)]:
        rows = jax.random.normal(jax.random.key(0), (batch, dim))
        run = jax.jit(lambda rows: {**diagnostics(rows), "uniformity": uniformity(rows)})
        report(
            f"gauges of [{batch}, {dim}]",
            lambda run=run, rows=rows: {name: round(float(value), 2) for name, value in run(rows).items()},
            repeats=repeats,
        )


def neighbors(features, classes):
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="digits")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--neighbors", action="store_true")
    options = parser.parse_args()
    *features, classes = compute_features(pixels, None, None, open_data(options.data))
    if options.neighbors:
        return neighbors(features, classes)
    print(f"pixels of {options.data}: {features[0].shape} and {features[2].shape}, {jax.devices()[0].device_kind}")
    accuracies(features, classes, options.repeats)
    one_fit(features, classes, options.repeats)
    gauges(options.repeats)


if __name__ == "__main__":
    main()
