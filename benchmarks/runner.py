"""Runs benchmarks of the catalogue, each in a process of its own, and keeps the results of those that succeed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from catalogue import FOLDER, Benchmark
from summary import add

from ssl_jax.files import write_atomically

ROOT = FOLDER.parent
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # As the commands of ssl-jax: see README.md.
LAST_LINES = 20  # of a benchmark that fails


def run_all(
    chosen: dict[str, Benchmark],
    results: Path,
    *,
    after: Callable[[], None],
    quick: bool = False,
    folder: Path = FOLDER,
) -> int:
    """One after the other; the others go on where one fails.

    Args:
      chosen: what to run.
      results: folder for the files.
      after: called after each that succeeds, to write pages.
      quick: small sizes; no other scripts afterwards.
      folder: of the benchmarks.

    Returns:
      The exit status: 0, 1 where one failed, 130 after Ctrl-C.
    """
    failed, finished = 0, 0
    try:
        for name, benchmark in chosen.items():
            start = time.perf_counter()
            print(f"{name:<16}", end="", flush=True)
            failure = run(name, benchmark, results, quick=quick, folder=folder)
            print(
                f"{time.perf_counter() - start:7.0f} s{', failed:' if failure else ''}\n{failure}", end="", flush=True
            )
            failed, finished = failed + bool(failure), finished + (not failure)
            if not failure:
                after()
    except KeyboardInterrupt:
        kept = ", and their results are kept" if finished and not quick else ""
        print(f"\nbenchmarks: stopped; {finished} of {len(chosen)} are finished{kept}.")
        return 130
    return 1 if failed else 0


def run(name: str, benchmark: Benchmark, results: Path, *, quick: bool, folder: Path) -> str:
    """Runs one and keeps its results; returns the last lines of its output where it fails, which leaves the old ones."""
    commands = [benchmark.quick] if quick else benchmark.commands
    with tempfile.TemporaryDirectory() as scratch:
        parts = [Path(scratch) / f"{number}" / benchmark.file for number in range(len(commands))]
        for options, part in zip(commands, parts, strict=True):
            part.parent.mkdir()
            given = [str(folder / f"{name}.py"), *options.split(), "--results", str(part)]
            status, output = started(given, one_core=benchmark.one_core)
            lack = f"exit status {status}" if status else lacking(part)
            if lack:
                return "\n".join([*output.splitlines()[-LAST_LINES:], f"({lack})", ""])
        for path in parts[0].parent.iterdir():
            keep_joined(name, benchmark, [part.with_name(path.name) for part in parts], results)
    for script in () if quick else benchmark.then:
        status, output = started([str(ROOT / script)], one_core=False)
        if status:
            return f"{output}\n({script}: exit status {status})\n"
    return ""


def lacking(part: Path) -> str:
    """What a benchmark that has ended well did not write; a library that is installed, but cannot be imported, is no peer."""
    if not part.exists():
        return "no results"
    entries = [entry for path in part.parent.glob("summary-*.json") for entry in json.loads(path.read_text()).values()]
    return "" if all(entry["rows"] for entry in entries) else "no comparison with a peer"


def started(command: list[str], *, one_core: bool) -> tuple[int, str]:
    """The exit status and the output of a Python script; with Ctrl-C it ends with all of its processes.

    It has a session of its own, so that an interrupt reaches it once, from here, whoever was interrupted.
    """
    environment = (
        LARGE_PAGES | os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    )
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        with on_one_core() if one_core else nullcontext():
            process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            status = process.wait()
        except KeyboardInterrupt:
            end(process)
            raise
        output.seek(0)
        return status, output.read()


@contextmanager
def on_one_core() -> Iterator[None]:
    """Processes that are started in this context have the last core; where the system cannot say so, all of them."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def end(process: subprocess.Popen) -> None:
    """Interrupts a session, and kills it after ten seconds."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def keep_joined(name: str, benchmark: Benchmark, parts: list[Path], results: Path) -> None:
    """Replaces a file of the results by its parts, of which only the first keeps its title; joins the rows of a summary."""
    texts = [part.read_text() for part in parts]
    if parts[0].name.startswith("summary-"):
        entries = [json.loads(text)[name] for text in texts]
        rows = [row for entry in entries for row in entry["rows"]]
        add(results / parts[0].name, name, benchmark.file, about=entries[0]["about"], rows=rows)
    else:
        untitled = [text.partition("\n\n")[2] for text in texts[1:]]
        write_atomically(results / parts[0].name, "\n".join([texts[0], *untitled]))
