"""Probes layer by layer: where a pretext task's features are best, and what a cut block does to them.

    python experiments/lecture/layers.py

Jigsaw, rotation, PIRL, SimCLR and supervised training on the drawn emblems, with one network of five convolutions, and jigsaw
with four. Each convolution ("block") is averaged over the image to at most 64 numbers, and probed: in whole maps a linear
classifier finds the plan of an emblem, 99 % from the first block on. The drop is the last block against the one before it, so
that no block is chosen on test images.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
import tyro
from runs import (
    Budget,
    Claim,
    Found,
    Script,
    Verdict,
    accuracies,
    compare,
    curve,
    demo,
    features_of,
    geometry,
    mean,
    part_of,
    percent,
    signed,
    table,
    trained,
    untrained,
    values,
    views_for,
)

from ssl_jax.augment.pretext import grid_views, pirl_views, shuffled, standardize_tile, without_shortcuts
from ssl_jax.composition.recipe import Recipe
from ssl_jax.evaluate.features import compute_layers, layer_extractor
from ssl_jax.evaluate.layers import layer_probes
from ssl_jax.networks.small import small_convnet
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html
from ssl_jax.train.mesh import make_mesh

WIDTHS, STRIDES = (16, 32, 64, 64, 64), (2, 2, 2, 2, 1)
POOLED = 64  # The size to which each block is pooled, 2 x 2 x 16 or 1 x 1 x 64.
IMAGES = 1000  # In training: an entry of PIRL's bank is written 13 times.
# Images of a step, so that each method encodes about as many pixels in it: rotation shows an image four times.
BATCHES = {"jigsaw": 256, "rotation": 48, "pirl": 112, "simclr": 96, "supervised": 192}
NAMES = {"jigsaw": "jigsaw", "rotation": "rotation", "pirl": "PIRL", "simclr": "SimCLR", "supervised": "supervised"}
SIDES = {"emblems": 42, "digits": 28}
CUT = "jigsaw, cut"


def made(method: str, budget: Budget, *, depth: int, data: str = "emblems") -> Recipe:
    """The demo on these data, with this many convolutions; PIRL has the tiles of jigsaw."""
    net = small_convnet(channels=1, widths=WIDTHS[:depth], strides=STRIDES[:depth])
    options = {"data": data, "image_size": SIDES[data], "encoder": net, "batch_size": BATCHES[method], "images": IMAGES}
    recipe = demo(method, budget, **options)
    if method == "pirl":
        view = demo("simclr", budget, **options).augment
        tiles = shuffled(grid_views(view, size=12, gap=1, jitter=1, finish=without_shortcuts()))
        return replace(recipe, augment=pirl_views(view, tiles))
    return recipe


def probes(recipe: Recipe, state: Any) -> dict[str, Any]:
    """Accuracy of both probes on every block, `{"layer1": [linear, k-NN], ...}`."""
    extract = layer_extractor(recipe.method, recipe.prepare, size=POOLED)
    layers = compute_layers(extract, state.params, state.method_state, recipe.data, mesh=make_mesh())
    del layers["features"]
    linear = layer_probes({name: part_of(each) for name, each in layers.items()}, protocols=("linear",))
    knn = layer_probes(layers, protocols=("knn",))
    return {
        name: [round(linear[name]["linear"]["accuracy"], 4), round(knn[name]["knn"]["accuracy"], 4)] for name in layers
    }


def measured(
    budget: Budget, seed: int, *, method: str, depth: int = len(WIDTHS), data: str = "emblems"
) -> dict[str, Any]:
    recipe = made(method, budget, depth=depth, data=data)
    state, records = trained(recipe, seed=seed)
    of_task = {"task_accuracy": curve(records, "task_accuracy")[-1][1]} if "task_accuracy" in records[0] else {}
    return {**frozen(recipe, state, tiled=method == "jigsaw"), **of_task}


def frozen(recipe: Recipe, state: Any, *, tiled: bool = False) -> dict[str, Any]:
    """Probes of the layers and of the features, and the invariance of the features to SimCLR's views.

    tiled: the network was trained on tiles, and sees whole images standardised as they are.
    """
    views, finish = views_for(size=recipe.data.train.image_shape[0]), standardize_tile if tiled else lambda image: image
    of_features = geometry(recipe, state, lambda rng, image: jax.vmap(finish)(views(rng, image)))
    return {"layers": probes(recipe, state), **accuracies(features_of(recipe, state)), **of_features}


def before(budget: Budget, seed: int, *, data: str = "emblems") -> dict[str, Any]:
    recipe = made("simclr", budget, depth=len(WIDTHS), data=data)
    return frozen(recipe, untrained(recipe, seed=seed))


CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    "jigsaw": partial(measured, method="jigsaw"),
    CUT: partial(measured, method="jigsaw", depth=len(WIDTHS) - 1),
    **{
        name: partial(measured, method=method) for method, name in NAMES.items() if method not in ("jigsaw", "rotation")
    },
    "untrained": before,
    "rotation, digits": partial(measured, method="rotation", data="digits"),
    "untrained, digits": partial(before, data="digits"),
    "rotation": partial(measured, method="rotation"),
}


def probe(found: Found, case: str, block: int, which: int = 0) -> list[float]:
    """Accuracies over seeds of a block, -1 for the last; `which` is 0 for the linear probe, 1 for k-NN."""
    return [list(of_seed["layers"].values())[block][which] for of_seed in found[case].values()]


def blocks(found: Found, case: str) -> int:
    return len(next(iter(found[case].values()))["layers"])


def drop(found: Found, case: str, which: int = 0) -> list[float]:
    """By how much the last block is below the one before it, by seed."""
    pairs = zip(probe(found, case, -2, which), probe(found, case, -1, which), strict=True)
    return [earlier - last for earlier, last in pairs]


def the_table(found: Found) -> str:
    names = [f"block {number}" for number in range(1, len(WIDTHS) + 1)]
    rows = []
    for case in CASES:
        cells = [
            f"{100 * mean(probe(found, case, block)):.1f} / {100 * mean(probe(found, case, block, 1)):.1f}"
            for block in range(blocks(found, case))
        ]
        solved = "task_accuracy" in next(iter(found[case].values()))
        own = percent(values(found, case, "task_accuracy")) if solved else "-"
        rows.append([case, *cells, *["-"] * (len(WIDTHS) - len(cells)), own])
    return table(["linear / k-NN, %", *names, "own task"], rows)


def claims(found: Found) -> Sequence[Claim]:
    none = [0.0] * len(found["jigsaw"])
    falls = {case: drop(found, case) for case in CASES}

    def words(*cases: str) -> str:
        return ", ".join(f"{case} {signed([-fall for fall in falls[case]])}" for case in cases)

    def last(*cases: str) -> str:
        return ", ".join(f"{case} {percent(probe(found, case, -1))}" for case in cases)

    invariances = ", ".join(
        f"{case} {mean(values(found, case, 'invariance')):.2f} {percent(values(found, case))}"
        for case in NAMES.values()
    )
    return [
        Claim("26-28", "jigsaw's last block is worse than the one before", compare(falls["jigsaw"], none),
              f"last block against the one before: {words('jigsaw', 'untrained')}"),
        Claim("26-28", "its drop is larger than that of supervised training", compare(falls["jigsaw"], falls["supervised"]),
              f"last block: {words('jigsaw', 'supervised')}"),
        Claim("26-28", "rotation's last block is worse, too (digits)", compare(falls["rotation, digits"], none),
              f"last block: {words('rotation, digits', 'untrained, digits')}"),
        Claim("29", "with one block less, the drop moves to the block before", compare(falls[CUT], none),
              f"fourth block of four {signed([-fall for fall in falls[CUT]])}, fourth of five {signed(rise(found))}"),
        Claim("61", "PIRL's features do not drop as jigsaw's do", compare(falls["jigsaw"], falls["PIRL"]),
              f"last block: {words('jigsaw', 'PIRL', 'SimCLR')}"),
        Claim("63", "PIRL's last block is better than jigsaw's", compare(probe(found, "PIRL", -1), probe(found, "jigsaw", -1)),
              last("PIRL", "jigsaw", "untrained")),
        Claim("65", "the more invariant the features, the better", ranking(found), "invariance and k-NN: " + invariances),
    ]  # fmt: skip


def rise(found: Found) -> list[float]:
    """Block 4 of jigsaw's five against block 3."""
    return [last - earlier for last, earlier in zip(probe(found, "jigsaw", 3), probe(found, "jigsaw", 2), strict=True)]


