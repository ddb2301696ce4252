"""`ssl-jax pretrain`: pre-training, then evaluation and a report."""

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ssl_jax.commands.first_weights import starting_from
from ssl_jax.commands.init_checks import check_init
from ssl_jax.commands.judging import chance_level, evaluate_trained, shown_without_labels
from ssl_jax.commands.kept_features import KeptFeatures
from ssl_jax.commands.saved_run import as_recorded_today
from ssl_jax.data import Source
from ssl_jax.data.fingerprint import fingerprint
from ssl_jax.data.source import unreadable_in
from ssl_jax.data.statistics import measured_statistics
from ssl_jax.errors import RunError, UsageError, memory_errors, reason_of
from ssl_jax.evaluate.label_free import in_words, label_free
from ssl_jax.evaluate.results import digest
from ssl_jax.evaluate.tables import sources_table
from ssl_jax.options import Options
from ssl_jax.prepare import MakeRecipe, execution_of, prepare
from ssl_jax.recipes import Recipe
from ssl_jax.report import save_album, write_report
from ssl_jax.report.inputs import Trained
from ssl_jax.report.reading import read_run
from ssl_jax.report.sheets import histograms, sheets
from ssl_jax.runs import (
    REPORT,
    add_results,
    default_folder,
    open_run,
    read_metrics,
    read_record,
    read_results,
    waiting,
    write_results,
)
from ssl_jax.runs.circumstances import changed_file, changes, different_examples, versions
from ssl_jax.train import fit
from ssl_jax.train.compilation import keep_programs
from ssl_jax.train.hosts import check_same, connect, lost_processes, on_this_process, part, together
from ssl_jax.train.log import log_line, log_pictures
from ssl_jax.train.profile import check_profile
from ssl_jax.train.state import TrainState
from ssl_jax.train.trackers import Tracker, import_trackers, open_trackers


def pretrain(make: MakeRecipe, options: Options, *, repeats: Path | None = None) -> dict[str, Any] | None:
    """Pre-trains, evaluates, reports; returns what `results.json` holds, or None on all processes but the first.

    repeats: folder of the run that `make` and `options` repeat. What has changed since is said.

    Example:
      >>> make = functools.partial(simclr.demo, data="synthetic", image_size=14, encoder="vit_micro/7", epochs=1, batch_size=64)
      >>> results = pretrain(make, Options(run=folder / "run", devices=1))
      >>> print(list(results["features"]))
      ['pretrained', 'untrained', 'pixels']
    """
    began = time.perf_counter()
    if options.distributed or options.coordinator:
        _only_results_on_stdout()
        _connect(options)
    keep_programs()
    modules, trackers = import_trackers(options.log_to), list[Tracker]()
    with contextlib.ExitStack() as opened, lost_processes(), memory_errors():
        with together():
            if options.init:
                check_init(options.init, make, run=options.run)
            recipe, mesh, batches, hook, program = prepare(make, options)
            check_profile(options.profile, left=recipe.steps)  # At most, in a run that is resumed: `fit` checks again.
            run, first = options.run or default_folder(recipe.name), jax.process_index() == 0
            request, begins = _request(recipe, options), ""
            if options.init:
                request["init"], program, begins = starting_from(options.init, recipe, program, run=run)
        check_same(_compared(request, recipe, options))
        with together():
            if first:
                changed = _changes(repeats or run, request)
                update = functools.partial(as_recorded_today, recipe.arguments)
                opened.enter_context(
                    open_run(run, request, resume=options.resume, update=update, about=about_training(recipe))
                )
                about = {name: request[name] for name in ("method", "recipe", "seed")}
                trackers = open_trackers(modules, run, about | request["arguments"])
                for tracker in trackers:
                    opened.callback(tracker.close)
                log_line("\n".join(filter(None, (changed, introduction(recipe, mesh, seed=options.seed), begins))))
        with batches:
            state = fit(
                recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches,
                steps=recipe.steps, seed=options.seed, run=run, mesh=mesh, execution=execution_of(options),
                hook=hook, log_every=options.log_every, hook_every=options.evaluate_every,
                save_every=options.evaluate_every, save_minutes=options.save_minutes, keep=options.keep, program=program,
                profile=options.profile, trackers=trackers,
            )  # fmt: skip
        if jax.process_count() == 1:
            return _finish(run, recipe, state, mesh, trackers, seed=options.seed, began=began)
        state = on_this_process(state, mesh)
        part()
        return _finish(run, recipe, state, None, trackers, seed=options.seed, began=began) if first else None


