"""Emoji by an unseen artist: five methods trained on three artists' drawings, and evaluated on those of a fourth.

    ssl-jax data prepare emoji
    python experiments/emoji.py
    python experiments/emoji.py --methods simclr --seeds 0

Measured for the recipe `emoji` of each method, beside raw pixels and untrained weights: retrieval of the same concept
among the training drawings by a test drawing, and Unicode's groups by k-NN and with 10 labels a group. Runs that are
missing in the results file follow one another. The table of docs/emoji.md is made of the results, and its picture of the
first run in them.

Settings are chosen without the test artist: `--choose` trains on Google's and Twitter's drawings and evaluates on Microsoft's.
"""

import functools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from ssl_jax.commands.judging import weights_of
from ssl_jax.data import Data, open_data
from ssl_jax.data.source import labels_of
from ssl_jax.evaluate.features import Features, compute_features, feature_extractor, pixels
from ssl_jax.evaluate.results import evaluate_sources
from ssl_jax.files import filled, write_atomically, write_json
from ssl_jax.options import Options
from ssl_jax.prepare import prepare
from ssl_jax.recipes import find
from ssl_jax.train import fit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments/results/emoji.json"
PAGE, PICTURE = ROOT / "docs/emoji.md", ROOT / "docs/emoji_neighbours.png"
METHODS = ("simclr", "barlow_twins", "swav", "pirl", "dino")
CHOICE = "emoji:google+twitter,test=microsoft"  # The data of --choose.
GROUP_PROTOCOLS = ("few_labels", "knn")
SHOWN, NEAREST, SIDE = 12, 5, 64  # Of the picture.


def main(
    *,
    methods: tuple[str, ...] = METHODS,
    seeds: tuple[int, ...] = (0, 1, 2),
    epochs: float | None = None,
    choose: bool = False,
    settings: tuple[str, ...] = (),
    data: str = "emoji",
    run: Path = Path("runs/emoji"),
    results: Path = RESULTS,
    page: Path | None = PAGE,
    picture: Path | None = PICTURE,
) -> None:
    """Runs what is missing, then writes the table and the picture.

    Args:
      methods: methods with a recipe emoji.
      seeds: one run each.
      epochs: passes over the training drawings instead of the recipe's; for a trial.
      choose: evaluate on an artist of the training part, for a choice of settings; the results are kept under "choice".
      settings: options of the recipe, NAME=VALUE; with --choose only.
      data: data set; others than emoji for a trial.
      run: folder of the runs, which are resumed after an interruption.
      results: file of the measurements.
      page: page with the table; not written with --choose.
      picture: file of the picture, made with the first run.
    """
    if settings and not choose:
        raise SystemExit("settings: they change what is compared: give --choose, too.")
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    given = {name: json.loads(value) for name, _, value in (setting.partition("=") for setting in settings)}
    given |= {"epochs": epochs} if epochs is not None else {}
    runs = found.setdefault("choice" if choose else "runs", {})
    for seed in seeds:
        for method in methods:
            key = " ".join([method, *settings]) if choose else method
            if str(seed) in runs.get(key, {}):
                continue
            measured, features, opened = run_once(
                method,
                CHOICE if choose else data,
                seed=seed,
                folder=run / f"{key}-seed{seed}".replace(" ", "-"),
                **given,
            )
            runs.setdefault(key, {})[str(seed)] = measured
            write_json(results, found)
            print(key, seed, json.dumps(measured))
            if picture and not choose and not picture.exists():
                neighbours(features, opened).save(picture)
    if page and not choose:
        write_atomically(page, filled(page.read_text(), {"emoji": table(found)}))


def run_once(
    method: str, data: str, *, seed: int, folder: Path, **options: Any
) -> tuple[dict[str, Any], dict[str, Features], Data]:
    """Trains, and returns what is measured, the features of each source with concepts as labels, and their data."""
    began = time.perf_counter()
    make = functools.partial(find(method, "emoji"), data=data, **options)
    folder.mkdir(parents=True, exist_ok=True)
    recipe, mesh, batches, _, program = prepare(make, Options(seed=seed))
    with batches:
        state = fit(
            recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches,
            steps=recipe.steps, seed=seed, run=folder, mesh=mesh, program=program, save_every=50,
        )  # fmt: skip
    trained = time.perf_counter() - began
    extract = feature_extractor(recipe.method, recipe.prepare)
    groups = {
        source: compute_features(extract, *weights, recipe.data, mesh=mesh)
        for source, weights in weights_of(recipe, state, mesh, seed).items()
    }
    groups["pixels"] = compute_features(pixels, None, None, recipe.data, mesh=mesh)
    named = open_data(f"{data},label=concept" if data.startswith("emoji") else data, image_size=SIDE)
    concepts = {source: with_labels(features, named) for source, features in groups.items()}
    measured = {
        "concepts": evaluate_sources(concepts, protocols=("retrieval",), seed=seed),
        "groups": evaluate_sources(groups, protocols=GROUP_PROTOCOLS, seed=seed),
        "steps": recipe.steps,
        "seconds": round(trained, 1),
    }
    return measured, concepts, named


