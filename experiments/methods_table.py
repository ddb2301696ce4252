"""Writes the tables of methods, with their measurements: of docs/methods.md, choosing.md and first_hour.md, and of the README.

python experiments/methods_table.py
"""

import dataclasses
import importlib
import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ssl_jax import recipes
from ssl_jax.files import filled, write_atomically
from ssl_jax.methods.method import Facts

ROOT = Path(__file__).parents[1]
RESULTS, COSTS = ROOT / "experiments/results/all_methods.json", ROOT / "benchmarks/results/methods.json"
FASHION = RESULTS.with_stem("all_methods_fashion-mnist-12000")
# Results of these runs do not name their steps.
EARLIER = "Measured when an epoch was not yet a whole number of batches, so that 50 epochs were 781 steps, not 750"
PROTOCOLS = {"few_labels": "10 labels per class", "linear": "linear", "knn": "k-NN"}


def facts_of(name: str) -> Facts:
    """The facts of a method, from the class in its file that declares them."""
    module = importlib.import_module(f"ssl_jax.methods.{name}")
    return next(
        found.facts
        for found in vars(module).values()
        if getattr(found, "__module__", "") == module.__name__ and "facts" in vars(found)
    )


def tables() -> dict[str, str]:
    """The generated parts of docs/methods.md, by their marks."""
    found, costs = json.loads(RESULTS.read_text()), json.loads(COSTS.read_text())
    seeds = max(len(of_seeds) for of_seeds in found.values())
    newest = max(kept["started"][:10] for of_seeds in found.values() for kept in of_seeds.values())
    today = [name for name, of_seeds in found.items() if all("steps" in kept for kept in of_seeds.values())]
    facts = [
        f"Cost of a step: {costs['device']}, {costs['date']} (`python benchmarks/methods.py`).",
        "",
        "| method | family | against collapse | positives | negatives | memory | forward | step | reached | recipes | paper |",
        "|" + "---|" * 11,
        *(row(name, facts_of(name), costs["methods"].get(name), found.get(name)) for name in recipes.methods()),
    ]
    accuracy = [
        f"Mean ± standard deviation over seeds ({seeds} at most so far), {newest} (`python experiments/all_methods.py`).",
        *([f"{EARLIER}: all{' but ' * bool(today)}{', '.join(today)}."] if len(today) < len(found) else []),
        "",
        *(line for title, methods in groups(found) for line in (f"### {title}", "", table(found, methods), "")),
    ]
    return {"facts": "\n".join(facts), "accuracy": "\n".join(accuracy).strip(), "fashion": fashion()}


def fashion() -> str:
    """Methods on a part of Fashion-MNIST, a table for each size of images and each encoder."""
    found = json.loads(FASHION.read_text())
    tables = (f"### {title}\n\n{table(found, methods)}" for title, methods in on_fashion(found))
    return "\n\n".join(tables)


