"""How many permutations, how many pretext tasks, and invariance beside accuracy.

    python experiments/lecture/permutations.py

On the drawn emblems: jigsaw that tells 9 to 10,000 orders of its tiles apart, PIRL that is to be invariant to 9, 100 or all 9!
of them, rotation, and jigsaw and rotation together on one network. The numbers of orders are the difficulty of one task on one
data set. On the embedded digits: the demos of several methods, and the invariance of their features to SimCLR's views.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
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
    percent,
    table,
    trained,
    untrained,
    values,
    views_for,
)

from ssl_jax.augment.permutations import permutations
from ssl_jax.augment.pretext import (
    grid_views,
    jigsaw_views,
    pirl_views,
    shuffled,
    standardize_tile,
    without_shortcuts,
)
from ssl_jax.augment.views import ViewMaker
from ssl_jax.composition.recipe import Recipe
from ssl_jax.losses.pretext import accuracy, cross_entropy
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.methods.joint_embedding import on_views
from ssl_jax.networks import Net, linear_head
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

IMAGES = 1000  # In training, as in layers.py.
BATCHES = {"jigsaw": 192, "pirl": 96, "rotation": 48, "both": 32}  # So that steps encode about as many pixels.
ORDERS, PIRL_ORDERS = (9, 100, 1000, 10_000), (9, 100, None)  # None: all 362,880.
BOTH, BOTH_ORDERS = "jigsaw and rotation", 100
METHODS = {  # Demos on digits, images of a step.
    "SimCLR": 96, "BYOL": 64, "Barlow Twins": 96, "SwAV": 64, "PIRL": 96, "rotation": 48, "supervised": 192
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JigsawAndRotation(Jigsaw):
    """Two heads on one network: the order of the tiles, and the rotation of four copies of the image, "rotated" `[B, 4, ...]`.

    turns_head: features -> 4 logits; copy i is rotated by i quarter turns.
    weight: of rotation's cross-entropy, in [0, 1]; jigsaw's has 1 minus this weight.
    """

    turns_head: Net
    weight: float = 0.5

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "turns_head": self.turns_head}

    def encode(self, params: Any, state: Any, views: Any, rng: Array, step: Array) -> tuple[Any, Any]:
        tiles_rng, turns_rng = jax.random.split(rng)
        embeddings, state = super().encode(params, state, views, tiles_rng, step)
        layers, encoder = on_views(self.encoder, params["encoder"], state["encoder"], views["rotated"], rng=turns_rng)
        turns, head = on_views(self.turns_head, params["turns_head"], state["turns_head"], layers["features"])
        return {**embeddings, "turns": turns}, {**state, "encoder": encoder, "turns_head": head}

    def objective(
        self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None
    ) -> tuple[Array, Any, Any]:
        of_tiles, changes, metrics = super().objective(embeddings, state, rng, step, axis_name=axis_name)
        logits = embeddings["turns"]
        turns = jnp.broadcast_to(jnp.arange(4)[None], logits.shape[:2])
        of_turns = cross_entropy(logits, turns, axis_name=axis_name)
        metrics = {**metrics, "turns_accuracy": accuracy(logits, turns, axis_name=axis_name)}
        return (1 - self.weight) * of_tiles + self.weight * of_turns, changes, metrics


def options(method: str) -> dict[str, Any]:
    return {"data": "emblems", "image_size": 42, "batch_size": BATCHES[method], "images": IMAGES}


def in_orders(grid: ViewMaker, count: int | None) -> ViewMaker:
    """Tiles in one of so many orders, or in any when None."""
    drawn = None if count is None else jigsaw_views(grid, permutations(count))
    return shuffled(grid) if drawn is None else lambda rng, image: drawn(rng, image)["views"]


def pirl(budget: Budget, orders: int | None) -> Recipe:
    """PIRL's demo with the view of SimCLR and the tiles of jigsaw."""
    recipe = demo("pirl", budget, **options("pirl"))
    view = views_for(size=42, views=1)
    grid = grid_views(view, size=12, gap=1, jitter=1, finish=without_shortcuts())
    return replace(recipe, augment=pirl_views(view, in_orders(grid, orders)))


def both(budget: Budget) -> Recipe:
    """Jigsaw's demo, and the four rotations of the same image standardised as its tiles are."""
    recipe = demo("jigsaw", budget, **options("both") | {"orders": BOTH_ORDERS})
    turned, tiles = demo("rotation", budget, **options("rotation")).augment, recipe.augment
    method = JigsawAndRotation(
        **vars(recipe.method), turns_head=linear_head(inputs=recipe.method.encoder.width, outputs=4)
    )

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        tiles_rng, turns_rng = jax.random.split(rng)
        return tiles(tiles_rng, image) | {"rotated": jax.vmap(standardize_tile)(turned(turns_rng, image))}

    return replace(recipe, method=method, augment=augment)


def measured(budget: Budget, seed: int, *, make: Callable[[Budget], Recipe], tiled: bool = False) -> dict[str, Any]:
    """Accuracies, invariance to SimCLR's views, and the accuracy of the pretext tasks in training."""
    recipe = make(budget)
    state, records = trained(recipe, seed=seed)
    tasks = {name: curve(records, name)[-1][1] for name in ("task_accuracy", "turns_accuracy") if name in records[0]}
    return {**frozen(recipe, state, tiled=tiled), **tasks}


