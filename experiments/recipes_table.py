"""Writes docs/recipes.md: each recipe's settings beside those of its source, which docs/published.toml holds.

python experiments/recipes_table.py

A setting has a dotted name. `options.*` are the recipe's defaults; `rate.*` is read from the schedule of a whole run;
`optimizer.*`, `method.*` and `views.N.*` are the arguments of the optimizer, of the method and of the N-th view; a head is
described by its layers, as in "2048 norm, 2048 norm, 128 bias". `settings(method, name)` prints all settings.
"""

import functools
import math
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ssl_jax import recipes
from ssl_jax.files import write_atomically
from ssl_jax.networks import Net
from ssl_jax.optimizers import Optimizer
from ssl_jax.recipes import Recipe
from ssl_jax.settings import Configured, settings_of

ROOT = Path(__file__).parents[1]
PUBLISHED, PAGE = ROOT / "docs/published.toml", ROOT / "docs/recipes.md"
CLIPS = dict.fromkeys(("avc", "avid", "cma"), "clips")
CLIPS |= dict.fromkeys(("frames", "shuffle_and_learn", "tracks"), "silent-clips")
PER_EPOCH = 100  # Steps per epoch at which schedules are evaluated.
PLAIN = (bool, int, float, str)
OURS = ("result", "protocol", "date", "hardware", "hours")  # Of a run of ours at a recipe's settings, in "ours".
DESCRIBED = ("source", "figure", "deviations", "notes", "ours")

Settings = dict[str, Any]


def published() -> dict[str, Settings]:
    """The entries of docs/published.toml by "method/recipe"."""
    return tomllib.loads(PUBLISHED.read_text())


def theirs(entry: Settings) -> Settings:
    """The source's settings of an entry of `published`, by dotted name."""
    return flat({name: value for name, value in entry.items() if name not in DESCRIBED})


@functools.cache
def settings(method: str, name: str) -> Settings:
    """Our settings of a recipe, by dotted name; nothing is compiled or run."""
    make = recipes.find(method, name)
    recipe = build(method, name)
    options = {option: value for option, value in settings_of(make).items() if isinstance(value, PLAIN)}
    steps = round(recipe.epochs * PER_EPOCH)
    optimizer = recipe.optimizer(steps)
    found = {
        "options": options,
        "rate": rate(optimizer, steps),
        "optimizer": optimizer_settings(optimizer, steps),
        "method": {field.name: getattr(recipe.method, field.name) for field in fields(recipe.method)},
        "views": [plain(view.settings) | {"made_by": view.name} for view in makers(recipe.augment)],
    }
    return flat(found)


def build(method: str, name: str) -> Recipe:
    """The recipe on a few drawn images, or clips, with few clusters; ClusterFit gets features of size two."""
    data: Settings = {"data": CLIPS.get(method, "synthetic")}
    if method != "clusterfit":
        few = {"clusters": 2} if "clusters" in settings_of(recipes.find(method, name)) else {}
        return recipes.find(method, name)(**data, **few)
    with tempfile.TemporaryDirectory() as folder:
        features = Path(folder, "features.npy")
        np.save(features, np.random.default_rng(0).standard_normal((512, 2)).astype(np.float32))
        return recipes.find(method, name)(**data, features=str(features), clusters=2)


def rate(optimizer: Optimizer, steps: int) -> Settings:
    """Start, peak and end of a schedule, the epochs of its warm-up, and the epochs of its drops."""
    grid = np.arange(steps + 1)
    values = np.broadcast_to(np.asarray(jax.vmap(optimizer.learning_rate)(grid), np.float64), grid.shape)
    peak = values.max()
    rising = int(np.argmax(values >= peak * (1 - 1e-5)))
    falls = np.flatnonzero(values[1 : steps - PER_EPOCH // 10] < 0.6 * values[: steps - PER_EPOCH // 10 - 1]) + 1
    found = {"start": values[0], "peak": peak, "end": values[-1], "warmup_epochs": rising / PER_EPOCH}
    drops = {"drops": [float(step / PER_EPOCH) for step in falls]} if len(falls) else {}
    return {name: float(f"{value:.6g}") for name, value in found.items()} | drops


def optimizer_settings(optimizer: Optimizer, steps: int) -> Settings:
    """Arguments of an optimizer and of those that it wraps; start and end of a schedule."""
    found: Settings = {}
    for name, value in optimizer.settings.items():
        if isinstance(value, Optimizer):
            inner = optimizer_settings(value, steps)
            found |= inner if name == "optimizer" else {name: inner}
        elif callable(value) and name not in ("schedule", "learning_rate"):
            found[name] = [float(f"{value(step):.6g}") for step in (0, steps)]
    own = plain({name: value for name, value in optimizer.settings.items() if not callable(value)})
    if "steps" in own:
        own["epochs"] = own.pop("steps") / PER_EPOCH
    return found | {optimizer.name: own} if "name" in found else found | {"name": optimizer.name} | own


def makers(augment: Any) -> Iterator[Configured]:
    """The configured functions inside an augmentation, in order: the views first, then their combination."""
    if not isinstance(augment, Configured):
        return
    for value in augment.settings.values():
        for inner in value if isinstance(value, tuple) else (value,):
            yield from makers(inner)
    if plain(augment.settings):
        yield augment


def plain(found: Settings) -> Settings:
    """Settings in writable form, without the pixels' statistics, which belong to the data."""
    writable = {name: value for name, value in found.items() if is_plain(value)}
    return {name: value for name, value in writable.items() if name not in ("mean", "std")}


def is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, tuple | list) and all(map(is_plain, value)))


