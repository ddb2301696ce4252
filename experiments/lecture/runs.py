"""What the scripts of this folder share: demos with something exchanged, their measurements, results files, tables and claims.

A script is a `Script`: cases by name, each a function of the seed that returns numbers for the results file; a table and claims
made of that file; pictures. Runs that are missing in the file follow one another, so that a script can be stopped at any time
and started again. `claims.py` writes the tables and the claims of all scripts into README.md.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.views import ViewMaker
from ssl_jax.composition.images import DIGIT_STATISTICS
from ssl_jax.composition.recipe import Recipe
from ssl_jax.composition.views import demo_views
from ssl_jax.data import ArraySource, Batches, Data, load_into_memory, open_data, steps_per_epoch
from ssl_jax.data.subsets import Subset
from ssl_jax.evaluate import alignment, knn_accuracy, linear_probe, uniformity
from ssl_jax.evaluate.features import Features, compute_features, feature_extractor
from ssl_jax.files import write_json
from ssl_jax.networks.small import small_convnet
from ssl_jax.recipes import find
from ssl_jax.report.figures import write_svg
from ssl_jax.report.html import Html
from ssl_jax.runs import read_metrics
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.program import make_program
from ssl_jax.train.state import TrainState

HERE = Path(__file__).parent
Verdict = Literal["holds", "does not hold", "undecided"]
Found = Mapping[str, Mapping[str, Mapping[str, Any]]]  # Case -> seed -> what was measured.
LARGEST = 42  # Side of the images in pixels: emblems; digits have 28.
NARROW = small_convnet(
    channels=1, widths=(16, 32, 64)
)  # The demos' network with half of its channels, 2.5 times as fast.
PROBED = 1000  # Training images of a linear probe: with all 4,000 it takes as long as training.


class Claim(NamedTuple):
    """A row of the table of claims.

    items: of the lecture, as in the sources of docs/guide.md.
    claim: what the lecture says.
    verdict: by the runs of the results file, see `compare`.
    figures: the numbers that decide it.
    """

    items: str
    claim: str
    verdict: Verdict
    figures: str


@dataclass(frozen=True)
class Script:
    """One experiment.

    name: of the script, its results file and its pictures.
    cases: name -> `(budget, seed) -> numbers`, ready for JSON.
    table: results of all cases -> Markdown.
    claims: results of all cases -> claims.
    pictures: results of all cases -> figures by name.
    steps: of a run.
    seeds: of each case.
    budget: the budget in words, for the table of claims.
    """

    name: str
    cases: Mapping[str, Callable[["Budget", int], dict[str, Any]]]
    table: Callable[[Found], str]
    claims: Callable[[Found], Sequence[Claim]]
    pictures: Callable[[Found], Mapping[str, Html]]
    steps: int
    seeds: tuple[int, ...]
    budget: str

    @property
    def results(self) -> Path:
        return HERE / f"results/{self.name}.json"

    def run(
        self,
        *,
        only: tuple[str, ...] = (),
        seeds: tuple[int, ...] = (),
        steps: int | None = None,
        data: str | None = None,
        results: Path | None = None,
        minutes: float = float("inf"),
    ) -> None:
        """Runs what is missing and writes results; draws the pictures when all of it is there.

        Args:
          only: names of cases; all when none is given.
          seeds: of the runs; those of the script when none is given.
          steps: of each run instead of the script's; for a trial.
          data: data set instead of the script's; for a trial.
          results: file of the measurements.
          minutes: no run starts after this time.
        """
        path, started = results or self.results, time.monotonic()
        budget = Budget(steps or self.steps, open_data(data, image_size=LARGEST, channels=1) if data else None)
        found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        for seed in seeds or self.seeds:
            for name in only or self.cases:
                if str(seed) not in found.get(name, {}):
                    if time.monotonic() - started > 60 * minutes:
                        return
                    found.setdefault(name, {})[str(seed)] = self.cases[name](budget, seed)
                    write_json(path, found)
                    print(f"{name}, seed {seed}: {shown(found[name][str(seed)])}", flush=True)
        if path == self.results and self.complete(found):
            for name, figure in self.pictures(found).items():
                write_svg(HERE / f"pictures/{name}.svg", figure)

    def complete(self, found: Found) -> bool:
        """Whether every case has every seed."""
        return all(str(seed) in found.get(name, {}) for name in self.cases for seed in self.seeds)


class Budget(NamedTuple):
    """Length of a run, and the data set instead of the script's for a trial."""

    steps: int
    data: Data | None = None


