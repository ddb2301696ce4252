"""Writes the README's table of results from experiments/results/: no number there is typed by hand.

python experiments/readme_table.py
"""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- results -->", "<!-- /results -->"
JUDGES = {"few_label_probe": "10 labels a class", "linear_probe": "linear, all labels", "knn": "k-NN"}
FEATURES = {"": "**SimCLR**", "_random_init": "untrained encoder", "_pixels": "raw pixels"}


def table() -> str:
    """The table of the demo, in Markdown."""
    found = json.loads((ROOT / "experiments/results/simclr_demo.json").read_text())
    minutes = max(found["seconds"]) / 60
    lines = [
        f"Accuracy on the 1,000 test digits in percent, mean ± standard deviation over {len(found['seeds'])} seeds; "
        f"{found['arguments']['epochs']:g} epochs, at most {minutes:.1f} minutes",
        f"a run on {found['device']}, {found['started'][:10]} (`python experiments/simclr_demo.py --seeds "
        f"{' '.join(map(str, found['seeds']))}`):",
        "",
        "| features | " + " | ".join(JUDGES.values()) + " |",
        "|---|" + "---|" * len(JUDGES),
    ]
    for suffix, name in FEATURES.items():
        cells = ["{:.1f} ± {:.1f}".format(*found["percent"][judge + suffix]) for judge in JUDGES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """The README with the table between its marks."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text()))