def with_labels(features: Features, data: Data) -> Features:
    """The same features with the labels of these data, whose images are the same in the same order."""
    assert data.test is not None
    train, test = (np.asarray(labels_of(source), np.int32) for source in (data.train, data.test))
    return features._replace(train_labels=train, test_labels=test, num_classes=len(data.classes))


def table(found: dict[str, Any]) -> str:
    """Mean and standard deviation over the seeds, in percent."""
    runs = found.get("runs", {})
    if not runs:
        return "Not measured yet: `python experiments/emoji.py`."
    everyone = [run for of_seeds in runs.values() for run in of_seeds.values()]
    rows = {method: cells(list(of_seeds.values()), "pretrained") for method, of_seeds in runs.items()}
    rows = dict(sorted(rows.items(), key=lambda row: -row[1][0][0]))
    rows |= {f"*{name}*": cells(everyone, source) for name, source in BASELINES.items()}
    counts = {method: str(len(of_seeds)) for method, of_seeds in runs.items()}
    several = len(everyone) > len(runs)

    def spread(std: float) -> str:
        return f" ± {std:.1f}" if several else ""

    head = "| features | concept: recall@1 | recall@5 | mAP | groups: 10 labels | k-NN | seeds |"
    lines = [
        f"| {name} | {' | '.join(f'{mean:.1f}{spread(std)}' for mean, std in row)} | {counts.get(name, '-')} |"
        for name, row in rows.items()
    ]
    return "\n".join([head, "|---" * 7 + "|", *lines])


BASELINES = {"untrained encoder": "untrained", "raw pixels": "pixels"}


def cells(runs: list[dict[str, Any]], source: str) -> list[tuple[float, float]]:
    """Mean and standard deviation of each column, in percent."""
    values = []
    for run in runs:
        found, groups = run["concepts"][source]["retrieval"], run["groups"][source]
        recalls = [found[f"recall_{rank}"]["share"] for rank in (1, 5)]
        values.append([*recalls, found["average_precision"], *(groups[name]["accuracy"] for name in GROUP_PROTOCOLS)])
    percent = 100 * np.array(values, float)
    return list(zip(percent.mean(axis=0).tolist(), percent.std(axis=0).tolist(), strict=True))


def neighbours(features: dict[str, Features], data: Data, *, seed: int = 0) -> Image.Image:
    """Test drawings drawn at random, a row each; beside them the nearest training drawings by trained features and by pixels.

    A frame marks the drawings of the same concept.
    """
    assert data.test is not None
    queries = np.random.default_rng(seed).choice(len(data.test), min(SHOWN, len(data.test)), replace=False)
    cell, gap = SIDE + 8, SIDE // 2
    blocks = ("pretrained", "pixels")
    width, rows = cell * (1 + len(blocks) * NEAREST) + gap * len(blocks), len(queries)
    sheet = Image.new("RGB", (width, cell * rows), "white")
    for row, query in enumerate(queries.tolist()):
        sheet.paste(framed(data.test[query]["image"], same=False), (0, cell * row))
        for block, source in enumerate(blocks):
            of = features[source]
            order = np.argsort(-(unit(of.train) @ unit(of.test[query])))[:NEAREST]
            for column, number in enumerate(order.tolist()):
                same = of.train_labels[number] == of.test_labels[query]
                left = cell * (1 + block * NEAREST + column) + gap * (block + 1)
                sheet.paste(framed(data.train[number]["image"], same=bool(same)), (left, cell * row))
    return sheet


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def framed(pixels: np.ndarray, *, same: bool) -> Image.Image:
    """A drawing in a frame of 3 pixels, green where it is of the query's concept, and a margin."""
    cell = Image.new("RGB", (SIDE + 8, SIDE + 8), "white")
    if same:
        cell.paste((0, 140, 60), (0, 0, SIDE + 8, SIDE + 8))
        cell.paste((255, 255, 255), (3, 3, SIDE + 5, SIDE + 5))
    image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).resize((SIDE, SIDE))
    cell.paste(image, (4, 4))
    return cell


if __name__ == "__main__":
    tyro.cli(main)
