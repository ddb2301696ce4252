"""ClusterFit of a pretext task's features, and of features from noisy labels, beside distillation.

    python experiments/lecture/clusterfit.py

A first network is trained: on rotations (digits), on jigsaw (emblems), or on labels of which some are random (digits). Then new
networks with other weights are trained on the clusters of its features, and, for labels, on its predictions: distillation.
All are evaluated with the right labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from numpy.typing import NDArray
from runs import (
    Budget,
    Claim,
    Found,
    Script,
    accuracies,
    compare,
    demo,
    features_of,
    mean,
    percent,
    table,
    trained,
    values,
)

from ssl_jax.composition.recipe import Recipe
from ssl_jax.data import ArraySource, Data, load_into_memory
from ssl_jax.losses.pretext import cross_entropy
from ssl_jax.methods.clusterfit import ClusterFit, cluster
from ssl_jax.methods.supervised import Supervised
from ssl_jax.networks import linear_head
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

CLUSTERS, IMAGES = 128, 2000
BATCH = {"rotation": 48, "jigsaw": 192, "supervised": 128}
NOISE = (0.0, 0.5, 0.8)  # Share of labels that are drawn anew.


@dataclass(frozen=True, kw_only=True)
class Distilled(Supervised):
    """Supervised training on probabilities `[L, K]`, those of another network."""

    targets: NDArray[np.float32] = field(repr=False)

    def init(self, rng: Array) -> tuple[Any, Any]:
        params, state = super().init(rng)
        return params, {**state, "targets": jnp.asarray(self.targets)}

    def encode(self, params: Any, state: Any, views: Any, rng: Array, step: Array) -> tuple[Any, Any]:
        embeddings, state = super().encode(params, state, views, rng, step)
        return {**embeddings, "target": state["targets"][views["index"]]}, state

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        return cross_entropy(embeddings["embedding"][:, 0], embeddings["target"], axis_name=axis_name), {}, {}


def second(recipe: Recipe, method: Callable[..., Any], outputs: int, **options: Any) -> Recipe:
    """Supervised training's recipe for a second network of this method."""
    encoder = recipe.method.encoder
    return replace(recipe, method=method(encoder, linear_head(inputs=encoder.width, outputs=outputs), **options))