def on_fashion(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Methods by the size of the images and the encoder that their demos have on Fashion-MNIST."""

    def title(name: str) -> str:
        size = inspect.signature(recipes.find(name, "demo")).parameters["image_size"].default
        return f"Fashion-MNIST, {size} pixels, encoder {demo_of(name)[1]}"

    return grouped(found, title)


def groups(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Methods by the images and the encoder of their demo: accuracies are comparable only within a group."""
    return grouped(found, lambda name: "{}, encoder {}".format(*demo_of(name)))


def grouped(names: Iterable[str], title: Callable[[str], str]) -> list[tuple[str, list[str]]]:
    """The names by their titles, the largest group first."""
    together: dict[str, list[str]] = {}
    for name in names:
        together.setdefault(title(name), []).append(name)
    return sorted(together.items(), key=lambda item: -len(item[1]))


def demo_of(name: str) -> tuple[str, str]:
    """The data and the encoder of a method's demo."""
    options = inspect.signature(recipes.find(name, "demo")).parameters
    return options["data"].default, options["encoder"].default if "encoder" in options else "small"


def row(name: str, facts: Facts, cost: dict[str, float] | None, of_seeds: dict[str, Any] | None) -> str:
    paper = facts.paper if facts.paper == "-" else f"[{facts.paper}](https://arxiv.org/abs/{facts.paper})"
    step = f"{cost['relative']:.2f}" if cost else "-"
    reached = f"{cells(list(of_seeds.values()), 'pretrained')[1][0]:.1f} {demo_of(name)[0]}" if of_seeds else "-"
    words = (getattr(facts, field.name) for field in dataclasses.fields(facts) if field.name != "paper")
    return f"| {' | '.join((name, *words, step, reached, ', '.join(recipes.recipes(name)), paper))} |"


def table(found: dict[str, Any], methods: list[str]) -> str:
    """Methods by their accuracy with few labels, and the baselines."""
    runs = {name: list(found[name].values()) for name in methods}
    everyone = [kept for of_seeds in runs.values() for kept in of_seeds]
    lines = {name: cells(of_seeds, "pretrained") for name, of_seeds in runs.items()}
    lines["*untrained encoder*"] = cells(everyone, "untrained")
    lines["*raw pixels*"] = cells(everyone, "pixels")
    rows = []
    for name, statistics in sorted(lines.items(), key=lambda item: -item[1][0][0]):
        count = len(runs.get(name, everyone))
        values = " | ".join(f"{mean:.1f} ± {std:.1f}" if count > 1 else f"{mean:.1f}" for mean, std in statistics)
        rows.append(f"| {name} | {values} | {count if name in runs else '-'} |")
    head = ["| method | " + " | ".join(PROTOCOLS.values()) + " | seeds |", "|---|" + "---|" * (len(PROTOCOLS) + 1)]
    return "\n".join(head + rows)


def cells(of_seeds: list[dict[str, Any]], source: str) -> list[tuple[float, float]]:
    """Mean and standard deviation of the accuracy of these features by each protocol, in percent."""
    found = [kept["features"][source] for kept in of_seeds]
    values = [[100 * of[name]["accuracy"] for of in found if name in of] for name in PROTOCOLS]
    return [(float(np.mean(column)), float(np.std(column))) for column in values]


def comparable() -> str:
    """A row for each group within which accuracies are comparable: methods by their accuracy with few labels."""
    found = json.loads(RESULTS.read_text())
    fashion = json.loads(FASHION.read_text())
    (digits, methods), *others = groups(found)
    rows = [comparison(digits, found, methods)]
    rows += [comparison(title, fashion, names) for title, names in on_fashion(fashion)]
    rows += [comparison(title, found, names) for title, names in others]
    head = ["| images, encoder | methods, best first | untrained encoder | raw pixels |", "|---|---|---|---|"]
    return "\n".join(head + rows)


def comparison(title: str, found: dict[str, Any], methods: list[str]) -> str:
    of_seeds = {name: list(found[name].values()) for name in methods if facts_of(name).family != "supervised"}
    everyone = [kept for kept_seeds in of_seeds.values() for kept in kept_seeds]
    reached = {name: cells(kept_seeds, "pretrained")[0][0] for name, kept_seeds in of_seeds.items()}
    best = ", ".join(f"{name} {reached[name]:.1f}" for name in sorted(reached, key=lambda name: -reached[name]))
    untrained, pixels = (cells(everyone, source)[0][0] for source in ("untrained", "pixels"))
    return f"| {title} | {best} | {untrained:.1f} | {pixels:.1f} |"


def demo() -> str:
    """The demo's three kinds of features."""
    of_seeds = list(json.loads(RESULTS.read_text())["simclr"].values())
    rows = [
        f"| {source} | " + " | ".join(f"{mean:.1f} ± {std:.1f}" for mean, std in cells(of_seeds, source)) + " |"
        for source in ("pretrained", "untrained", "pixels")
    ]
    return "\n".join(["| features | " + " | ".join(PROTOCOLS.values()) + " |", "|---|---|---|---|", *rows])


def short() -> str:
    """The README's table: the largest group."""
    found = json.loads(RESULTS.read_text())
    return table(found, groups(found)[0][1])


PAGES = {
    "README.md": lambda: {"methods": short()},
    "docs/methods.md": tables,
    "docs/choosing.md": lambda: {"comparable": comparable()},
    "docs/first_hour.md": lambda: {"demo": demo()},
}


def with_tables(page: str) -> str:
    """A page with new tables; the prose around them is unchanged."""
    return filled((ROOT / page).read_text(), PAGES[page]())


if __name__ == "__main__":
    for page in PAGES:
        write_atomically(ROOT / page, with_tables(page))
