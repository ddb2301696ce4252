"""Results as lines of text, for the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ssl_jax.evaluate.protocols import FINE_TUNED, PROTOCOLS

SHOWN = {"pretrained": "", "untrained": "untrained", "pixels": "pixels"}


def results_table(
    what: str, results: Mapping[str, Mapping[str, Mapping[str, Any]]], *, chance: float | None = None
) -> str:
    """A line for each layer or data set, a column for each protocol with accuracies and source: percent, with half the 95 %
    interval.

    Args:
      what: heading of the first column, such as "layer".
      results: name -> source -> protocol -> fields.
      chance: accuracy of random predictions, in the last line; None where it differs from line to line.
    """
    columns = list(
        dict.fromkeys(
            (protocol, source)
            for of in results.values()
            for source in of
            for protocol in of[source]
            if protocol == FINE_TUNED or not PROTOCOLS[protocol].figures
        )
    )
    order, sources = [*PROTOCOLS, FINE_TUNED], list(SHOWN)
    columns.sort(key=lambda column: (order.index(column[0]), sources.index(column[1])))
    head = [what, *(SHOWN[source] or protocol for protocol, source in columns)]
    rows = [
        [name, *(figure(of.get(source, {}).get(protocol, {})) for protocol, source in columns)]
        for name, of in results.items()
    ]
    random = "1 / classes" if chance is None else f"{100 * chance:.1f}"
    foot = f"in percent, with half the 95 % interval; accuracies of random predictions: {random}"
    return "\n".join([aligned([head, *rows]), foot, *_reasons(results, lambda name: name)])


def sources_table(features: Mapping[str, Mapping[str, Any]], *, chance: float | None) -> str:
    """The results of one evaluation: a line for each source, a column for each protocol with accuracies, as `results_table`."""
    [_, *protocols], *rows = sources_rows(features)
    titles = [PROTOCOLS[name].words.title if name in PROTOCOLS else name for name in protocols]
    random = "" if chance is None else f"; by chance {100 * chance:.1f}"
    lines = aligned([["features", *titles], *rows])
    foot = f"percent, ± half the 95 % interval (few labels: the deviation){random}"
    return "\n".join([lines, foot, *_reasons({"": features}, lambda name: PROTOCOLS[name].words.title)])


def _reasons(results: Mapping[str, Mapping[str, Mapping[str, Any]]], title: Callable[[str], str]) -> list[str]:
    """Why some figures are "-": a line for each reason, since the sources mostly share theirs."""
    found = {
        f"- {title(protocol)}{name and f' on {name}'}: {fields['reason']}": None
        for name, of in results.items()
        for protocols in of.values()
        for protocol, fields in protocols.items()
        if "reason" in fields
    }
    return list(found)


def sources_rows(results: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A heading, "features" and the names of the protocols whose figure is an accuracy; then a row for each source."""
    names = dict.fromkeys(name for of in results.values() for name in of)
    protocols = [name for name in names if name not in PROTOCOLS or not PROTOCOLS[name].figures]
    sources = sorted(results, key=lambda source: [*SHOWN, source].index(source))
    return [
        ["features", *protocols],
        *([source, *(figure(results[source].get(name, {})) for name in protocols)] for source in sources),
    ]


def figure(fields: Mapping[str, Any]) -> str:
    """The first number of the fields with half its interval, "95.1 ± 1.3"; "-" where nothing was measured."""
    value = next((value for value in fields.values() if value is None or isinstance(value, float | int)), None)
    if value is None:
        return "-"
    interval, deviation = fields.get("interval"), fields.get("deviation")
    half = (interval[1] - interval[0]) / 2 if interval else deviation
    return f"{100 * value:.1f}" if half is None else f"{100 * value:.1f} ± {100 * half:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
