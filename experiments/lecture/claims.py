"""Writes the tables and the claims of all scripts of this folder into README.md, from their results files.

    python experiments/lecture/claims.py

A script whose results are not complete is left out.
"""

import importlib
import json
from pathlib import Path

from runs import HERE, Found, Script, table

from ssl_jax.files import filled, write_atomically

SCRIPTS = (
    "layers", "figures_of_the_talk", "negatives", "clustering", "clusterfit", "shortcuts", "trivial_solutions",
    "permutations", "false_alarms",
)  # fmt: skip
README = HERE / "README.md"
HEAD = ("item", "the lecture says", "here", "figures", "budget", "seeds")


def measured() -> dict[str, tuple[Script, Found]]:
    """The scripts with complete results, and these."""
    found = {}
    for name in SCRIPTS:
        script: Script = importlib.import_module(name).SCRIPT
        results = json.loads(script.results.read_text()) if script.results.exists() else {}
        if script.complete(results):
            found[name] = script, results
    return found


def with_tables(path: Path) -> str:
    """The page with its generated parts made again."""
    rows, parts = [], {}
    for name, (script, found) in measured().items():
        parts[name] = script.table(found)
        for claim in script.claims(found):
            words = f"[{claim.claim}](#{name.replace('_', '-')})"
            rows.append([claim.items, words, claim.verdict, claim.figures, script.budget, str(len(script.seeds))])
    rows.sort(key=lambda row: [int(part) for part in row[0].replace("-", ",").split(",") if part.strip()] or [1000])
    return filled(path.read_text(), parts | {"claims": table(HEAD, rows)})


if __name__ == "__main__":
    write_atomically(README, with_tables(README))
