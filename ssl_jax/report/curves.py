"""The section with the curves of a run, as small multiples: one metric a chart."""

from functools import partial

from ssl_jax.report.charts import Series, line_chart, short
from ssl_jax.report.html import Html, tag
from ssl_jax.report.probes import accuracy, number, percent
from ssl_jax.report.reading import Run

# Metric -> title of its curve and its interpretation. Other metrics follow under their own names.
CURVES = {
    "loss": ("Loss", "Should fall quickly, then slowly. A flat line from the start: nothing is learned."),
    "knn": ("k-NN accuracy, online", "Should rise above the dashed lines; the difference is the effect of training."),
    "learning_rate": ("Learning rate", "Warm-up, then the schedule; changes explain bends of the loss."),
    "std": ("Spread of embeddings", "Healthy near 1, where embeddings fill the sphere; falling towards 0 is collapse."),
    "effective_rank": (
        "Effective rank",
        "Directions that embeddings use. A fall towards 1 is a slow collapse.",
    ),
    "alignment": ("Alignment", "Squared distance of two views of one image: lower is more similar, 2 is unrelated."),
    "uniformity": ("Uniformity", "Lower is more evenly spread over the sphere; 0 is collapse."),
    "images_per_second": ("Images per second", "Should be constant. Dips: other load on the machine."),
}


def curves(run: Run) -> Html | None:
    """A chart for every recorded metric."""
    others = {name for record in run.metrics for name in record} - {"step", "time"} - CURVES.keys()
    figures = [_figure(run, name) for name in [*CURVES, *sorted(others)]]
    if not any(figures):
        return None
    return tag(
        "section",
        tag("h2", "Training curves"),
        tag("p", "Each chart has its own scale; the number beside its title is the last value.", class_="see"),
        tag("div", *figures, class_="curves"),
    )


def _figure(run: Run, name: str) -> Html | None:
    series = read_series(run, name)
    if not series:
        return None
    title, see = CURVES.get(name, (name, "A metric of the method."))
    last, write = (percent, percent) if name == "knn" else (partial(short, digits=3), short)
    chart = line_chart(series, title=title, references=_references(run, name), write=write)
    return tag("figure", tag("h3", title, tag("span", last(series[-1][1]))), chart, tag("figcaption", see))


def read_series(run: Run, name: str) -> Series:
    """The finite values of one metric over the steps; the last record of a step counts."""
    found = [(record["step"], number(record, name)) for record in run.metrics if abs(record["step"]) < 2**53]
    return list({step: value for step, value in found if value is not None}.items())


def _references(run: Run, name: str) -> list[tuple[str, float]]:
    if name == "std":
        return [("fills the sphere", 1.0)]
    baselines = ("untrained", "pixels") if name == "knn" else ()
    found = [(source, accuracy(run.results, source, "knn")) for source in baselines]
    return [(label, value) for label, value in found if value is not None]