def frozen(recipe: Recipe, state: Any, *, tiled: bool = False) -> dict[str, Any]:
    """tiled: the network was trained on tiles, and sees whole images standardised as they are."""
    views, finish = views_for(size=recipe.data.train.image_shape[0]), standardize_tile if tiled else lambda image: image
    found = geometry(recipe, state, lambda rng, image: jax.vmap(finish)(views(rng, image)))
    return {**accuracies(features_of(recipe, state)), "invariance": found["invariance"]}


def before(budget: Budget, seed: int, *, method: str = "simclr", **given: Any) -> dict[str, Any]:
    recipe = demo(method, budget, images=IMAGES, batch_size=96, **given)
    return frozen(recipe, untrained(recipe, seed=seed))


def jigsaw(budget: Budget, orders: int) -> Recipe:
    return demo("jigsaw", budget, **options("jigsaw") | {"orders": orders})


def on_digits(budget: Budget, name: str) -> Recipe:
    return demo(name.lower().replace(" ", "_"), budget, images=IMAGES, batch_size=METHODS[name])


def titled(method: str, orders: int | None) -> str:
    return f"{method}, {'all' if orders is None else f'{orders:,}'} orders"


EMBLEMS: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    **{titled("jigsaw", n): partial(measured, make=partial(jigsaw, orders=n), tiled=True) for n in ORDERS},
    **{titled("PIRL", n): partial(measured, make=partial(pirl, orders=n)) for n in PIRL_ORDERS},
    "rotation": partial(measured, make=lambda budget: demo("rotation", budget, **options("rotation"))),
    BOTH: partial(measured, make=both, tiled=True),
    "untrained": partial(before, data="emblems", image_size=42),
}
DIGITS = {f"{name}, digits": partial(measured, make=partial(on_digits, name=name)) for name in METHODS}
CASES = EMBLEMS | DIGITS | {"untrained, digits": before}


def own(found: Found, case: str) -> str:
    """Accuracy of the pretext tasks in training."""
    first = next(iter(found[case].values()))
    return ", ".join(
        percent(values(found, case, name)) for name in ("task_accuracy", "turns_accuracy") if name in first
    )


def the_table(found: Found) -> str:
    rows = [
        [case, percent(values(found, case, "linear")), percent(values(found, case)),
         f"{mean(values(found, case, 'invariance')):.2f}", own(found, case) or "-"]
        for case in CASES
    ]  # fmt: skip
    return table(["method", "linear, %", "k-NN, %", "invariance", "own tasks, %"], rows)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's: the correlation of the ranks, in [-1, 1]; 0 by chance."""
    ranks = [np.argsort(np.argsort(each)) for each in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def ranked(found: Found, names: Sequence[str], probe: str) -> float:
    return rank_correlation(*([mean(values(found, name, each)) for name in names] for each in ("invariance", probe)))


def claims(found: Found) -> Sequence[Claim]:
    def above(items: str, claim: str, higher: str, lower: str, probe: str = "linear") -> Claim:
        pair = [values(found, case, probe) for case in (higher, lower)]
        figures = f"{higher} {percent(pair[0])}, {lower} {percent(pair[1])} {probe}"
        return Claim(items, claim, compare(*pair), figures)

    correlations = [ranked(found, list(DIGITS), probe) for probe in ("linear", "knn")]
    low, high = min(correlations), max(correlations)
    verdict: Verdict = "holds" if low > 0.7 else "does not hold" if high < 0.3 else "undecided"
    return [
        above("62", "a harder jigsaw gives better features", titled("jigsaw", 1000), titled("jigsaw", 9)),
        above("62", "and 10,000 orders still better ones", titled("jigsaw", ORDERS[-1]), titled("jigsaw", 1000)),
        above("62", "PIRL gains from all 9! orders", titled("PIRL", None), titled("PIRL", 9)),
        above("60", "jigsaw and rotation together are better than jigsaw", BOTH, titled("jigsaw", BOTH_ORDERS)),
        above("60", "and than rotation", BOTH, "rotation"),
        Claim(
            "65", "the more invariant the features, the better, over methods", verdict,
            f"rank correlation of invariance and accuracy of {len(DIGITS)} methods: linear {correlations[0]:.2f}, "
            f"k-NN {correlations[1]:.2f}",
        ),
    ]  # fmt: skip


def pictures(found: Found) -> dict[str, Html]:
    counts = {"jigsaw": ORDERS, "PIRL": PIRL_ORDERS}
    curves = {
        method: [(float(n or 362_880), 100 * mean(values(found, titled(method, n), "linear"))) for n in numbers]
        for method, numbers in counts.items()
    }
    figure = lines(
        curves, title="Orders of the tiles", across="number of orders", up="linear probe, %", dashes={"PIRL": "7 4"},
        log=True, names={float(n): f"{n:,}" for n in (*ORDERS, 362_880)},
    )  # fmt: skip
    return {"permutations_orders": figure}


SCRIPT = Script(
    "permutations", CASES, the_table, claims, pictures, steps=120, seeds=(0,),
    budget="120 steps of about 180 images' pixels",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