def shown(measured: Mapping[str, Any]) -> str:
    """The single numbers of a measurement, for the log."""
    return ", ".join(f"{name} {value:.3f}" for name, value in measured.items() if isinstance(value, float))


def demo(method: str, budget: Budget, *, images: int | None = None, **options: Any) -> Recipe:
    """A demo whose schedule has the steps of the budget, with `NARROW` as its encoder.

    Args:
      images: number of training images; all when None.
      options: the recipe's.
    """
    make, data = find(method, "demo"), {"data": budget.data} if budget.data else {}
    options = {"encoder": NARROW} | options | data
    opened = make(**options)
    data = in_memory(opened.data, images)
    epochs = budget.steps / steps_per_epoch(len(data.train), opened.batch_size)
    return make(**options | {"data": data, "epochs": epochs})


_read: dict[Any, Data] = {}


def in_memory(data: Data, images: int | None) -> Data:
    """The data set as arrays, read once: emblems are drawn, and digits decoded, as slowly as a step takes."""
    key = data.name, data.train.image_shape, images
    if key not in _read:
        assert data.test is not None
        part = Subset(data.train, range(min(images or len(data.train), len(data.train))))
        train, test = (
            ArraySource(part.name, part.classes, whole["image"], whole["label"])
            for part in (part, data.test)
            for whole in [load_into_memory(part)]
        )
        _read[key] = Data(data.name, train, test)
    return _read[key]


def views_for(*, size: int = 28, **options: Any) -> ViewMaker:
    """The demo's two views of a grayscale image, with other options of `digit_views`."""
    mean, std = DIGIT_STATISTICS
    return demo_views(size=size, mean=mean, std=std, **options)