def _only_results_on_stdout() -> None:
    """Gloo and other libraries write to standard output by its number: from now on that is standard error."""
    sys.stdout.flush()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = results


def _connect(options: Options) -> None:
    """Joins the processes of a run on several hosts; a `UsageError` gives the reason where they cannot be joined."""
    try:
        connect(coordinator=options.coordinator, processes=options.processes, process=options.process)
    except ValueError as fault:
        raise UsageError(
            f"distributed: JAX finds no other hosts ({reason_of(fault)}): give --coordinator host:port, --processes and "
            "--process, or leave out --distributed."
        ) from fault
    except RuntimeError as fault:
        raise RunError(
            f"coordinator: the processes cannot be joined ({reason_of(fault)}): check that all of them run, with the same "
            "--coordinator and --processes."
        ) from fault


def _compared(request: dict[str, Any], recipe: Recipe, options: Options) -> dict[str, Any]:
    """What has to be the same on all processes of a run."""
    # Each host has these for itself, and another path of the first weights, whose checksum is in the request.
    own = {"process", "coordinator", "distributed", "workers", "init"}
    alike = {name: value for name, value in vars(options).items() if name not in own}
    rest = {name: value for name, value in request.items() if name not in ("arguments", "examples")}
    return {**rest, **request["arguments"], **request["examples"], **alike, **versions()}


def _request(recipe: Recipe, options: Options) -> dict[str, Any]:
    """All that determines what is learned."""
    method, _, name = recipe.name.partition("/")
    request = {"method": method, "recipe": name, "arguments": recipe.arguments, "seed": options.seed}
    file = {"file": recipe.file, "file_checksum": recipe.file_checksum} if recipe.file else {}
    parts = {"microbatches": options.microbatches} if options.microbatches > 1 else {}  # They change batch norms.
    # Skipped steps change weights.
    skips = {"skip_nonfinite": options.skip_nonfinite} if options.skip_nonfinite else {}
    return request | file | parts | skips | {"examples": fingerprint(recipe.data)}


def about_training(recipe: Recipe) -> dict[str, Any]:
    """What follows from the request, and the report shows: the length of the training, and the chance level of its loss."""
    chance = recipe.method.chance_loss(recipe.batch_size)
    length = {"steps": recipe.steps, "epochs": recipe.epochs, "batch_size": recipe.batch_size}
    return length | ({} if chance is None else {"chance_loss": round(chance, 6)})


def _changes(run: Path, request: dict[str, Any]) -> str:
    """What has changed since the run that is resumed or repeated; `open_run` refuses to resume one on other data."""
    record = read_record(run)
    changed = record and [
        *changes(record),
        *different_examples(record.get("examples"), request["examples"]),
        *different_examples(record.get("init"), request.get("init")),
        *changed_file(record, request.get("file_checksum")),
    ]
    return f"not as when {run} was started, results may differ: {'; '.join(changed)}" if changed else ""


def introduction(recipe: Recipe, mesh: Mesh, *, seed: int) -> str:
    """Three or four lines on what is about to be trained: recipe and encoder, data, unusual pixels, devices."""
    data, encoder = recipe.data, recipe.arguments.get("encoder")
    encodes = f"encoder {encoder}, " if encoder else ""
    size = " x ".join(map(str, data.train.image_shape))
    classes = f"{len(data.classes)} classes" if data.classes else "no labels"
    test = f", {len(data.test):,} of them to test" if data.test else ", none to test"
    pixels = _pixels(data.train)
    kinds = sorted({device.device_kind for device in mesh.devices.flat})
    lines = [
        f"{recipe.name}: {encodes}batch {recipe.batch_size}, {recipe.steps} steps ({recipe.epochs:g} epochs), seed {seed}",
        f"{data.name}: {len(data.train) + len(data.test or ()):,} images of {size}{test}, {classes}",
        *([f"pixels: {pixels}"] if pixels else []),
        f"{mesh.size} x {', '.join(kinds)}; compiling the first step, unless its program was kept",
    ]
    return "\n".join(lines)


