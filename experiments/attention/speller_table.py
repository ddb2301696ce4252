"""Writes the table of error rates in docs/attention.md from experiments/results/speller.json, and the published ones below.

python experiments/attention/speller_table.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from speller_setup import PUBLISHED

from ssl_jax.files import filled, write_atomically

ROOT = Path(__file__).parents[2]
RATES = [(how, rate) for rate in ("symbol_error_rate", "word_error_rate") for how in ("greedy", "beam")]
TASKS = {
    "demo-spelling": "Spelling to sound, without stress",
    "demo-denoising": "The word that was read in noise, without labels",
}


def table() -> str:
    """A table for each task, and the published error rates below that of spelling."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads((ROOT / "experiments/results/speller.json").read_text())
    parts = [of_task(title, found[name]) for name, title in TASKS.items() if name in found]
    return "\n\n".join([parts[0], published(), *parts[1:]])


def of_task(title: str, networks: dict[str, dict[str, Any]]) -> str:
    runs = {name: list(of_seeds.values()) for name, of_seeds in networks.items()}
    one = next(iter(runs.values()))[0]
    about = (
        f"{one['train_words']:,} words of training, {one['steps']:,} steps, {one['greedy']['words']:,} words never seen"
    )
    noise = f"; noise leaves {100 * one['untouched']:.0f} % of them as they are" if "untouched" in one else ""
    lines = [
        f"{title} ({about}{noise}; {one['device']}, {one['started'][:10]}); percent of symbols and of words that are wrong,",
        "mean ± standard deviation over seeds:",
        "",
        "| network | parameters | symbols | with a beam | words | with a beam | nats a symbol | minutes | seeds |",
        "|" + "---|" * 9,
    ]
    for name, kept in runs.items():
        rates = [spread([100 * run[how][rate] for run in kept], 1) for how, rate in RATES]
        nats, minutes = spread([run["test_nats"] for run in kept], 3), max(run["seconds"] for run in kept) / 60
        lines.append(
            f"| {name} | {kept[0]['parameters']:,} | {' | '.join(rates)} | {nats} | {minutes:.0f} | {len(kept)} |"
        )
    return "\n".join(lines)


def published() -> str:
    lines = [
        "Published, for the whole dictionary in another split (about 113,000 words of training, 12,000 of test):",
        "",
        "| source | sounds wrong, % | words wrong, % |",
        "|---|---|---|",
    ]
    rows = [
        f"| {name} | {'-' if sounds is None else sounds} | {words} |" for name, (sounds, words) in PUBLISHED.items()
    ]
    return "\n".join(lines + rows)


def spread(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f}" + (f" ± {np.std(values):.{digits}f}" if len(values) > 1 else "")


def with_table(text: str) -> str:
    """The page with the table between its marks."""
    return filled(text, {"speller": table()})


if __name__ == "__main__":
    path = ROOT / "docs/attention.md"
    write_atomically(path, with_table(path.read_text()))
