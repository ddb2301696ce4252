"""Probes of every layer of a network: the features of a pretext task are often best before its last layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_jax.evaluate.features import Features
from ssl_jax.evaluate.protocols import evaluate_features
from ssl_jax.ops.checks import check_type

LAYER_PROTOCOLS = ("linear", "knn")


def layer_probes(
    layers: Mapping[str, Features], *, protocols: Sequence[str] = LAYER_PROTOCOLS, seed: int = 0
) -> dict[str, dict[str, dict[str, Any]]]:
    """The results of each layer, `{"layer1": {"linear": {"accuracy": 0.951, ...}, "knn": {...}}, ...}`. Chance level: 1/K.

    To choose a layer, evaluate on a part of the training images that is held out (`ssl_jax.data.split_training`).

    Args:
      layers: features of each layer by name, as `compute_layers` returns them for a `layer_extractor`.
      protocols: names of the protocols, keys of `ssl_jax.evaluate.protocols.PROTOCOLS`.
      seed: as in `evaluate_features`.

    Example:
      >>> rows, labels = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0), np.repeat(np.arange(2), 20)
      >>> layers = {"noise": Features(0 * rows, labels, 0 * rows, labels, 2), "last": Features(rows, labels, rows, labels, 2)}
      >>> print({name: found["knn"]["accuracy"] for name, found in layer_probes(layers, protocols=["knn"]).items()})
      {'noise': 0.5, 'last': 1.0}
    """
    check_type("layer_probes", Mapping, layers=layers)
    return {name: evaluate_features(features, protocols=protocols, seed=seed) for name, features in layers.items()}
