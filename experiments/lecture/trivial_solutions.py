"""Trivial solutions: the first steps of demos, with what prevents a collapse and without it.

    python experiments/lecture/trivial_solutions.py
    python experiments/lecture/trivial_solutions.py --only "SimSiam" "SimSiam, no predictor"

Each method is its demo, on the embedded digits, with one part replaced or removed; nothing else differs. Measured: the spread
("std") and the effective rank of the embeddings, the use of prototypes and the entropy of assignments where there are any, the
sentence of the collapse alarm, and the k-NN accuracy of the features. Runs that are missing in the results file follow one
another. The table of README.md in this folder and the pictures are made of them.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import tyro
from jax import Array
from runs import Budget, Claim, Found, Script, Verdict, curve, table, trained

from ssl_jax.evaluate.alarm import LEAST_STD, first_alarm
from ssl_jax.evaluate.alarm import collapse as kind_of_collapse
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.evaluate.online import online_probes
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.methods.method import Method
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.networks import projection_head
from ssl_jax.networks.functional import Net
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.recipes import find
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html
from ssl_jax.train.mesh import make_mesh

GAUGES = ("std", "effective_rank", "prototype_use", "assignment_entropy")  # With a bound of the alarm's.


class WithoutStopGradient(SimSiam):
    """Both sides of the cosine have a gradient."""

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        prediction, target = embeddings["prediction"], embeddings["embedding"]
        pairs = ((prediction[:, 0], target[:, 1]), (prediction[:, 1], target[:, 0]))
        cosines = [jnp.sum(unit(first) * unit(second), axis=1).mean() for first, second in pairs]
        return mean_over_shards(-sum(cosines) / 2, axis_name), {}, {}


class WithoutCentring(BarlowTwins):
    """Products of dimensions over their sizes, not over their deviations from the mean: a constant correlates with itself."""

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        first, second = (scaled(embeddings["embedding"][:, view]) for view in (0, 1))
        correlation = first.T @ second / len(first)
        agreement = jnp.sum((1 - jnp.diagonal(correlation)) ** 2)
        others = jnp.sum(correlation**2) - jnp.sum(jnp.diagonal(correlation) ** 2)
        return agreement + self.off_diagonal_weight * others, {}, {}


def unit(rows: Array) -> Array:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def scaled(rows: Array) -> Array:
    return rows / jnp.maximum(jnp.sqrt(jnp.mean(rows**2, axis=0)), 1e-6)


def identity(method: Any) -> Net:
    """A predictor that returns its input."""
    return Net(lambda rng: ({}, {}), lambda params, stats, rows, **_: (rows, stats), method.predictor.width)


def plain_head(method: Any) -> Net:
    """SimSiam's head without its last batch normalisation, which alone keeps each dimension from being constant."""
    return projection_head(inputs=method.encoder.width, widths=(256, 256))


def without_norms(method: Any) -> Method:
    """BYOL's head and predictor without batch normalisation; the encoder keeps its own."""
    head = projection_head(inputs=method.encoder.width, widths=(256, 64), norm=False)
    return replace(method, head=head, predictor=projection_head(inputs=64, widths=(256, 64), norm=False))


def as_class(method: Any, kind: type) -> Any:
    return kind(**{field.name: getattr(method, field.name) for field in dataclasses.fields(method)})


# Name -> (method of the demo, what is replaced in it); the first of a group is the demo itself.
GROUPS: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "SimSiam": {
        "SimSiam": ("simsiam", lambda method: method),
        "SimSiam, no predictor": ("simsiam", lambda method: replace(method, predictor=identity(method))),
        "SimSiam, no stop-gradient": ("simsiam", lambda method: as_class(method, WithoutStopGradient)),
        "SimSiam, neither": (
            "simsiam",
            lambda method: replace(as_class(method, WithoutStopGradient), predictor=identity(method)),
        ),
        "SimSiam, neither, no norm": (
            "simsiam",
            lambda method: replace(
                as_class(method, WithoutStopGradient), predictor=identity(method), head=plain_head(method)
            ),
        ),
    },
    "BYOL": {
        "BYOL": ("byol", lambda method: method),
        "BYOL, no predictor": ("byol", lambda method: replace(method, predictor=identity(method))),
        "BYOL, no slow teacher": ("byol", lambda method: replace(method, momentum=0.0, final_momentum=0.0)),
        "BYOL, no batch norm": ("byol", without_norms),
    },
    "SwAV": {
        "SwAV": ("swav", lambda method: method),
        "SwAV, no partition": ("swav", lambda method: replace(method, iterations=0)),
    },
    "DINO": {
        "DINO": ("dino", lambda method: method),
        "DINO, no centring": ("dino", lambda method: replace(method, center_momentum=1.0)),
        "DINO, no sharpening": (
            "dino",
            lambda method: replace(method, teacher_temperature=1.0, warmup_temperature=1.0),
        ),
    },
    "Barlow Twins": {
        "Barlow Twins": ("barlow_twins", lambda method: method),
        "Barlow Twins, no decorrelation": ("barlow_twins", lambda method: replace(method, off_diagonal_weight=0.0)),
        "Barlow Twins, no centring": ("barlow_twins", lambda method: as_class(method, WithoutCentring)),
    },
}
CASES = {name: case for group in GROUPS.values() for name, case in group.items()}


