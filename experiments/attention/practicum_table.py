"""Writes measurements and pictures of the practicum's scripts into docs/attention.md, from their files in experiments/results.

python experiments/attention/practicum_table.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from missing_runs import by_metric

from ssl_jax.files import filled, write_atomically

ROOT = Path(__file__).parents[2]
PICTURES = "experiments/attention/pictures"
# Scripts, and what their pictures show.
SCRIPTS: dict[str, dict[str, str]] = {
    "architectures": {"architectures": "The modules of four architectures, with nats and wrong letters"},
    "missing_symbol": {"missing_symbol": "Sounds at the principal components of their vectors"},
    "classifier": {},
    "latent_variable": {
        "latent_with": "Energy over the plane with a latent variable",
        "latent_without": "Energy over the plane without",
    },
    "gradients": {
        "gradients": "Gradients over distance, on a logarithmic scale",
        "gradients_recall": "Share of first symbols recalled over the length",
    },
}


def tables() -> dict[str, str]:
    """A table for each script, by its name; a sentence where it has not run."""
    return {name: table(name, ROOT / f"experiments/results/{name}.json") for name in SCRIPTS}


def table(name: str, file: Path) -> str:
    if not file.exists():
        return f"Not measured yet: `python experiments/attention/{name}.py --seeds 0 1 2`, then `practicum_table.py`."
    kept = json.loads(file.read_text())
    shown = "".join(
        f"![{words}](../{PICTURES}/{picture}.svg)\n"
        for picture, words in SCRIPTS[name].items()
        if (ROOT / PICTURES / f"{picture}.svg").exists()
    )
    return (
        f"{shown and shown + chr(10)}{globals()[name](by_metric(kept['found']), kept['settings'])}\n\n{settings(kept)}"
    )


def settings(kept: dict[str, Any]) -> str:
    """The settings of a run in a line."""
    words = ", ".join(f"{name} {value}" for name, value in kept["settings"].items() if name != "distances")
    seeds = max(len(of_name) for of_name in kept["found"].values())
    return f"({words}; {f'mean ± standard deviation over {seeds} seeds' if seeds > 1 else 'one seed'}.)"


def architectures(found: dict[str, Any], kept: dict[str, Any]) -> str:
    rows = [[name, spread(of.get("nats"), 2), spread(of["wrong"], 1)] for name, of in found.items()]
    return rows_of(["predicts y", "nats a letter", "wrong, %"], rows)


def missing_symbol(found: dict[str, Any], kept: dict[str, Any]) -> str:
    rows = [
        [
            name, spread(of["nats"], 2), spread(of.get("right"), 2), spread(of.get("untrained"), 2),
            f"{max(of['chance']):.4f}" if "chance" in of else "-",
        ]
        for name, of in found.items()
    ]  # fmt: skip
    head = [
        "symbols, model",
        "nats a missing symbol",
        "nearest is of its kind",
        "untrained",
        "as good at random, worst seed",
    ]
    return rows_of(head, rows)


def classifier(found: dict[str, Any], kept: dict[str, Any]) -> str:
    return rows_of(["classifier", "right, %"], [[name, spread(of["right"], 1)] for name, of in found.items()])


def latent_variable(found: dict[str, Any], kept: dict[str, Any]) -> str:
    columns = ["right", "random", "centre", "right below random", "right, by descent"]
    rows = [[name, *(spread(of.get(column), 3) for column in columns)] for name, of in found.items()]
    return rows_of(["network", *columns], rows)


def gradients(found: dict[str, Any], kept: dict[str, Any]) -> str:
    distances = kept["distances"]
    shown = [distance for distance in distances if distance in (1, 8, 32, 128)]
    recalls = list(dict.fromkeys(name.split(", ")[1] for name in found if "recall" in name))
    rows = []
    for name, of in found.items():
        layer, task = name.split(", ")
        if task == "gradients":
            norms = np.exp(np.log(np.maximum(of["ratios"], 1e-30)).mean(axis=0))
            right = [
                spread([100 * value for value in found.get(f"{layer}, {recall}", {"right": []})["right"]], 0)
                for recall in recalls
            ]
            rows.append([layer, *(tiny(norms[distances.index(distance)]) for distance in shown), *right])
    return rows_of(
        ["layer", *(f"gradient at {distance}" for distance in shown), *(f"{task}, %" for task in recalls)], rows
    )


def tiny(ratio: float) -> str:
    return f"{ratio:.1e}" if ratio > 1.1e-30 else "0"


def rows_of(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def spread(values: list[float] | None, digits: int) -> str:
    if not values:
        return "-"
    return f"{np.mean(values):.{digits}f}" + (f" ± {np.std(values):.{digits}f}" if len(values) > 1 else "")


def with_tables(text: str) -> str:
    """The page with the tables between their marks."""
    return filled(text, tables())


if __name__ == "__main__":
    path = ROOT / "docs/attention.md"
    write_atomically(path, with_tables(path.read_text()))
