"""SimCLR, BYOL and Barlow Twins side by side: batch size, augmentations, width of the projector, asymmetry.

    python experiments/lecture/figures_of_the_talk.py

Each run sees as many images as every other one, so that small batches make more steps; AdamW's rate grows with the square root
of the batch. One thing is exchanged at a time in the demo on the embedded digits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import tyro
from jax import Array, lax
from runs import (
    Budget,
    Claim,
    Found,
    Script,
    Verdict,
    accuracies,
    compare,
    demo,
    features_of,
    mean,
    percent,
    table,
    trained,
    untrained,
    values,
    views_for,
)

from ssl_jax.losses import barlow_twins, ntxent
from ssl_jax.methods.joint_embedding import JointEmbedding, on_views
from ssl_jax.networks import Net, projection_head
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

METHODS = {"SimCLR": "simclr", "BYOL": "byol", "Barlow Twins": "barlow_twins"}
BATCH, RATE = 128, 2e-3
BATCHES, WIDTHS = (32, 128), (16,)
STILL: dict[str, Any] = {"degrees": 0, "translate": 0, "zoom": (1.0, 1.0), "shear": 0}
VIEWS: dict[str, dict[str, Any]] = {
    "all": {},
    "crops alone": {"brightness": 0, "contrast": 0, **STILL},
}
WIDE = "the demo's"  # 64, and 256 in Barlow Twins.
ASYMMETRY = {"none": (False, False), "stop-gradient": (False, True), "predictor": (True, False), "both": (True, True)}
LOSSES = {"simclr": partial(ntxent, temperature=0.2), "barlow_twins": partial(barlow_twins, off_diagonal_weight=5e-3)}


@dataclass(frozen=True, kw_only=True)
class Asymmetric(JointEmbedding):
    """A symmetric loss, half of it from each view, with a predictor on one side or a stop-gradient on the other."""

    loss: Callable[..., Array]
    predictor: Net | None
    stop: bool
    per_view_statistics: bool

    @property
    def networks(self) -> dict[str, Net]:
        return super().networks | ({"predictor": self.predictor} if self.predictor else {})

    def encode(self, params: Any, state: Any, views: Any, rng: Array, step: Array) -> tuple[Any, Any]:
        embeddings, state = super().encode(params, state, views, rng, step)
        prediction = embeddings["embedding"]
        if self.predictor:
            prediction, stats = on_views(
                self.predictor, params["predictor"], state["predictor"], prediction,
                per_view_statistics=self.per_view_statistics,
            )  # fmt: skip
            state = {**state, "predictor": stats}
        return {**embeddings, "prediction": prediction}, state

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        prediction, target = embeddings["prediction"], embeddings["embedding"]
        target = lax.stop_gradient(target) if self.stop else target
        pairs = ((prediction[:, 0], target[:, 1]), (prediction[:, 1], target[:, 0]))
        return jnp.stack([self.loss(*pair, axis_name=axis_name) for pair in pairs]).mean(), {}, {}


def with_width(method: Any, width: int) -> Any:
    """The same method with an embedding of this width; hidden layers keep theirs."""
    hidden = (256, 256) if type(method).__name__ == "BarlowTwins" else (256,)
    changed = replace(method, head=projection_head(inputs=method.encoder.width, widths=(*hidden, width)))
    if hasattr(method, "predictor"):
        changed = replace(changed, predictor=projection_head(inputs=width, widths=(256, width)))
    return changed


def asymmetric(method: Any, name: str, *, predictor: bool, stop: bool) -> Any:
    width = method.head.width
    net = projection_head(inputs=width, widths=(256, width)) if predictor else None
    return Asymmetric(
        method.encoder, method.head, loss=LOSSES[name], predictor=net, stop=stop,
        per_view_statistics=method.per_view_statistics,
    )  # fmt: skip


def measured(
    budget: Budget, seed: int, *, name: str, batch: int = BATCH, exchange: Callable[[Any], Any] = lambda method: method,
    **views: Any,
) -> dict[str, Any]:  # fmt: skip
    budget = budget._replace(steps=max(1, budget.steps * BATCH // batch))
    recipe = demo(name, budget, batch_size=batch, learning_rate=RATE * (batch / BATCH) ** 0.5)
    recipe = replace(recipe, method=exchange(recipe.method), augment=views_for(**views))
    state, _ = trained(recipe, seed=seed, every=budget.steps)
    return accuracies(features_of(recipe, state))


def cases() -> dict[str, Callable[[Budget, int], dict[str, Any]]]:
    found: dict[str, Any] = {}
    for title, name in METHODS.items():
        found |= {f"{title}, batch {batch}": partial(measured, name=name, batch=batch) for batch in BATCHES}
        found |= {
            f"{title}, {kept}": partial(measured, name=name, **options)
            for kept, options in VIEWS.items()
            if kept != "all"
        }
        found |= {
            f"{title}, width {width}": partial(measured, name=name, exchange=partial(with_width, width=width))
            for width in WIDTHS
        }
        if name == "barlow_twins":
            for added, (predictor, stop) in ASYMMETRY.items():
                exchange = partial(asymmetric, name=name, predictor=predictor, stop=stop)
                if added != "none":
                    found[f"{title}, {added}"] = partial(measured, name=name, exchange=exchange)
    return found


def before(budget: Budget, seed: int) -> dict[str, Any]:
    recipe = demo("simclr", budget, batch_size=BATCH)
    return accuracies(features_of(recipe, untrained(recipe, seed=seed)))


CASES = cases() | {"untrained": before}


def panels(found: Found) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Panel -> method -> setting -> k-NN over seeds."""
    made: dict[str, dict[str, dict[str, list[float]]]] = {}
    for title in METHODS:
        base = values(found, f"{title}, batch {BATCH}")
        made.setdefault("batch size", {})[title] = {
            str(each): values(found, f"{title}, batch {each}") for each in BATCHES
        }
        made.setdefault("augmentations", {})[title] = {
            kept: base if kept == "all" else values(found, f"{title}, {kept}") for kept in VIEWS
        }
        narrower = {str(each): values(found, f"{title}, width {each}") for each in WIDTHS}
        made.setdefault("projector width", {})[title] = narrower | {WIDE: base}
        if title == "Barlow Twins":
            made.setdefault("asymmetry", {})[title] = {
                added: base if added == "none" else values(found, f"{title}, {added}")
                for added in ASYMMETRY
                if added == "none" or f"{title}, {added}" in CASES
            }
    return made