def measured(budget: Budget, seed: int, *, method: str, exchange: Callable[[Any], Any]) -> dict[str, Any]:
    """Curves of the gauges, k-NN at the end, and the sentence of the alarm. The schedule is that of the whole demo."""
    recipe = find(method, "demo")(**({"data": budget.data} if budget.data else {}))
    recipe = replace(recipe, method=exchange(recipe.method))
    hook = online_probes(feature_extractor(recipe.method, recipe.prepare), recipe.data, mesh=make_mesh())
    _, records = trained(recipe, seed=seed, steps=budget.steps, hook=hook, gauges=True)
    knn = [record["knn"] for record in records if "knn" in record][-1]
    curves = {name: curve(records, name) for name in ("loss", *GAUGES) if any(name in record for record in records)}
    alarm = first_alarm(records, method, recipe.method.facts, examples=recipe.batch_size)
    return {"knn": round(knn, 4), "alarm": alarm, **curves}


def row(name: str, found: Found) -> list[str]:
    kept = found[name]["0"]
    alarm = (
        "{}, step {}".format(*re.findall(r"(\w+) collapse at step (\d+)", kept["alarm"])[0]) if kept["alarm"] else "-"
    )
    gauges = f"{kept['std'][-1][1]:.3f}", f"{kept['effective_rank'][-1][1]:.1f}"
    return [name, *gauges, f"{100 * kept['knn']:.1f}", alarm]


def the_table(found: Found) -> str:
    return table(["method", "std", "effective rank", "k-NN, %", "alarm"], [row(name, found) for name in CASES])


def claims(found: Found) -> Sequence[Claim]:
    """By the gauges of one seed: a collapse is far larger than what seeds change."""

    def last(name: str, gauge: str = "std") -> float:
        return found[name]["0"][gauge][-1][1]

    def verdict(holds: bool) -> Verdict:
        return "holds" if holds else "does not hold"

    def words(*names: str, gauge: str = "std") -> str:
        return f"{gauge.replace('_', ' ')} " + "; ".join(f"{name} {last(name, gauge):.2f}" for name in names)

    def collapse(item: str, claim: str, *names: str) -> Claim:
        """The spread of the last of these cases has fallen below the alarm's bound; undecided below twice of it."""
        spread = last(names[-1])
        undecided = LEAST_STD <= spread < 2 * LEAST_STD
        return Claim(item, claim, "undecided" if undecided else verdict(spread < LEAST_STD), words(*names))

    def beyond(item: str, claim: str, gauge: str, *names: str) -> Claim:
        """This gauge of the last of these cases is beyond the alarm's bound."""
        kind = kind_of_collapse({gauge: last(names[-1], gauge)}, examples=256)
        return Claim(item, claim, verdict(kind is not None), words(*names, gauge=gauge))

    return [
        collapse("32", "similarity alone ends in a constant", "SimSiam, neither, no norm"),
        beyond(
            "111", "without stop-gradient SimSiam collapses", "effective_rank", "SimSiam", "SimSiam, no stop-gradient"
        ),
        collapse("109", "without predictor BYOL collapses", "BYOL", "BYOL, no predictor"),
        collapse("112", "BYOL needs batch norm in head and predictor", "BYOL, no batch norm"),
        collapse("109", "BYOL needs a slowly moving teacher", "BYOL, no slow teacher"),
        beyond("80", "without equal partition SwAV assigns all to one cluster", "prototype_use", "SwAV, no partition"),
        collapse("-", "DINO collapses without centring", "DINO", "DINO, no centring"),
        beyond("-", "DINO's outputs are uniform without sharpening", "assignment_entropy", "DINO, no sharpening"),
        collapse("118", "without centring a constant satisfies Barlow Twins", "Barlow Twins, no centring"),
        Claim("-", "the alarm is raised within 200 steps where embeddings collapse", *of_the_alarm(found)),
    ]  # fmt: skip


def of_the_alarm(found: Found) -> tuple[Verdict, str]:
    """Whether it is raised where the last record shows a collapse, and in no complete method."""
    last = {
        name: {gauge: found[name]["0"][gauge][-1][1] for gauge in GAUGES if gauge in found[name]["0"]} for name in CASES
    }
    collapsed = {name for name in CASES if kind_of_collapse(last[name], examples=256)}
    raised = {name for name in CASES if found[name]["0"]["alarm"]}
    complete = {next(iter(group)) for group in GROUPS.values()}
    words = f"in {len(raised)} of {len(CASES) - len(complete)} runs without a guard, {len(raised & complete)} of "
    holds = collapsed <= raised and not raised & complete
    return "holds" if holds else "does not hold", f"{words}{len(complete)} complete ones"


def pictures(found: Found) -> dict[str, Html]:
    return {f"trivial_{group.lower().replace(' ', '_')}": picture(group, found) for group in GROUPS}


def picture(group: str, found: Found) -> Html:
    """Spread of the embeddings over training, their rank where the spread shows nothing; dashed where a part is missing."""
    gauge, words = (
        ("effective_rank", "effective rank") if group == "Barlow Twins" else ("std", "spread of the embeddings (std)")
    )
    curves = {
        name.removeprefix(f"{group}, "): [tuple(point) for point in found[name]["0"][gauge]] for name in GROUPS[group]
    }
    dashes = {name: ("6 4", "2 3", "9 3 2 3", "1 5")[number % 4] for number, name in enumerate(list(curves)[1:])}
    return lines(curves, title=group, across="step", up=words, low=0, dashes=dashes)


SCRIPT = Script(
    "trivial_solutions",
    {name: partial(measured, method=method, exchange=exchange) for name, (method, exchange) in CASES.items()},
    the_table, claims, pictures, steps=200, seeds=(0,), budget="digits, first 200 steps of the demo",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
