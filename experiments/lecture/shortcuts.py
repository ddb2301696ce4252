"""Shortcuts of pretext tasks: relative position with its guards, and without each of them.

    python experiments/lecture/shortcuts.py

On emblems, and on digits, where nothing but a shortcut solves the task. Gaps and jitter hide edges that continue from tile to
tile; standardising each tile hides brightness. Colours could not be dropped: the images are grayscale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import tyro
from runs import (
    Budget,
    Claim,
    Found,
    Script,
    accuracies,
    compare,
    curve,
    demo,
    features_of,
    mean,
    percent,
    table,
    trained,
    values,
)

from ssl_jax.augment.pretext import grid_views, without_shortcuts
from ssl_jax.composition.images import DIGIT_STATISTICS
from ssl_jax.composition.views import crop_views
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

SIDE, TILE = {"emblems": 42, "digits": 28}, {"emblems": 12, "digits": 8}
GUARDS = {"gap": 1, "jitter": 1, "standardize": 1}
WITHOUT: dict[str, dict[str, int]] = {
    "all guards": {},
    "no gap": {"gap": 0},
    "no jitter": {"jitter": 0},
    "no standardisation": {"standardize": 0},
    "no guard": {"gap": 0, "jitter": 0, "standardize": 0},
}


def measured(budget: Budget, seed: int, *, data: str, **changed: int) -> dict[str, Any]:
    guards = GUARDS | changed
    recipe = demo(
        "relative_position", budget, data=data, image_size=SIDE[data], tile_size=TILE[data], batch_size=192, images=1000
    )
    mean_, std = DIGIT_STATISTICS
    view = crop_views(size=SIDE[data], mean=mean_, std=std, scale=(0.8, 1.0), flip=False)
    finish = without_shortcuts(standardize=bool(guards["standardize"]))
    views = grid_views(view, size=TILE[data], gap=guards["gap"], jitter=guards["jitter"], finish=finish)
    state, records = trained(replace(recipe, augment=views), seed=seed, every=max(1, recipe.steps // 4))
    return {**accuracies(features_of(recipe, state)), "task_accuracy": curve(records, "task_accuracy")[-1][1]}


CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    f"{data}, {name}": partial(measured, data=data, **changed) for data in SIDE for name, changed in WITHOUT.items()
}


def the_table(found: Found) -> str:
    rows = [
        [case, *(percent(values(found, case, name)) for name in ("task_accuracy", "knn", "linear"))] for case in CASES
    ]
    return table(["relative position", "own task, %", "k-NN, %", "linear, %"], rows)


def claims(found: Found) -> Sequence[Claim]:
    made = []
    for data in SIDE:
        for name in list(WITHOUT)[1:]:
            bare, full = f"{data}, {name}", f"{data}, all guards"
            solved = compare(values(found, bare, "task_accuracy"), values(found, full, "task_accuracy"))
            better = compare(values(found, bare), values(found, full))
            verdict = (
                "holds"
                if solved == "holds" and better != "holds"
                else "undecided"
                if "undecided" == solved
                else "does not hold"
            )
            figures = "; ".join(
                f"{words} {percent(values(found, full, which))} to {percent(values(found, bare, which))}"
                for words, which in {"task": "task_accuracy", "k-NN": "knn"}.items()
            )
            made.append(Claim("22", f"{data}, {name}: the task becomes easier, features no better", verdict, figures))
    return made


def pictures(found: Found) -> dict[str, Html]:
    names = dict(enumerate(("all guards", "no gap", "no jitter", "no standard.", "none")))
    curves = {
        f"{data}, {words}": [
            (place, 100 * mean(values(found, f"{data}, {name}", which))) for place, name in enumerate(WITHOUT)
        ]
        for data in SIDE
        for words, which in {"task": "task_accuracy", "k-NN": "knn"}.items()
    }
    dashes = dict(zip(list(curves)[1:], ("7 4", "2 3", "9 3 2 3"), strict=True))
    return {"shortcuts": lines(curves, title="Guards", across="", up="accuracy, %", names=names, dashes=dashes)}


SCRIPT = Script(
    "shortcuts", CASES, the_table, claims, pictures, steps=80, seeds=(0, 1), budget="80 steps of 192 images"
)

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
