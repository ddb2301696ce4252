"""Every option of every recipe with extreme values on the command line: the number of lines that end in one sentence.

    python benchmarks/extreme_values.py [--only demo] [--part 1/4]

Each command line differs from a small run in one value: negative, zero, NaN, infinite, huge, tiny, empty or of another kind.
It is run up to the first step of training, in this process. An outcome is a sentence (exit code 1 or 2, one line, nothing
written), "leaves files", "traceback", or "accepted"; the table names every line that ended in a traceback or left files.
"""

import argparse
import collections
import contextlib
import inspect
import io
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import jax

from ssl_jax import commands
from ssl_jax.cli import main
from ssl_jax.recipes import find, methods, recipes

VALUES = {int: ["-1", "0", "1", str(10**18)], float: ["-1", "0", "nan", "inf", "1e300", "1e-30"], str: ["", "nonsense"]}
DATA = dict.fromkeys(("avc", "avid", "cma"), "clips")
DATA |= dict.fromkeys(("frames", "shuffle_and_learn", "tracks"), "silent-clips")
SMALL = {"batch_size": "64", "clusters": "16", "queue_length": "1024", "epochs": "1"}
PREPARE = sys.modules.get(
    "ssl_jax.prepare", commands
)  # The module that makes the online k-NN, whose images are slow to draw.


class Accepted(Exception):
    """Raised where training would start."""


def cases(method: str, recipe: str) -> list[tuple[str, str, list[str]]]:
    """Option, value and command line of every case of a recipe."""
    make = find(method, recipe)
    kinds, defaults = get_type_hints(make), inspect.signature(make).parameters
    small = {"data": DATA.get(method, "shapes"), **{name: value for name, value in SMALL.items() if name in kinds}}
    if method == "clusterfit":  # k-means of the pixels.
        small |= {"image_size": "16"} | ({"stored_size": "16"} if "stored_size" in kinds else {})
    if "encoder" in kinds and str(defaults["encoder"].default).startswith("resnet"):
        small["encoder"] = "small"
    found = []
    for option, kind in kinds.items():
        for value in VALUES.get(kind, ["nonsense"]) if option != "return" else []:
            words = [f"--{name.replace('_', '-')}={given}" for name, given in (small | {option: value}).items()]
            found.append((option, value, ["pretrain", method, "--recipe", recipe, "--devices", "1", *words]))
    return found


def outcome(words: list[str]) -> tuple[str, str]:
    """The outcome of a command line, and its output."""
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(output):
        try:
            with mock.patch.object(commands, "fit", start), mock.patch.object(PREPARE, "online_probes", no_hook):
                code = main([*words, "--run", f"{folder}/run"])
        except Accepted:
            return "accepted", ""
        except BaseException as fault:
            return "traceback", f"{type(fault).__name__}: {str(fault)[:100]!r}"
        lines = output.getvalue().splitlines()
        if os.listdir(folder):
            return "leaves files", lines[-1]
        return ("sentence" if code and len(lines) == 1 else "other"), lines[-1] if lines else ""


def start(method: Any, augment: Any, optimizer: Any, batches: Any, *, steps: int, seed: int, **named: Any) -> None:
    """Replaces `fit`: traces the step for older versions, which did not trace it before."""
    if "program" not in named:
        from ssl_jax.train.state import init_state  # noqa: PLC0415
        from ssl_jax.train.step import make_gauges, make_step  # noqa: PLC0415

        example = batches._source[0] | {"index": jax.numpy.int32(0)}
        batch = {
            name: jax.ShapeDtypeStruct((batches.batch_size, *array.shape), array.dtype)
            for name, array in example.items()
        }
        state = jax.eval_shape(lambda: init_state(method, optimizer.transformation, seed=0))
        jax.eval_shape(make_step(method, augment, optimizer, seed=seed), state, batch)
        jax.eval_shape(make_gauges(method, augment, seed=seed), state, batch)
    raise Accepted


def no_hook(*_: Any, **__: Any) -> None:
    return None


def run(only: str | None, part: int, parts: int) -> None:
    names = [(method, recipe) for method in methods() for recipe in recipes(method) if only in (None, recipe)]
    every = itertools.chain.from_iterable(cases(*name) for name in names)
    counts: collections.Counter[str] = collections.Counter()
    accepted: collections.Counter[str] = collections.Counter()
    began = time.perf_counter()
    for option, value, words in itertools.islice(every, part - 1, None, parts):
        ended, output = outcome(words)
        counts[ended] += 1
        accepted[f"{option}={value}"] += ended == "accepted"
        if sys.stderr.isatty():
            print(f"{sum(counts.values())} lines", end="\r", file=sys.stderr)
        if ended not in ("sentence", "accepted"):
            print(f"{ended}: {' '.join(words[1:])}: {output}", flush=True)
        jax.clear_caches()
    print(
        f"{Path(commands.__file__).parent}: {sum(counts.values())} lines in {time.perf_counter() - began:.0f} s: {dict(counts)}"
    )
    print("accepted:", ", ".join(f"{name} ({count})" for name, count in sorted(accepted.items()) if count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="recipes of this name")
    parser.add_argument("--part", default="1/1", help="every n-th line, such as 1/4")
    given = parser.parse_args()
    run(given.only, *map(int, given.part.split("/")))
