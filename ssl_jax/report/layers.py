"""The picture of the layers' probes: accuracy over the depth of the network."""

import math
from collections.abc import Mapping
from typing import Any

from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

LINES = {
    ("linear", "pretrained"): ("linear", ""),
    ("knn", "pretrained"): ("k-NN", "7 4"),
    ("linear", "untrained"): ("linear, untrained", "2 3"),
    ("knn", "untrained"): ("k-NN, untrained", "9 3 2 3"),
}
MOST_NAMES = 6  # Names of more layers would overlap.


def layers_picture(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Html | None:
    """Accuracies in percent over the layers of layer -> source -> protocol -> fields, in their order; None without any."""
    curves: dict[str, list[tuple[float, float]]] = {}
    dashes: dict[str, str] = {}
    for (protocol, source), (name, dash) in LINES.items():
        found = [of.get(source, {}).get(protocol, {}).get("accuracy") for of in results.values()]
        points = [(float(number), 100 * share) for number, share in enumerate(found) if share is not None]
        curves |= {name: points} if points else {}
        dashes |= {name: dash} if dash else {}
    if not curves:
        return None
    every = math.ceil(len(results) / MOST_NAMES)
    depths = {float(number): name for number, name in enumerate(results) if (len(results) - 1 - number) % every == 0}
    return lines(
        curves,
        title="Probes of every layer",
        across="layer",
        up="accuracy on test images in %",
        names=depths,
        dashes=dashes,
    )