def _pixels(source: Source) -> str:
    """What is not usual of the pixels: their range, and their channels; empty where they have 8 bits in 1 or 3 channels."""
    levels, channels = getattr(source, "levels", None), source.image_shape[-1]
    parts = []
    if levels:
        parts.append(
            f"{levels.black:g} becomes black and {levels.white:g} white, in 8 bits; ,range=LOW:HIGH behind the path "
            "states others"
        )
    if channels not in (1, 3):
        mean, std = measured_statistics(source)
        of_each = ", ".join(f"{low:.2f} ± {spread:.2f}" for low, spread in zip(mean, std, strict=True))
        parts.append(f"{channels} channels of {of_each}, measured; without saturation, hue and grayscale in the views")
    return "; ".join(parts)


def _finish(
    run: Path,
    recipe: Recipe,
    state: TrainState,
    mesh: Mesh | None,
    trackers: Sequence[Tracker],
    *,
    seed: int,
    began: float,
) -> dict[str, Any]:
    """Evaluates the features, and writes `results.json` and `report.html`."""
    data, encode = recipe.data, KeptFeatures(run).encode
    if data.test:
        log_line("evaluating the features, those of untrained weights, and raw pixels")
        features, before, after = evaluate_trained(recipe, data, state, mesh, seed=seed, init_seed=seed, encode=encode)
    else:
        log_line(f"{data.name} has no labelled test images: neighbours, a map and gauges, but no accuracies")
        features = {}
        data, before, after = shown_without_labels(recipe, state, mesh, init_seed=seed, encode=encode)
    save_album(
        run, data=data, augment=recipe.augment, prepare=recipe.prepare,
        before=before, after=after, trained=Trained(recipe.method, state.params, state.method_state), seed=seed,
    )  # fmt: skip
    records = read_metrics(run)
    speeds = [speed for record in records if (speed := record.get("images_per_second")) is not None]
    method, _, name = recipe.name.partition("/")
    results: dict[str, Any] = {
        "method": method,
        "recipe": name,
        "steps": int(state.step),
        "chance": chance_level(recipe.data),
        "images_per_second": round(float(np.median(speeds)), 1) if speeds else None,  # The median excludes compilation.
        "features": features,
        "seconds": round(time.perf_counter() - began, 1),
        "run": str(run),
        "report": str(run / REPORT),
    }
    if skipped := sum(len(unreadable_in(part)) for part in (recipe.data.train, recipe.data.test) if part):
        results["skipped"] = skipped
    if not features:
        facts = getattr(recipe.method, "facts", None)
        results["label_free"] = label_free(records, type(recipe.method).__name__, facts, examples=recipe.batch_size)
    if (read_results(run) or {}).get("steps") == results["steps"]:  # The command of a finished run was repeated.
        add_results(run, {name: results[name] for name in results if name != "seconds"})
    else:
        write_results(run, results)
        pictures = read_run(run).pictures
        log_pictures(run, sheets(pictures), histograms(pictures), step=results["steps"], trackers=trackers)
        for tracker in trackers:
            tracker.log(_for_trackers(results), results["steps"])
    write_report(run)
    if features:
        log_line(sources_table(features, chance=chance_level(recipe.data)))
    else:
        log_line(f"without labels: {in_words(results['label_free'])}")
    if words := waiting.in_words(waiting.waited(records)):
        log_line(f"training {words} of its time")
    log_line(f"report: {run / REPORT}")
    return results


def _for_trackers(results: dict[str, Any]) -> dict[str, float]:
    """The numbers among the results, apart from the metrics of training, which have some of their names."""
    numbers = {name: value for name, value in digest(results).items() if isinstance(value, int | float)}
    return {f"results/{name}": value for name, value in numbers.items() if name != "steps" and math.isfinite(value)}
