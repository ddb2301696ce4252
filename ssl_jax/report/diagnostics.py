"""The section with the diagnostics of the features: numbers in units of their own, not bars in the table of the probes."""

from typing import Any

from ssl_jax.evaluate.protocols import PROTOCOLS
from ssl_jax.report.charts import short
from ssl_jax.report.html import Html, tag
from ssl_jax.report.probes import SOURCES, fields_of, number

# Field -> title, and how to read it.
ROWS = {
    "std": ("Spread", "1 fills the sphere, 0 is collapse"),
    "effective_rank": ("Effective rank", "directions that the features use"),
    "eigenvalue_decay": ("Decay of the eigenvalues", "exponent; lower is more even"),
    "uniformity": ("Uniformity", "lower is more evenly spread, 0 is collapse"),
    "lidar": ("LiDAR", "directions that tell images apart and crops do not change"),
}


def diagnostics(results: dict[str, Any]) -> Html | None:
    """A table with a row for each gauge and each augmentation, a column for each source; None where nothing was measured."""
    columns = {source: fields for source in SOURCES if (fields := _numbers(results, source))}
    names = list(dict.fromkeys(name for fields in columns.values() for name in fields))
    if not names:
        return None
    head = tag("tr", tag("th", ""), *(tag("th", SOURCES[source][0], scope="col") for source in columns))
    rows = [
        tag(
            "tr",
            tag("th", f"{title}: {meaning}", scope="row"),
            *(tag("td", short(fields[name], digits=3) if name in fields else "-") for fields in columns.values()),
        )
        for name in names
        for title, meaning in [ROWS.get(name, (name, "cosine after this augmentation alone, 1 is invariant"))]
    ]
    return tag(
        "section",
        tag("h2", PROTOCOLS["diagnostics"].words.title),
        tag(
            "p",
            "Of the features, without labels. docs/evaluation.md has the values at collapse and by chance.",
            class_="see",
        ),
        tag("table", tag("tbody", head, *rows), class_="list"),
    )


def _numbers(results: dict[str, Any], source: str) -> dict[str, float]:
    fields = fields_of(results, source, "diagnostics")
    moved = fields.get("invariance")
    flat = {name: fields.get(name) for name in ROWS} | (moved if isinstance(moved, dict) else {})
    return {name: value for name in flat if (value := number(flat, name)) is not None}