def flat(found: Settings, prefix: str = "") -> Settings:
    """Dotted names for values in nested dictionaries and lists; networks become descriptions."""
    leaves: Settings = {}
    for name, value in found.items():
        value = describe(value) if isinstance(value, Net) else value
        if isinstance(value, list | tuple) and value and all(isinstance(part, dict) for part in value):
            value = {str(number): part for number, part in enumerate(value)}
        if isinstance(value, dict):
            leaves |= flat(value, f"{prefix}{name}.")
        elif is_plain(value):
            leaves[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return leaves


def describe(net: Net) -> str:
    """A head's layers, as "2048 norm, 128 bias"; other networks by their width."""
    params, stats = jax.eval_shape(net.init, jax.random.key(0))
    layers = [name for name in params if name.startswith("layer") and "kernel" in params[name]]
    if not layers or set(params) - {"prototypes"} != {*layers, *(key for key in params if key.startswith("norm"))}:
        return f"width {net.width}"
    words = []
    for layer in sorted(layers):
        norm, weights = layer.replace("layer", "norm"), params[layer]
        kind = (
            {0: "norm without affine", 1: "norm with gain", 2: "norm"}[len(params.get(norm, {}))]
            if norm in stats
            else ""
        )
        words.append(
            " ".join(filter(None, [str(weights["kernel"].shape[-1]), kind, "bias" if "bias" in weights else ""]))
        )
    return ", ".join([*words, *([f"{len(params['prototypes'])} prototypes" for _ in (0,) if "prototypes" in params])])


def same(ours: Any, other: Any) -> bool:
    """Whether two settings agree; numbers within a relative difference of 1e-4, for float32 schedules."""
    if isinstance(ours, list) and isinstance(other, list):
        return len(ours) == len(other) and all(map(same, ours, other))
    if isinstance(ours, str | bool) or isinstance(other, str | bool) or ours is None:
        return type(ours) is type(other) and ours == other
    return math.isclose(ours, other, rel_tol=1e-4, abs_tol=1e-9)


def faults(key: str, entry: Settings, ours: Settings) -> list[str]:
    """The errors of an entry: settings that differ without a reason, reasons for settings that agree."""
    reasons, expected = entry.get("deviations", {}), theirs(entry)
    found = [f"{key}: no setting {name}" for name in expected if name not in ours]
    shared = {name: value for name, value in expected.items() if name in ours}
    differing = {name for name, value in shared.items() if not same(ours[name], value)}
    found += [f"{key}: {name} is {ours[name]}, theirs {expected[name]}" for name in sorted(differing - set(reasons))]
    stale = sorted(name for name in reasons if name in shared and name not in differing)
    return found + [f"{key}: a reason for {name}, which is theirs" for name in stale]


def page() -> str:
    """docs/recipes.md."""
    entries = published()
    lines = [
        "# Recipes beside their sources",
        "",
        "Written by `python experiments/recipes_table.py` from the code and from `docs/published.toml`; a test compares them.",
        "Rates are those at the recipe's batch. A head's layers are given by width, norm and bias. Where a setting differs,",
        "the last column gives the reason.",
        "",
        *figures_table(entries),
        "",
    ]
    for key, entry in sorted(entries.items()):
        ours, reasons, expected = settings(*key.split("/")), entry.get("deviations", {}), theirs(entry)
        others = [name for name in reasons if name not in expected]
        lines += [f"## {key}", "", f"{entry['figure']}", "", *(f"- {source}" for source in entry["source"]), ""]
        lines += ["| setting | theirs | ours | |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {cell(expected[name])} | {cell(ours.get(name))} | {reasons.get(name, '')} |"
            for name in expected
        ]
        lines += ["", *(f"- {name}: {reasons[name]}" for name in others), *([""] if others else [])]
    return "\n".join(lines)


def figures_table(entries: dict[str, Settings]) -> list[str]:
    """A row for each recipe: what its source reports, and what a run of ours at these settings measured, or "not run"."""
    head = ["recipe", "published, by the protocol named", "source", "ours", *OURS[1:]]
    rows = [
        [f"[{key}](#{key.replace('/', '')})", entry["figure"], entry["source"][0].partition(": ")[0], *ours_of(entry)]
        for key, entry in sorted(entries.items())
    ]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def ours_of(entry: Settings) -> list[str]:
    """The cells about our run: `OURS` of the entry's "ours", all of which are needed; "not run" without it."""
    if "ours" not in entry:
        return ["not run", *("-" for _ in OURS[1:])]
    return [str(entry["ours"][name]) for name in OURS]


def cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(*(f"{name} = {value}" for name, value in settings(*sys.argv[1].split("/")).items()), sep="\n")
    else:
        write_atomically(PAGE, page())
