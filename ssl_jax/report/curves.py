"""The section with the curves of a run, as small multiples: one metric a chart."""

from functools import partial

from ssl_jax.report.captions import caption_of
from ssl_jax.report.charts import Series, line_chart, short
from ssl_jax.report.html import Html, tag
from ssl_jax.report.probes import accuracy, number, percent
from ssl_jax.report.reading import Run
from ssl_jax.runs.waiting import WAITS

# Metric -> title of its curve and its interpretation. Other metrics follow under their own names.
CURVES = {
    "loss": (
        "Loss",
        "Should fall quickly, then slowly. A flat line from the start, or at the level of chance: nothing is learned.",
    ),
    "knn": ("k-NN accuracy, online", "Should rise above the dashed lines; the difference is the effect of training."),
    "linear": (
        "Linear probe, online",
        "Ridge regression on a part of the images: as k-NN, and nearer to the final probe.",
    ),
    "learning_rate": ("Learning rate", "Warm-up, then the schedule; changes explain bends of the loss."),
    "std": ("Spread of embeddings", "Healthy near 1, where embeddings fill the sphere; falling towards 0 is collapse."),
    "effective_rank": (
        "Effective rank",
        "Directions that embeddings use. A fall towards 1 is a slow collapse.",
    ),
    "alignment": ("Alignment", "Squared distance of two views of one image: lower is more similar, 2 is unrelated."),
    "uniformity": ("Uniformity", "Lower is more evenly spread over the sphere; 0 is collapse."),
    "eigenvalue_decay": ("Decay of the eigenvalues", "Exponent of their power law: 0 is even, high is few directions."),
    "view_correlation": ("Correlation of views", "Of each dimension in two views: 1 is invariant, 0 unrelated."),
    "redundancy": ("Redundancy", "Correlation of different dimensions: low is good, 1 means that all repeat one."),
    "prototype_use": ("Use of prototypes", "1: all are used equally. A fall towards 0: one takes all images."),
    "assignment_entropy": (
        "Entropy of assignments",
        "0: one prototype for each image. 1: all alike for each, which says nothing.",
    ),
    "teacher_distance": ("Distance of the teacher", "Relative distance of its weights: 0 is equal, 1.4 unrelated."),
    "memory_cosine": ("Freshness of the memory", "Cosine of stored and fresh embeddings: 1 is fresh, 0 says nothing."),
    "task_accuracy": ("Accuracy of the task", "Of the task that training solves, on the images of a batch."),
    "of_image": ("Loss of the image", "Its view compared with the memory bank."),
    "of_transformed": ("Loss of the transformed image", "Its tiles or its rotation compared with the memory bank."),
    "class": ("Loss of the crops", "Cross-entropy of the outputs of the class tokens."),
    "patch": ("Loss of the patches", "Cross-entropy of the outputs of the masked patches."),
    "koleo": ("KoLeo", "Lower is further apart: minus the log of the distance of an image to its nearest."),
    "across": ("Loss between video and sound", "That of AVID."),
    "within": ("Loss within video and within sound", "Of clips that are similar in both; 0 before they are mined."),
    "gradient_norm": ("Norm of the gradient", "Spikes are unstable steps; a lower learning rate avoids them."),
    "images_per_second": ("Images per second", "Should be constant. Dips: other load on the machine."),
    "waits_input": (
        "Waiting for input",
        "Share of the time. Should be near 0; otherwise more --workers decode faster.",
    ),
}
NOT_SHOWN = {"step", "time", "seconds", *WAITS} - CURVES.keys()
ONLINE = ("knn", "linear")  # Accuracies, under the names of their protocols.


def curves(run: Run) -> Html | None:
    """A chart for every recorded metric."""
    others = {name for record in run.metrics for name in record} - NOT_SHOWN - CURVES.keys()
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
    caption = caption_of(run.request.get("method"))
    title, see = map(caption.words, CURVES.get(name, (name, "A metric of the method.")))
    references = _references(run, name)
    if name == "loss" and not references and caption.no_chance:
        see = f"{see} {caption.no_chance}"
    last, write = (percent, percent) if name in ONLINE else (partial(short, digits=3), short)
    chart = line_chart(series, title=title, references=references, write=write)
    return tag("figure", tag("h3", title, tag("span", last(series[-1][1]))), chart, tag("figcaption", see))


def read_series(run: Run, name: str) -> Series:
    """The finite values of one metric over the steps; the last record of a step counts."""
    found = [(record["step"], number(record, name)) for record in run.metrics if abs(record["step"]) < 2**53]
    return list({step: value for step, value in found if value is not None}.items())


def _references(run: Run, name: str) -> list[tuple[str, float]]:
    if name == "std":
        return [("fills the sphere", 1.0)]
    if name == "loss":
        chance = number(run.request, "chance_loss")
        return [] if chance is None else [("chance", chance)]
    baselines = ("untrained", "pixels") if name in ONLINE else ()
    found = [(source, accuracy(run.results, source, name)) for source in baselines]
    return [(label, value) for label, value in found if value is not None]
