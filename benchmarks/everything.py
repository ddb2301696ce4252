"""All benchmarks that this machine permits, each in a process of its own, and docs/performance.md with what they found.

python -m benchmarks
python -m benchmarks --only kmeans views
python -m benchmarks --quick        # small sizes, into a temporary folder: whether every script works
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import tyro
from catalogue import LEFT_OUT, Benchmark, permitted
from machine import version
from page import PAGE, RESULTS, write_page
from runner import run_all


def everything(*, only: tuple[str, ...] | None = None, quick: bool = False) -> None:
    """Runs them one after the other, and writes the page again after each.

    Args:
      only: names of benchmarks; all that the machine permits when this is left out.
      quick: small sizes, into a temporary folder: whether every script works.
    """
    offered, left_out = permitted(*device())
    chosen = among(offered, left_out, only)
    missing = {name: [package for package in chosen[name].needs if not version(package)] for name in chosen}
    chosen = {name: benchmark for name, benchmark in chosen.items() if not missing[name]}
    print("\n".join(plan(chosen, missing, {} if only else left_out, quick=quick)), flush=True)
    if not chosen:
        sys.exit("benchmarks: nothing to run.")
    for place in (RESULTS, PAGE):
        if not quick and not os.access(place, os.W_OK):
            sys.exit(f"benchmarks: {place} cannot be written: make it writable, or try the scripts with --quick.")
    if not quick:
        sys.exit(run_all(chosen, RESULTS, after=partial(write_page, PAGE, RESULTS)))
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(shutil.copy(PAGE, scratch))
        status = run_all(chosen, Path(scratch), after=partial(write_page, page, Path(scratch)), quick=True)
    sys.exit(status)


def among(
    offered: dict[str, Benchmark], left_out: dict[str, str], only: tuple[str, ...] | None
) -> dict[str, Benchmark]:
    """The benchmarks of these names, or all; an exit with one sentence where a name is none of them."""
    if only is None:
        return offered
    if not only:
        sys.exit(f"benchmarks --only: got no name, expected one or more of {', '.join(offered)}.")
    for name in only:
        if name in LEFT_OUT:
            sys.exit(f"benchmarks --only: got {name}, which {LEFT_OUT[name]}: run python -m benchmarks {name}.")
        if name not in offered:
            why = left_out.get(name, f"no benchmark, expected one or more of {', '.join(offered)}")
            sys.exit(f"benchmarks --only: got {name}: {why}.")
    return {name: benchmark for name, benchmark in offered.items() if name in only}


def device() -> tuple[str, str]:
    """JAX's backend and the model of its first device, from another process: this one holds no accelerator."""
    code = "import jax, json; print(json.dumps([jax.default_backend(), jax.devices()[0].device_kind]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"benchmarks: JAX has no device here: {result.stderr.strip().splitlines()[-1]}")
    backend, model = json.loads(result.stdout.splitlines()[-1])
    return backend, model


def plan(
    chosen: dict[str, Benchmark], missing: dict[str, list[str]], left_out: dict[str, str], *, quick: bool
) -> list[str]:
    """What is run and what is not, a line each."""
    lines = ["Runs, with minutes:" if not quick else "Runs, in small sizes:"] if chosen else []
    lines += [
        f"  {name}" if quick else f"  {name:<16}about {benchmark.minutes:g}" for name, benchmark in chosen.items()
    ]
    without = {
        name: f"its peer is not installed: {', '.join(packages)}" for name, packages in missing.items() if packages
    }
    if without or left_out:
        lines += ["Left out:", *(f"  {name:<16}{why}" for name, why in (without | left_out).items())]
    if without:
        packages = sorted({package for packages in missing.values() for package in packages})
        lines.append(f"For all of them: pip install {' '.join(packages)}")
    return lines


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):  # End the running benchmark, too; nohup has SIGHUP ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    tyro.cli(everything, prog="python -m benchmarks")
