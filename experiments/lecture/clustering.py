"""Clustering: SwAV's soft and hard codes, number of prototypes, unequal classes, small batches, frozen prototypes, speed.

    python experiments/lecture/clustering.py

On the embedded digits, one thing exchanged at a time in SwAV's demo. In the long tail, the most frequent class has 50 times
as many images as the rarest one; the features are evaluated on the balanced data set.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
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

from ssl_jax.data import Data, load_into_memory, steps_per_epoch
from ssl_jax.data.subsets import Subset
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.evaluate.online import online_probes
from ssl_jax.optimizers import freeze_for
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html
from ssl_jax.train.mesh import make_mesh

BATCH, RATE = 128, 2e-3
IMBALANCE = 50  # Images of the most frequent class, for each of the rarest.


def long_tail(data: Data) -> Data:
    """Training images whose numbers by class fall geometrically."""
    labels = load_into_memory(data.train)["label"]
    count = len(data.classes)
    largest = np.bincount(labels).min()
    kept = [
        np.flatnonzero(labels == label)[: max(1, round(largest * IMBALANCE ** (-label / (count - 1))))]
        for label in range(count)
    ]
    return Data(f"{data.name}, long tail", Subset(data.train, np.sort(np.concatenate(kept))), data.test)


def measured(
    budget: Budget, seed: int, *, name: str = "swav", batch: int = BATCH, tail: bool = False, frozen: bool = False,
    prototypes: int = 64, **exchanged: Any,
) -> dict[str, Any]:  # fmt: skip
    budget = budget._replace(steps=max(2, budget.steps * BATCH // batch))
    options = {"prototypes": prototypes} if name == "swav" else {}
    recipe = demo(name, budget, batch_size=batch, learning_rate=RATE * (batch / BATCH) ** 0.5, **options)
    changed = replace(recipe, method=replace(recipe.method, **exchanged))
    if tail:  # As many steps of fewer images.
        rare = long_tail(recipe.data)
        changed = replace(changed, data=rare, epochs=budget.steps / steps_per_epoch(len(rare.train), batch))
    if frozen:
        optimizer = recipe.optimizer
        changed = replace(
            changed, optimizer=lambda steps: freeze_for(optimizer(steps), steps=steps + 1, parameter="prototypes")
        )
    hook = online_probes(feature_extractor(recipe.method, recipe.prepare), recipe.data, mesh=make_mesh())
    every = max(1, budget.steps // 8)
    state, records = trained(changed, seed=seed, steps=budget.steps, every=every, hook=hook, hook_every=every)
    rates = [record["images_per_second"] for record in records if "images_per_second" in record][1:]
    return {
        **accuracies(features_of(recipe, state)),
        "curve": curve(records, "knn"),
        "loss": curve(records, "loss")[-1][1],
        "seconds_per_step": round(batch / float(np.median(rates)), 4) if rates else None,
    }


SMALL = 16
CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    "SwAV": measured,
    "SimCLR": partial(measured, name="simclr"),
    "hard codes": partial(measured, hard=True),
    "long tail": partial(measured, tail=True),
    "hard codes, long tail": partial(measured, tail=True, hard=True),
    "16 prototypes": partial(measured, prototypes=16),
    "512 prototypes": partial(measured, prototypes=512),
    "hard codes, 16 prototypes": partial(measured, hard=True, prototypes=16),
    "hard codes, 512 prototypes": partial(measured, hard=True, prototypes=512),
    f"batch {SMALL}": partial(measured, batch=SMALL),
    f"batch {SMALL}, queue of 256": partial(measured, batch=SMALL, queue_length=256),
    "frozen random prototypes": partial(measured, frozen=True),
}


def the_table(found: Found) -> str:
    rows = [
        [
            name, percent(values(found, name, "linear")), percent(values(found, name)),
            f"{mean(values(found, name, 'loss')):.2f}", f"{min(values(found, name, 'seconds_per_step')):.2f}",
        ]
        for name in CASES
    ]  # fmt: skip
    return table(["SwAV with", "linear, %", "k-NN, %", "loss", "seconds a step"], rows)


def differences(found: Found, first: str, second: str) -> list[float]:
    """k-NN of the first case minus that of the second, by seed."""
    return [one - other for one, other in zip(values(found, first), values(found, second), strict=True)]


def at_equal_time(found: Found) -> tuple[list[float], list[float]]:
    """k-NN of SwAV after half of its steps, and of SimCLR when it has taken the same time, over seeds."""
    pairs = []
    for swav, simclr in zip(found["SwAV"].values(), found["SimCLR"].values(), strict=True):
        step, accuracy = swav["curve"][len(swav["curve"]) // 2]
        passed = step * swav["seconds_per_step"] / simclr["seconds_per_step"]
        steps, scores = zip(*simclr["curve"], strict=True)
        pairs.append((accuracy, float(np.interp(passed, steps, scores))))
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def halfway(found: Found, case: str) -> list[float]:
    return [of_seed["curve"][len(of_seed["curve"]) // 2][1] for of_seed in found[case].values()]


def claims(found: Found) -> Sequence[Claim]:
    def above(items: str, claim: str, first: str, second: str) -> Claim:
        figures = f"{first} {percent(values(found, first))}, {second} {percent(values(found, second))} k-NN"
        return Claim(items, claim, compare(values(found, first), values(found, second)), figures)

    soft, hard = differences(found, "SwAV", "long tail"), differences(found, "hard codes", "hard codes, long tail")
    less, more = (
        differences(found, prefix + "512 prototypes", prefix + "16 prototypes") for prefix in ("", "hard codes, ")
    )
    swav, simclr = at_equal_time(found)
    return [
        above("84", "soft codes are better than hard ones", "SwAV", "hard codes"),
        Claim("85", "unequal classes cost hard codes more than soft ones", compare(hard, soft),
              f"lost: soft {percent(soft)}, hard {percent(hard)} k-NN"),
        Claim("85", "the number of prototypes matters more to hard codes",
              compare([abs(each) for each in more], [abs(each) for each in less]),
              f"from 16 to 512: soft {percent(less)}, hard {percent(more)} k-NN"),
        Claim("88", "SwAV converges faster than SimCLR, by steps", compare(halfway(found, "SwAV"), halfway(found, "SimCLR")),
              f"half of the steps: {percent(halfway(found, 'SwAV'))} and {percent(halfway(found, 'SimCLR'))} k-NN"),
        Claim("88", "and by time", compare(swav, simclr), f"at the same time: {percent(swav)} and {percent(simclr)} k-NN"),
        above("89", "small batches need a queue", f"batch {SMALL}, queue of 256", f"batch {SMALL}"),
        above("92", "trained prototypes are better than frozen random ones", "SwAV", "frozen random prototypes"),
    ]  # fmt: skip


def pictures(found: Found) -> dict[str, Html]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for case in ("SwAV", "SimCLR", "hard codes", "frozen random prototypes"):
        several = [of_seed["curve"] for of_seed in found[case].values()]
        seconds = mean(values(found, case, "seconds_per_step"))
        curves[case.removesuffix(" random prototypes")] = [
            (seconds * step, 100 * mean([each[place][1] for each in several]))
            for place, (step, _) in enumerate(several[0])
        ]
    dashes = {"SimCLR": "7 4", "hard codes": "2 3", "frozen": "9 3 2 3"}
    first, last = (bound(x for curve in curves.values() for x, _ in curve) for bound in (min, max))
    names = {float(second): str(second) for second in range(2, 100, 2) if first <= second <= last}
    figure = lines(
        curves, title="SwAV and SimCLR", across="seconds on one core", up="k-NN, %", names=names, dashes=dashes
    )
    return {"clustering_speed": figure}


SCRIPT = Script(
    "clustering", CASES, the_table, claims, pictures, steps=120, seeds=(0, 1), budget="digits, 15,360 images seen"
)

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