def ranking(found: Found) -> Verdict:
    """Whether the order of the methods by invariance is that by k-NN of the features: rank correlation above a half."""
    invariance, accuracy = (
        [mean(values(found, case, name)) for case in NAMES.values()] for name in ("invariance", "knn")
    )
    correlation = float(np.corrcoef(np.argsort(np.argsort(invariance)), np.argsort(np.argsort(accuracy)))[0, 1])
    return "holds" if correlation > 0.5 else "does not hold" if correlation < 0 else "undecided"


def pictures(found: Found) -> dict[str, Html]:
    def drawn(title: str, cases: Sequence[str]) -> Html:
        curves = {
            case: [(float(number + 1), 100 * mean(probe(found, case, number))) for number in range(blocks(found, case))]
            for case in cases
        }
        names = {float(number): f"block {number}" for number in range(1, len(WIDTHS) + 1)}
        kinds = dict(zip(list(cases)[1:], ("7 4", "2 3", "9 3 2 3", "1 5", "12 4"), strict=False))
        return lines(curves, title=title, across="", up="linear probe, %", names=names, dashes=kinds)

    return {
        "layers_methods": drawn("Layers of five methods", [*NAMES.values(), "untrained"]),
        "layers_cut": drawn("Jigsaw with five blocks and with four", ["jigsaw", CUT, "untrained"]),
    }


SCRIPT = Script(
    "layers", CASES, the_table, claims, pictures, steps=120, seeds=(0,),
    budget="emblems, 120 steps of about 250 images' pixels",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
