"""Writes docs/methods.md: every method beside the others, with what was measured.

python experiments/methods_table.py
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS, COSTS = ROOT / "experiments/results/all_methods.json", ROOT / "benchmarks/results/methods.json"
JUDGES = {"few_label_probe": "10 labels a class", "linear_probe": "linear", "knn": "k-NN"}


class Facts(NamedTuple):
    """What no measurement says."""

    family: str
    against_collapse: str
    positives: str
    negatives: str
    memory: str
    passes: str
    paper: str


TWO = "two views of an image"
FACTS = {
    "barlow_twins": Facts(
        "redundancy", "standardised, decorrelated dimensions", TWO, "none", "none", "2", "2103.03230"
    ),
    "byol": Facts("distillation", "predictor and slow teacher", TWO, "none", "teacher", "2 + 2 teacher", "2006.07733"),
    "dcl": Facts("contrastive", "negatives", TWO, "2N - 2 in the batch", "none", "2", "2110.06848"),
    "dino": Facts(
        "distillation",
        "centring and sharpening",
        "small and large crops",
        "none",
        "teacher, centre",
        "4 + 2 teacher",
        "2104.14294",
    ),
    "moco": Facts("contrastive", "negatives", TWO, "a queue", "teacher, queue", "1 + 1 teacher", "2003.04297"),
    "moco_v3": Facts("contrastive", "negatives", TWO, "N - 1 in the batch", "teacher", "2 + 2 teacher", "2104.02057"),
    "nnclr": Facts(
        "contrastive", "negatives", "a view and its neighbour", "N - 1 in the batch", "queue", "2", "2104.14548"
    ),
    "simclr": Facts("contrastive", "negatives", TWO, "2N - 2 in the batch", "none", "2", "2002.05709"),
    "simsiam": Facts("distillation", "predictor and stop-gradient", TWO, "none", "none", "2", "2011.10566"),
    "supcon": Facts("supervised", "negatives", "views of one class", "other classes", "none", "2", "2004.11362"),
    "supervised": Facts("supervised", "labels", "-", "-", "none", "1", "-"),
    "swav": Facts(
        "clustering", "equal partition of the batch", "small and large crops", "none", "prototypes", "4", "2006.09882"
    ),
    "vicreg": Facts("redundancy", "variance and covariance terms", TWO, "none", "none", "2", "2105.04906"),
}


def page() -> str:
    """docs/methods.md."""
    found, costs = json.loads(RESULTS.read_text()), json.loads(COSTS.read_text())
    seeds = max(len(of_seeds) for of_seeds in found.values())
    newest = max(kept["started"][:10] for of_seeds in found.values() for kept in of_seeds.values())
    lines = [
        "# Methods",
        "",
        "What each method compares, what keeps it from the trivial solution, what it remembers, and what a step of it costs",
        f"beside SimCLR's ({costs['device']}, {costs['date']}: `python benchmarks/methods.py`).",
        "",
        "| method | family | against collapse | positives | negatives | memory | forward passes | step | paper |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row(name, facts, costs["methods"].get(name)) for name, facts in sorted(FACTS.items())),
        "",
        "## What it learns",
        "",
        "Frozen features of the embedded digits after each method's demo (`ssl-jax pretrain NAME`, at most a few minutes on",
        f"two cores), accuracy on the 1,000 test digits in percent, mean ± standard deviation over up to {seeds} seeds,",
        f"{newest} (`python experiments/all_methods.py`).",
        "",
        "| method | " + " | ".join(JUDGES.values()) + " | seeds |",
        "|---|" + "---|" * (len(JUDGES) + 1),
        *ranking(found),
        "",
    ]
    return "\n".join(lines)


def row(name: str, facts: Facts, cost: dict[str, float] | None) -> str:
    paper = facts.paper if facts.paper == "-" else f"[{facts.paper}](https://arxiv.org/abs/{facts.paper})"
    step = f"{cost['relative']:.2f}" if cost else "-"
    return f"| {' | '.join((name, *facts[:-1], step, paper))} |"


def ranking(found: dict) -> list[str]:
    """Methods by their accuracy with few labels, and what they all have to beat."""
    lines = {}
    for name, of_seeds in found.items():
        lines[name] = [[100 * kept[judge] for kept in of_seeds.values()] for judge in JUDGES]
    everyone = [kept for of_seeds in found.values() for kept in of_seeds.values()]
    for label, suffix in (("*untrained encoder*", "_random_init"), ("*raw pixels*", "_pixels")):
        lines[label] = [[100 * kept[judge + suffix] for kept in everyone if judge + suffix in kept] for judge in JUDGES]
    best_first = sorted(lines.items(), key=lambda item: -np.mean(item[1][0]))
    return [
        f"| {name} | {' | '.join(f'{np.mean(values):.1f} ± {np.std(values):.1f}' for values in cells)} | "
        f"{len(found[name]) if name in found else '-'} |"
        for name, cells in best_first
    ]


if __name__ == "__main__":
    (ROOT / "docs/methods.md").write_text(page())