def trained(
    recipe: Recipe,
    *,
    seed: int,
    steps: int | None = None,
    hook: Any = None,
    every: int = 20,
    hook_every: int | None = None,
    gauges: bool = False,
) -> tuple[TrainState, list[dict[str, Any]]]:
    """The state after these steps of the recipe, all of them when None, and the records of its log.

    Args:
      hook, hook_every: `fit`'s; called after the last step alone when `hook_every` is None.
      every: steps between two records.
      gauges: whether the records have the collapse gauges, which take as long to compile as a few steps take.
    """
    steps, mesh = steps or recipe.steps, make_mesh()
    optimizer = recipe.optimizer(recipe.steps)
    program = make_program(recipe.method, recipe.augment, optimizer, seed=seed, mesh=mesh)
    with (
        tempfile.TemporaryDirectory() as run,
        Batches(recipe.data.train, recipe.batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches,
    ):
        state = fit(
            recipe.method, recipe.augment, optimizer, batches, steps=steps, seed=seed, run=Path(run), mesh=mesh, hook=hook,
            log_every=every, hook_every=hook_every or steps, save_every=steps, quiet=True,
            program=program if gauges else program._replace(gauges=lambda state, batch: {}),
        )  # fmt: skip
        return state, read_metrics(Path(run))


def untrained(recipe: Recipe, *, seed: int) -> TrainState:
    """The state before the first step."""
    return make_program(
        recipe.method, recipe.augment, recipe.optimizer(recipe.steps), seed=seed, mesh=make_mesh()
    ).init()


def curve(records: Sequence[Mapping[str, Any]], name: str) -> list[list[float]]:
    """`[[step, value], ...]` of an entry of the log."""
    return [[record["step"], round(record[name], 4)] for record in records if name in record]


def accuracies(features: Features) -> dict[str, float]:
    """k-NN with all training images, and a linear probe with `PROBED` of them, on all test images."""
    *arrays, classes = features
    neighbours = float(jax.device_get(knn_accuracy(*arrays, num_classes=classes)))
    probe = linear_probe(*part_of(features)[:4], num_classes=classes, strengths=(1e-1, 1e-2, 1e-3))
    return {"knn": round(neighbours, 4), "linear": round(probe.accuracy, 4)}


def part_of(features: Features) -> Features:
    """The same with the first `PROBED` training images, among which classes are about as frequent as in all."""
    return features._replace(train=features.train[:PROBED], train_labels=features.train_labels[:PROBED])


def features_of(recipe: Recipe, state: TrainState) -> Features:
    """Frozen features of the recipe's data."""
    extract = feature_extractor(recipe.method, recipe.prepare)
    return compute_features(extract, state.params, state.method_state, recipe.data, mesh=make_mesh())


def geometry(
    recipe: Recipe, state: TrainState, views: Callable[[Any, Any], Any], *, count: int = 512
) -> dict[str, float]:
    """Alignment of the features of two views `[2, H, W, C]` of an image, uniformity, and their invariance.

    Invariance is 1 - (distance of views of one image) / (distance of different images), 0 for unrelated views. Features are
    centred first: those of a rectified layer are all similar.
    """
    images = load_into_memory(recipe.data.train)["image"][:count]

    @jax.jit
    def measured(params: Any, method_state: Any, images: Any) -> dict[str, Any]:
        keys = jax.random.split(jax.random.key(0), len(images))
        made = jax.vmap(views)(keys, images)
        rows = [recipe.method.features(params, method_state, made[:, view])["features"] for view in (0, 1)]
        mean = (rows[0].mean(axis=0) + rows[1].mean(axis=0)) / 2
        first, second = (row - mean[None] for row in rows)
        near, far = alignment(first, second), alignment(first, jnp.roll(second, 1, axis=0))
        return {"alignment": near, "uniformity": uniformity(first), "invariance": 1 - near / far}

    found = jax.device_get(measured(state.params, state.method_state, images))
    return {name: round(float(value), 4) for name, value in found.items()}


def values(found: Found, case: str, name: str = "knn") -> list[float]:
    """A number of a case over its seeds."""
    return [of_seed[name] for of_seed in found[case].values()]


def mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers))


def spread(*groups: Sequence[float]) -> float:
    """Standard deviation over the seeds of a difference of groups; 0 for single seeds."""
    return sum(statistics.variance(group) for group in groups if len(group) > 1) ** 0.5


def compare(higher: Sequence[float], lower: Sequence[float]) -> Verdict:
    """Whether `higher` is above `lower`; undecided where the means differ by less than the spread over seeds.

    And by less than one point, about the sampling error of an accuracy on 1,000 test images; two points for a single seed.
    """
    difference = mean(higher) - mean(lower)
    least = 0.02 if min(len(higher), len(lower)) < 2 else max(0.01, spread(higher, lower))
    if abs(difference) < least:
        return "undecided"
    return "holds" if difference > 0 else "does not hold"


def percent(numbers: Sequence[float], digits: int = 1) -> str:
    """Mean and deviation over seeds in percent."""
    deviation = f" ± {100 * spread(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{100 * mean(numbers):.{digits}f}{deviation}"


def signed(numbers: Sequence[float]) -> str:
    """The same for a difference, with its sign."""
    return f"{'+' if mean(numbers) >= 0 else ''}{percent(numbers)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    first, *rest = (f"| {' | '.join(row)} |" for row in [head, *rows])
    return "\n".join([first, "|" + "---|" * len(head), *rest])
