"""The section of a run that no labels evaluate: the gauges of its end, and whether training collapsed."""

from typing import Any

from ssl_jax.report.charts import short
from ssl_jax.report.html import Html, tag
from ssl_jax.report.probes import number

# Gauge -> title, and how to read it.
ROWS = {
    "view_correlation": ("Correlation of views", "0 unrelated, 1 the same"),
    "effective_rank": ("Effective rank", "directions that the embeddings use; 1 is a collapse"),
    "std": ("Spread", "1 fills the sphere, 0 is a collapse"),
}
NOTE = (
    "No accuracy can be measured, so these are the gauges of the embeddings at the end. The correlation of views also chooses "
    "the checkpoint that is kept as the best. Whether the features suit your purpose, the neighbours and the map show."
)


def unlabelled(results: dict[str, Any]) -> Html | None:
    """A row for each gauge and one for a collapse; None for a run with accuracies."""
    found = results.get("label_free")
    if not isinstance(found, dict):
        return None
    values = {gauge: value for gauge in ROWS if (value := number(found, gauge)) is not None}
    rows = {ROWS[gauge][0]: f"{short(value, digits=3)} ({ROWS[gauge][1]})" for gauge, value in values.items()}
    if "collapse" in found:
        rows["Collapse"] = str(found["collapse"] or "none seen")
    return tag(
        "section",
        tag("h2", "Without labels"),
        tag("p", NOTE, class_="see"),
        tag(
            "table",
            *(tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in rows.items()),
            class_="list",
        ),
    )