def the_table(found: Found) -> str:
    rows = []
    for panel, methods in panels(found).items():
        for setting in max(methods.values(), key=len):
            cells = [
                percent(methods[title][setting]) if setting in methods.get(title, {}) else "-" for title in METHODS
            ]
            rows.append([f"{panel}: {setting}", *cells])
    rows.append(["untrained", *[percent(values(found, "untrained"))] * len(METHODS)])
    return table(["k-NN, %", *METHODS], rows)


def claims(found: Found) -> Sequence[Claim]:
    made = panels(found)

    def fall(panel: str, title: str, before: str, after: str) -> list[float]:
        pairs = zip(made[panel][title][before], made[panel][title][after], strict=True)
        return [first - second for first, second in pairs]

    def words(panel: str, before: str, after: str) -> str:
        return f"{before} to {after}: " + ", ".join(
            f"{title} {-100 * mean(fall(panel, title, before, after)):+.1f}" for title in made[panel]
        )

    small, large = str(BATCHES[0]), str(BATCHES[-1])
    narrow, wide = str(WIDTHS[0]), WIDE
    batch = partial(fall, "batch size", before=large, after=small)
    views = partial(fall, "augmentations", before="all", after="crops alone")
    width = partial(fall, "projector width", before=wide, after=narrow)
    floor = mean(values(found, "untrained"))
    learned = {title for title in METHODS if mean(values(found, f"{title}, batch {BATCH}")) > floor + 0.01}

    def decided(verdict: Verdict, *titles: str) -> Verdict:
        """Undecided where a method's own demo is not above untrained features within this budget."""
        return verdict if learned.issuperset(titles) else "undecided"

    def costs_more(items: str, claim: str, fall: Any, first: str, second: str, figures: str) -> Claim:
        return Claim(items, claim, decided(compare(fall(first), fall(second)), first, second), figures)

    of_batch, of_views = words("batch size", large, small), words("augmentations", "all", "crops alone")
    of_width, barlow = words("projector width", narrow, wide), made["asymmetry"]["Barlow Twins"]
    return [
        costs_more("71, 119", "a small batch costs SimCLR more than BYOL", batch, "SimCLR", "BYOL", of_batch),
        costs_more("119", "a small batch costs SimCLR more than Barlow Twins", batch, "SimCLR", "Barlow Twins", of_batch),
        costs_more("120", "crops alone cost SimCLR more than BYOL", views, "SimCLR", "BYOL", of_views),
        costs_more("120", "crops alone cost Barlow Twins more than BYOL", views, "Barlow Twins", "BYOL", of_views),
        costs_more("122", "a wide projector helps Barlow Twins more than SimCLR", width, "Barlow Twins", "SimCLR", of_width),
        Claim("121", "stop-gradient and predictor do not help Barlow Twins",
              decided(not_better(barlow["both"], barlow["none"]), "Barlow Twins"), words("asymmetry", "none", "both")),
    ]  # fmt: skip


def not_better(changed: Sequence[float], base: Sequence[float]) -> Verdict:
    """Holds also where nothing changes."""
    return "does not hold" if compare(changed, base) == "holds" else "holds"


def pictures(found: Found) -> dict[str, Html]:
    dashes = dict(zip(list(METHODS)[1:], ("7 4", "2 3"), strict=True))
    drawn = {}
    for panel, methods in panels(found).items():
        settings = list(max(methods.values(), key=len))
        curves = {
            title: [(float(place), 100 * mean(of[setting])) for place, setting in enumerate(settings) if setting in of]
            for title, of in methods.items()
        }
        names = {float(place): setting for place, setting in enumerate(settings)}
        drawn[f"talk_{panel.replace(' ', '_')}"] = lines(
            curves, title=panel.capitalize(), across="", up="k-NN, %", names=names, dashes=dashes
        )
    return drawn


SCRIPT = Script(
    "figures_of_the_talk", CASES, the_table, claims, pictures, steps=100, seeds=(0,),
    budget="digits, 12,800 images seen",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
