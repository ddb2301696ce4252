"""Runs of an experiment that are missing in its results file, one after the other; it can be stopped and started again."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ssl_jax.errors import UsageError
from ssl_jax.files import write_json

Found = dict[str, dict[str, list[Any]]]  # By name and metric, one value for each seed.


def run_missing(
    results: Path,
    settings: Mapping[str, Any],
    names: Iterable[str],
    seeds: Iterable[int],
    measure: Callable[[str, int], Mapping[str, Any]],
) -> Found:
    """The measurements of all names and seeds, those of `results` and those that `measure(name, seed)` adds to it.

    Raises:
      UsageError: the file holds runs of other settings.
    """
    wanted = json.loads(json.dumps(dict(settings)))  # As they are read: tuples are lists.
    kept = json.loads(results.read_text()) if results.exists() else {"settings": wanted, "found": {}}
    if kept["settings"] != wanted:
        raise UsageError(f"results: {results} holds runs of other settings, {kept['settings']}: choose another file.")
    found = kept["found"]
    for name in names:
        for seed in map(str, seeds):
            if seed not in found.setdefault(name, {}):
                found[name][seed] = dict(measure(name, int(seed)))
                write_json(results, kept)
    return by_metric(found)


def by_metric(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Found:
    """Of each name and metric, the values by seed."""
    runs = {name: list(of_seeds.values()) for name, of_seeds in found.items()}
    return {name: {metric: [run[metric] for run in of_name] for metric in of_name[0]} for name, of_name in runs.items()}
