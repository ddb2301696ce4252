"""The results: a headline, and the table of the probes against an untrained encoder and raw pixels."""

from typing import Any

from ssl_jax.evaluate.protocols import PROTOCOLS, Words
from ssl_jax.report.captions import Caption, caption_of
from ssl_jax.report.html import Html, tag
from ssl_jax.report.reading import Run

# Source of features -> name in the table, end of the comparing sentence.
SOURCES = {
    "pretrained": ("Pre-trained", ""),
    "untrained": ("Untrained encoder", "with an untrained encoder"),
    "pixels": ("Raw pixels", "on raw pixels"),
}


def percent(share: float) -> str:
    """0.957 -> 95.7%"""
    return f"{100 * share:.1f}%"


def headline(run: Run) -> tuple[str, str]:
    """The headline and the sentences after it. They state the measured accuracies, also where training did not help."""
    caption = caption_of(run.request.get("method", "pre-trained"))
    names = sorted(measured(run.results), key=lambda name: name != "linear")  # The linear probe first.
    sentences = [caption.words(_sentence(run.results, name, caption.name)) for name in names]
    if sentences:
        return sentences[0], " ".join(sentences[1:])
    online = [knn for record in run.metrics if (knn := number(record, "knn")) is not None]
    deck = f"Its last online k-NN accuracy is {percent(online[-1])}." if online else ""
    state = "without labels" if "features" in run.results else "that is not evaluated yet"
    return f"A {caption.name} run {state}.", deck


def _sentence(results: dict[str, Any], protocol: str, method: str) -> str:
    shares = {source: share for source in SOURCES if (share := accuracy(results, source, protocol)) is not None}
    text = _words(protocol).sentence or "By {protocol}, {accuracy} of test images are classified correctly"
    sentence = text.format(method=method, protocol=protocol, accuracy=percent(shares.pop("pretrained")))
    against = [f"{percent(share)} {SOURCES[source][1]}" for source, share in shares.items()]
    return f"{sentence}, against {' and '.join(against)}." if against else f"{sentence}."


def _words(protocol: str) -> Words:
    """The description of a protocol; of an unknown one, from another version of the package, its name alone."""
    return PROTOCOLS[protocol].words if protocol in PROTOCOLS else Words(protocol)


def number(values: dict[str, Any], name: str) -> float | None:
    """A finite number of a record; None where there is none."""
    value = values.get(name)
    if (
        isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300
    ):  # No NaN, no huge integer.
        return None
    return float(value)


def fields_of(results: dict[str, Any], source: str, protocol: str) -> dict[str, Any]:
    """The results of the features of a source by a protocol; {} if there are none."""
    return results.get("features", {}).get(source, {}).get(protocol, {})


def accuracy(results: dict[str, Any], source: str, protocol: str) -> float | None:
    """An accuracy in [0, 1]; None if it was not measured."""
    return number(fields_of(results, source, protocol), "accuracy")


def measured(results: dict[str, Any]) -> list[str]:
    """The protocols that measured the pre-trained features: those of this version first, in their order."""
    found = results.get("features", {}).get("pretrained", {})
    return [name for name in dict.fromkeys([*PROTOCOLS, *found]) if accuracy(results, "pretrained", name) is not None]


def spread(fields: dict[str, Any]) -> tuple[float, float] | None:
    """Lowest and highest plausible accuracy: the interval, else one deviation to both sides."""
    interval, deviation = fields.get("interval"), number(fields, "deviation")
    if isinstance(interval, list) and len(interval) == 2:
        low, high = (number({"end": end}, "end") for end in interval)
        if low is not None and high is not None:
            return low, high
    value = number(fields, "accuracy")
    return (value - deviation, value + deviation) if value is not None and deviation is not None else None


def probe_table(results: dict[str, Any], caption: Caption) -> Html | None:
    """Bars of every protocol with results, on one scale from 0 to 100 %."""
    groups = [tag("tbody", *_group(results, protocol, caption)) for protocol in measured(results)]
    if not groups:
        return None
    return tag(
        "section",
        tag("h2", "Evaluation of the features"),
        tag("p", caption.words("Accuracy on test images."), " The blue bar should exceed both grey ones; the last column "
            "has the difference in points.", _meaning(results), class_="see"),
        tag("table", *groups, class_="probes"),
    )  # fmt: skip


def _meaning(results: dict[str, Any]) -> str:
    notes = {"interval": "95% interval", "deviation": "where labels are drawn, one standard deviation over draws"}
    names = {name for protocol in measured(results) for name in fields_of(results, "pretrained", protocol)}
    found = [note for name, note in notes.items() if name in names]
    return f" ± and the fine line: {'; '.join(found)}." if found else ""


def _group(results: dict[str, Any], protocol: str, caption: Caption) -> list[Html | None]:
    words = _words(protocol)
    head = tag(
        "tr",
        tag("th", words.title, tag("span", caption.words(words.meaning)), colspan=4, scope="colgroup"),
        class_="group",
    )
    return [head, *(_row(results, protocol, source) for source in SOURCES)]


def _row(results: dict[str, Any], protocol: str, source: str) -> Html | None:
    value, ours = accuracy(results, source, protocol), accuracy(results, "pretrained", protocol)
    if value is None or ours is None:
        return None
    around, gain = spread(fields_of(results, source, protocol)), ours - value
    return tag(
        "tr",
        tag("th", SOURCES[source][0], scope="row"),
        tag("td", tag("div", tag("b", style=f"width: {100 * value:.2f}%"), _whisker(around), class_="bar")),
        tag("td", percent(value), tag("small", around and f"± {50 * (around[1] - around[0]):.1f}"), class_="value"),
        tag("td", *(() if source == "pretrained" else _gain(gain)), class_="gain" if gain >= 0 else "gain worse"),
        class_="ours" if source == "pretrained" else source,
    )


def _gain(gain: float) -> tuple[object, ...]:
    """A difference of accuracies in points: +10.6."""
    return f"{100 * gain:+.1f}".replace("-", "\N{MINUS SIGN}"), tag("span", " points")


def _whisker(around: tuple[float, float] | None) -> Html | None:
    if around is None:
        return None
    low, high = max(0.0, around[0]), min(1.0, around[1])
    return tag("i", style=f"left: {100 * low:.2f}%; width: {100 * (high - low):.2f}%")
