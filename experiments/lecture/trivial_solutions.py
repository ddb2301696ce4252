"""Trivial solutions: the first steps of demos, with what prevents a collapse and without it.

    python experiments/lecture/trivial_solutions.py
    python experiments/lecture/trivial_solutions.py --only "SimSiam" "SimSiam, no predictor"

Each method is its demo, on the embedded digits, with one part exchanged; nothing else differs. Measured: the spread ("std") and
the effective rank of the embeddings, the use of prototypes and the entropy of assignments where there are any, the sentence of
the collapse alarm, and the k-NN accuracy of the features. Runs that are
missing in the results file follow one another. The table of README.md in this folder and the pictures are made of them.
"""

import dataclasses
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import tyro
from jax import Array

from ssl_jax.data import Batches
from ssl_jax.evaluate.alarm import CollapseAlarm
from ssl_jax.evaluate.features import feature_extractor
from ssl_jax.evaluate.online import online_probes
from ssl_jax.files import filled, write_atomically, write_json
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.methods.method import Method
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.networks import projection_head
from ssl_jax.networks.functional import Net
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.recipes import find
from ssl_jax.report.figures import lines, write_svg
from ssl_jax.runs import read_metrics
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh

HERE = Path(__file__).parent
RESULTS = HERE / "results/trivial_solutions.json"


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


# Name -> (method of the demo, what is exchanged in it); the first of a group is the demo itself.
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


def trivial_solutions(
    *, only: tuple[str, ...] = (), steps: int = 200, seed: int = 0, data: str | None = None, results: Path = RESULTS
) -> None:
    """Runs what is missing, and writes results; the table and the pictures are made when all of it is there.

    Args:
      only: names of cases; all when none is given.
      steps: first steps of the demo.
      seed: seed of the runs.
      data: data set instead of the digits; for a trial.
      results: file of the measurements.
    """
    found = json.loads(results.read_text()) if results.exists() else {}
    for name in only or CASES:
        if name not in found:
            found[name] = measured(*CASES[name], steps=steps, seed=seed, data=data)
            write_json(results, found)
        print(row(name, found[name]), flush=True)
    if results == RESULTS and set(found) == set(CASES):
        readme = HERE / "README.md"
        write_atomically(readme, filled(readme.read_text(), {"trivial": table(found)}))
        for group, cases in GROUPS.items():
            write_picture(group, {name: found[name] for name in cases})


def measured(method: str, exchange: Callable[[Any], Any], *, steps: int, seed: int, data: str | None) -> dict[str, Any]:
    """Curves of the gauges, k-NN at the end, and what the alarm says."""
    recipe, mesh = find(method, "demo")(**({"data": data} if data else {})), make_mesh()
    changed = exchange(recipe.method)
    hook = online_probes(feature_extractor(changed, recipe.prepare), recipe.data, mesh=mesh)
    with (
        tempfile.TemporaryDirectory() as run,
        Batches(recipe.data.train, recipe.batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches,
    ):
        fit(
            changed, recipe.augment, recipe.optimizer(recipe.steps), batches, steps=steps, seed=seed, run=Path(run),
            mesh=mesh, hook=hook, log_every=20, hook_every=steps, save_every=steps, quiet=True,
        )  # fmt: skip
        records = read_metrics(Path(run))
    curves = {
        name: [[record["step"], round(record[name], 4)] for record in records if name in record]
        for name in ("loss", "std", "effective_rank", "prototype_use", "assignment_entropy")
        if any(name in record for record in records)
    }
    knn = [record["knn"] for record in records if "knn" in record][-1]
    alarm = CollapseAlarm(method, changed.facts, examples=recipe.batch_size)
    sentences = [
        sentence for record in records if "std" in record and (sentence := alarm.check(record["step"], record))
    ]
    return {"knn": round(knn, 4), "alarm": sentences[0] if sentences else None, **curves}


def row(name: str, kept: dict[str, Any]) -> str:
    alarm = (
        "{}, step {}".format(*re.findall(r"(\w+) collapse at step (\d+)", kept["alarm"])[0]) if kept["alarm"] else "-"
    )
    gauges = f"{kept['std'][-1][1]:.3f} | {kept['effective_rank'][-1][1]:.1f}"
    return f"| {name} | {gauges} | {100 * kept['knn']:.1f} | {alarm} |"


def table(found: dict[str, Any]) -> str:
    head = ["| method | std | effective rank | k-NN, % | alarm |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(row(name, found[name]) for name in CASES)])


def write_picture(group: str, cases: dict[str, Any]) -> None:
    """Spread of the embeddings over training, their rank where the spread shows nothing; dashed where a part is missing."""
    gauge, words = (
        ("effective_rank", "effective rank") if group == "Barlow Twins" else ("std", "spread of the embeddings (std)")
    )
    curves = {name.removeprefix(f"{group}, "): [tuple(point) for point in kept[gauge]] for name, kept in cases.items()}
    dashes = {name: ("6 4", "2 3", "9 3 2 3", "1 5")[number % 4] for number, name in enumerate(list(curves)[1:])}
    picture = lines(curves, title=group, across="step", up=words, low=0, dashes=dashes)
    write_svg(HERE / f"pictures/trivial_{group.lower().replace(' ', '_')}.svg", picture)


if __name__ == "__main__":
    tyro.cli(trivial_solutions)
