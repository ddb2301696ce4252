"""The report of a run: one self-contained page, pictures first."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_jax.errors import writing
from ssl_jax.files import write_atomically
from ssl_jax.report import attention, patches, pictures, prototypes, views
from ssl_jax.report.captions import caption_of, name_of
from ssl_jax.report.copying import SCRIPT, copied
from ssl_jax.report.curves import curves
from ssl_jax.report.diagnostics import diagnostics
from ssl_jax.report.html import Html, document, tag
from ssl_jax.report.probes import headline, number, probe_table
from ssl_jax.report.reading import Run, as_typed, flat, read_run
from ssl_jax.report.style import STYLE
from ssl_jax.report.unlabelled import unlabelled
from ssl_jax.runs import REPORT, REQUEST, waiting

CLIP_AXES = 4  # Of the shape of a clip in run.json, "4x24x24x1".


def write_report(run: Path) -> Path:
    """Writes `run`/report.html atomically from the files in the folder of a run, and returns its path.

    Works also for a run that is still training or was killed: the page shows the existing files and names missing ones.

    Raises:
      UsageError: `run` does not exist, or holds no run.json.
    """
    content = read_run(run)
    path = run / REPORT
    with writing("run", path, "free disk space, or report on a copy of the run's folder"):
        write_atomically(path, make_page(content))
    return path


def make_page(run: Run) -> Html:
    """The whole page of a run."""
    caption = caption_of(run.request.get("method"))
    sections = [
        _header(run),
        probe_table(run.results, caption),
        diagnostics(run.results),
        unlabelled(run.results),
        views.section(run.pictures, caption),
        pictures.neighbors(run.pictures, caption),
        pictures.embeddings(run.pictures, caption),
        prototypes.section(run.pictures),
        attention.section(run.pictures),
        patches.section(run.pictures),
        curves(run),
        _details(run),
    ]
    return document(f"{_what(run)}: report", STYLE, *sections, script=SCRIPT)


def _what(run: Run) -> str:
    method, recipe = (run.request.get(name) for name in ("method", "recipe"))
    return " / ".join([name_of(method)] * bool(method) + [str(recipe)] * bool(recipe)) or run.folder.name


def _header(run: Run) -> Html:
    title, deck = headline(run)
    data = run.request.get("arguments", {}).get("data")
    about = _what(run) if data is None else f"{_what(run)} · {data}"
    return tag(
        "header",
        tag("p", about, class_="eyebrow"),
        tag("h1", title),
        tag("p", deck, class_="deck") if deck else None,
        tag("p", *(tag("span", fact) for fact in _facts(run)), class_="facts"),
        *(tag("p", sentence, class_="notice") for sentence in run.missing),
    )


def _facts(run: Run) -> list[str]:
    results, request = run.results, run.request
    examples = request.get("examples", {})
    kind = "clips" if str(examples.get("train_shape")).count("x") == CLIP_AXES - 1 else "images"
    numbers = [
        (examples, "train_examples", f"{{:,.0f}} training {kind}"),
        (examples, "test_examples", f"{{:,.0f}} test {kind}"),
        (results, "skipped", "{:,.0f} unreadable, skipped"),
        (request, "batch_size", "batch {:,.0f}"),
        (request, "epochs", "{:g} epochs" if request.get("epochs") != 1 else "1 epoch"),
        (results, "steps", "{:,.0f} steps"),
        (results, "images_per_second", f"{{:,.0f}} {kind} per second"),
        (request, "encoder_parameters", "{:,.0f} encoder parameters"),
        (request, "seed", "seed {:.0f}"),
    ]
    facts = [text.format(content) for values, name, text in numbers if (content := number(values, name)) is not None]
    if isinstance(encoder := request.get("arguments", {}).get("encoder"), str):
        facts.append(f"encoder {encoder}")
    if "device" in request:
        many = f"{request['devices']} \N{MULTIPLICATION SIGN} " if request.get("devices", 1) != 1 else ""
        facts.append(f"{many}{request['device']}")
    facts += filter(None, [waiting.in_words(waiting.waited(run.metrics))])
    seconds = number(results, "seconds")
    return facts if seconds is None else [_duration(seconds), *facts]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def _details(run: Run) -> Html:
    request = run.request
    names = ("device", "devices", "processes", "seed", "commit", "started")
    machine = {name: request[name] for name in names if name in request}
    again = shlex.join(["ssl-jax", "pretrain", "--from", str(run.folder / REQUEST)])
    return tag(
        "section",
        tag("h2", "Reproduce this run"),
        tag("p", "The same recipe, arguments and seed; bit for bit on the same machine.", class_="see"),
        copied(again),
        _configuration(flat(request.get("arguments", {}))),
        listed("Machine, seed and commit", machine),
        listed("Versions", request.get("versions", {})),
        listed("Results", flat(run.results)),
    )


def _configuration(arguments: Mapping[str, Any]) -> Html | None:
    """The arguments of the recipe, aligned, to be copied; None where there are none."""
    width = max(map(len, arguments), default=0)
    lines = (f"{name:<{width}}  {as_typed(value)}" for name, value in arguments.items())
    return tag("details", tag("summary", "Configuration"), copied("\n".join(lines))) if arguments else None


def listed(title: str, values: Mapping[Any, Any]) -> Html | None:
    """Names and values behind a title that opens them; None where there are none."""
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", as_typed(value))) for name, value in values.items()]
    return tag("details", tag("summary", title), tag("table", *rows, class_="list")) if rows else None
