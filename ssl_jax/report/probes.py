"""The numbers: a headline, and the table of the probes against an untrained encoder and raw pixels.

Accuracies are shares, 0 to 1, under the names of results.json; "few_labels_per_class" is optional there.
"""

from typing import Any

from ssl_jax.report.html import Html, tag
from ssl_jax.report.reading import Run

PROBES = {
    "knn": ("Nearest neighbours", "k-NN: training images with similar features vote"),
    "linear_probe": ("Linear probe", "a linear classifier on frozen features, all labels"),
    "few_label_probe": ("Few-label probe", "the same with a handful of labels a class"),
}
# Ending of the name in results.json -> name in the table, style.
FEATURES = {
    "": ("Pre-trained", "ours"),
    "_random_init": ("Untrained encoder", "random"),
    "_pixels": ("Raw pixels", "pixels"),
}


def percent(share: float) -> str:
    """0.957 -> 95.7%"""
    return f"{100 * share:.1f}%"


def headline(run: Run) -> tuple[str, str]:
    """The sentence on top and what follows it. They state what was measured, also where the training did not help."""
    method = run.request.get("method", "pre-trained")
    leads = {
        "linear_probe": f"A linear probe on {method} features names {{}} of test images right",
        "few_label_probe": f"With {run.results.get('few_labels_per_class', 'a few')} labels a class it is {{}}",
        "knn": f"The nearest neighbours by {method} features name {{}} of test images right",
    }
    sentences = [_sentence(lead, run.results, probe) for probe, lead in leads.items() if probe in judged(run.results)]
    if sentences:
        return sentences[0], " ".join(sentences[1:])
    online = [knn for record in run.metrics if (knn := number(record, "knn")) is not None]
    deck = f"Its last online k-NN accuracy is {percent(online[-1])}." if online else ""
    state = "without labels to evaluate by" if run.results else "that is not evaluated yet"
    return f"A {method} run {state}.", deck


def _sentence(lead: str, results: dict[str, Any], probe: str) -> str:
    others = {"{} with an untrained encoder": f"{probe}_random_init", "{} on raw pixels": f"{probe}_pixels"}
    against = [text.format(percent(results[key])) for text, key in others.items() if number(results, key) is not None]
    return lead.format(percent(results[probe])) + (f", against {' and '.join(against)}." if against else ".")


def number(results: dict[str, Any], key: str) -> float | None:
    """A finite number of a record; None where there is none."""
    value = results.get(key)
    if (
        isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300
    ):  # No NaN, no huge integer.
        return None
    return float(value)


def judged(results: dict[str, Any]) -> list[str]:
    """The probes of which there is a result."""
    return [probe for probe in PROBES if number(results, probe) is not None]


def spread(results: dict[str, Any], key: str) -> tuple[float, float] | None:
    """Lowest and highest plausible value: `key`_interval as it is, else one `key`_std to both sides."""
    interval, deviation = results.get(f"{key}_interval"), number(results, f"{key}_std")
    if isinstance(interval, list) and len(interval) == 2:
        ends = [number({key: end}, key) for end in interval]
        if ends[0] is not None and ends[1] is not None:
            return ends[0], ends[1]
    value = number(results, key)
    return (value - deviation, value + deviation) if value is not None and deviation is not None else None


def probe_table(results: dict[str, Any]) -> Html | None:
    """Bars of every probe that was made, on one scale from 0 to 100 %."""
    groups = [tag("tbody", *_group(results, probe)) for probe in judged(results)]
    if not groups:
        return None
    return tag(
        "section",
        tag("h2", "What the features are worth"),
        tag("p", "Accuracy on test images. The blue bar should reach beyond both grey ones; the last column says by "
            "how many points.", _meaning(results), class_="see"),
        tag("table", *groups, class_="probes"),
    )  # fmt: skip


def _meaning(results: dict[str, Any]) -> str:
    notes = {"_interval": "95% interval", "_std": "for few labels, one standard deviation over draws"}
    found = [note for end, note in notes.items() if any(probe + end in results for probe in PROBES)]
    return f" ± and the fine line: {'; '.join(found)}." if found else ""


def _group(results: dict[str, Any], probe: str) -> list[Html]:
    name, meaning = PROBES[probe]
    head = tag("tr", tag("th", name, tag("span", meaning), colspan=4, scope="colgroup"), class_="group")
    return [head, *(_row(results, probe, end) for end in FEATURES if number(results, probe + end) is not None)]


def _row(results: dict[str, Any], probe: str, end: str) -> Html:
    label, style = FEATURES[end]
    value, around = results[probe + end], spread(results, probe + end)
    gain = results[probe] - value
    return tag(
        "tr",
        tag("th", label, scope="row"),
        tag("td", tag("div", tag("b", style=f"width: {100 * value:.2f}%"), _whisker(around), class_="bar")),
        tag("td", percent(value), tag("small", around and f"± {50 * (around[1] - around[0]):.1f}"), class_="value"),
        tag("td", *(_gain(gain) if end else ()), class_="gain" if gain >= 0 else "gain worse"),
        class_=style,
    )


def _gain(gain: float) -> tuple[object, ...]:
    """A difference of accuracies in points: +10.6."""
    return f"{100 * gain:+.1f}".replace("-", "\N{MINUS SIGN}"), tag("span", " points")


def _whisker(around: tuple[float, float] | None) -> Html | None:
    if around is None:
        return None
    low, high = max(0.0, around[0]), min(1.0, around[1])
    return tag("i", style=f"left: {100 * low:.2f}%; width: {100 * (high - low):.2f}%")
