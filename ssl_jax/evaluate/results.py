"""Results of a run: nested in results.json and in code, flat in the line of JSON that ends a command.

    {"method": "simclr", "steps": 750, "chance": 0.1, ...,
     "features": {"pretrained": {"linear": {"accuracy": 0.974, "interval": [0.962, 0.982]}, "knn": {...}, ...},
                  "untrained": {...}, "pixels": {...}}}

The features of each source, by each protocol, which `ssl_jax.evaluate.protocols` lists. docs/results.md explains both forms.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_jax.evaluate.features import Features, Network
from ssl_jax.evaluate.protocols import PROTOCOLS, chosen_protocols, evaluate_features

# Parts of the digest's keys: protocol, source, field.
NAMES = {"linear": "linear_probe", "few_labels": "few_label_probe"}
SOURCES = {"pretrained": "", "untrained": "_random_init", "pixels": "_pixels"}
FIELDS = {"accuracy": "", "interval": "_interval", "deviation": "_std"}


def evaluate_sources(
    sources: Mapping[str, Features],
    *,
    protocols: Sequence[str] = (),
    networks: Mapping[str, Network] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """The results under "features": source -> protocol -> field; values rounded to four decimal places.

    Args:
      sources: features of the same images: "pretrained", "untrained" and "pixels".
      networks: what computed them, by the same names; only some optional protocols need it.
      protocols, seed: as in `evaluate_features`.
    """
    networks = networks or {}
    return {
        source: rounded(evaluate_features(features, protocols=protocols, network=networks.get(source), seed=seed))
        for source, features in sources.items()
    }


def digest(results: Mapping[str, Any]) -> dict[str, Any]:
    """The results with "features" made flat, PROTOCOL + SOURCE + FIELD: "linear_probe_pixels_interval".

    The protocols are "knn", "linear_probe" and "few_label_probe", and others under their own names. Untrained weights have
    "_random_init" after that, pixels "_pixels", the pre-trained features nothing. The end is "_interval" for the 95 % interval
    [low, high], "_std" for the deviation, "_recall_1" and the like for retrieval's recall, nothing for the accuracy, or for
    retrieval's mean average precision and the mean IoU, which is None where it was not measured. A protocol with `figures` has
    these instead: "diagnostics_pixels_lidar". What `label_free` measures has its name in front: "label_free_view_correlation".
    """
    flat: dict[str, Any] = {}
    for name, value in results.items():
        if name == "label_free":
            flat |= {f"{name}_{gauge}": part for gauge, part in value.items()}
        else:
            flat |= _flat(value) if name == "features" else {name: value}
    return flat


def _flat(features: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for source, of in SOURCES.items():
        results = features.get(source, {})
        for protocol in dict.fromkeys([*chosen_protocols(), *results]):
            fields, key = results.get(protocol, {}), NAMES.get(protocol, protocol) + of
            figures = PROTOCOLS[protocol].figures if protocol in PROTOCOLS else ()
            fields = {"accuracy": fields.get("average_precision", fields.get("mean_iou"))} | fields
            ends = {field: f"_{field}" for field in figures} or FIELDS
            flat |= {key + end: fields[field] for field, end in ends.items() if field in fields}
            flat |= {f"{key}_{rank}": part["share"] for rank, part in fields.items() if rank.startswith("recall_")}
    return flat


def rounded(value: Any) -> Any:
    """Accuracies rounded to 0.01 %, finer than any of our test sets resolves; what was chosen is left as it is."""
    if isinstance(value, dict):
        return {name: part if name == "chosen" else rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