def of_pretext(budget: Budget, seed: int, *, name: str) -> dict[str, Any]:
    """Accuracies of the pretext task's features and of ClusterFit's."""
    options = {"data": "emblems", "image_size": 42} if name == "jigsaw" else {}
    first = demo(name, budget, batch_size=BATCH[name], images=IMAGES, **options)
    state, _ = trained(first, seed=seed, every=first.steps)
    before = features_of(first, state)
    labels = cluster(before.train, min(CLUSTERS, len(before.train) // 4), seed=seed)
    base = demo("supervised", budget, batch_size=BATCH["supervised"], images=IMAGES, **options)
    fitted = second(base, ClusterFit, int(labels.max()) + 1, clusters=labels)
    state, _ = trained(fitted, seed=seed + 100, every=fitted.steps)
    return named(first=accuracies(before), clusterfit=accuracies(features_of(fitted, state)))


def of_labels(budget: Budget, seed: int, *, noise: float) -> dict[str, Any]:
    """Accuracies of features from noisy labels, of ClusterFit's and of distillation's."""
    base = demo("supervised", budget, batch_size=BATCH["supervised"], images=IMAGES)
    noisy = replace(base, data=with_noise(base.data, share=noise, seed=seed))
    state, _ = trained(noisy, seed=seed, every=base.steps)
    before, chances = features_of(base, state), predictions(base, state)
    labels = cluster(before.train, min(CLUSTERS, len(before.train) // 4), seed=seed)
    fitted = second(base, ClusterFit, int(labels.max()) + 1, clusters=labels)
    distilled = second(base, Distilled, chances.shape[1], targets=chances)
    after = {}
    for name, recipe in {"clusterfit": fitted, "distilled": distilled}.items():
        state, _ = trained(recipe, seed=seed + 100, every=recipe.steps)
        after[name] = accuracies(features_of(recipe, state))
    return named(first=accuracies(before), **after)


def named(**found: dict[str, float]) -> dict[str, float]:
    return {f"{network} {name}": value for network, of in found.items() for name, value in of.items()}


def with_noise(data: Data, *, share: float, seed: int) -> Data:
    """A share of the training labels drawn anew, uniformly."""
    whole, random = load_into_memory(data.train), np.random.default_rng(seed)
    labels, drawn = whole["label"].copy(), random.random(len(data.train)) < share
    labels[drawn] = random.integers(0, len(data.classes), drawn.sum())
    return Data(f"{data.name}, noisy", ArraySource(data.name, data.classes, whole["image"], labels), data.test)


def predictions(recipe: Recipe, state: Any) -> NDArray[np.float32]:
    """The classifier's probabilities of all training images, `[L, K]`."""
    method, images = recipe.method, load_into_memory(recipe.data.train)["image"]

    @jax.jit
    def chances(params: Any, stats: Any, images: Array) -> Array:
        features = method.features(params, stats, jax.vmap(recipe.prepare)(images))["features"]
        return jax.nn.softmax(method.head.apply(params["head"], stats["head"], features, train=False)[0])

    return np.asarray(jax.device_get(chances(state.params, state.method_state, jax.device_put(images))))


CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    **{name: partial(of_pretext, name=name) for name in ("rotation", "jigsaw")},
    **{f"labels, {100 * noise:.0f} % noise": partial(of_labels, noise=noise) for noise in NOISE},
}
NETWORKS = {"first": "the network itself", "clusterfit": "ClusterFit", "distilled": "distillation"}


def has(found: Found, case: str, network: str) -> bool:
    return f"{network} knn" in next(iter(found[case].values()))


def the_table(found: Found) -> str:
    rows = [
        [
            case,
            *(
                f"{percent(values(found, case, f'{network} linear'))} / {percent(values(found, case, f'{network} knn'))}"
                if has(found, case, network)
                else "-"
                for network in NETWORKS
            ),
        ]
        for case in CASES
    ]
    return table(["first network, linear / k-NN", *NETWORKS.values()], rows)


def claims(found: Found) -> Sequence[Claim]:
    def above(items: str, claim: str, case: str, first: str, second: str, probe: str = "linear") -> Claim:
        higher, lower = (values(found, case, f"{network} {probe}") for network in (first, second))
        figures = f"{NETWORKS[first]} {percent(higher)}, {NETWORKS[second]} {percent(lower)} {probe}"
        return Claim(items, claim, compare(higher, lower), figures)

    made = [
        above("95", f"ClusterFit improves {name}'s features", name, "clusterfit", "first")
        for name in ("rotation", "jigsaw")
    ]
    for noise in NOISE[1:]:
        case = f"labels, {100 * noise:.0f} % noise"
        made += [
            above(
                "94",
                f"with {100 * noise:.0f} % noisy labels ClusterFit is better than the network itself",
                case,
                "clusterfit",
                "first",
            ),
            above("94, 96", f"and better than distillation ({100 * noise:.0f} %)", case, "clusterfit", "distilled"),
        ]
    return made


def pictures(found: Found) -> dict[str, Html]:
    dashes = {"ClusterFit": "7 4", "distillation": "2 3"}
    curves = {
        title.removesuffix(" itself"): [
            (100 * noise, 100 * mean(values(found, f"labels, {100 * noise:.0f} % noise", f"{network} linear")))
            for noise in NOISE
        ]
        for network, title in NETWORKS.items()
    }
    figure = lines(curves, title="Noisy labels", across="labels drawn anew, %", up="linear probe, %", dashes=dashes)
    return {"clusterfit_noise": figure}


SCRIPT = Script(
    "clusterfit", CASES, the_table, claims, pictures, steps=120, seeds=(0, 1), budget="120 steps for each network"
)

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
