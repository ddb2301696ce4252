"""The protocols that evaluate frozen features: k-NN, linear probe, few labels.

A new protocol is one entry of `PROTOCOLS`, which results.json, the report and the digest read.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.errors import UsageError, pick
from ssl_jax.evaluate.clustering import cluster_scores
from ssl_jax.evaluate.diagnostics import diagnostics, eigenvalue_decay, uniformity
from ssl_jax.evaluate.features import Features, Network
from ssl_jax.evaluate.few_labels import few_label_probe
from ssl_jax.evaluate.gauges import MOST_EXAMPLES
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.evaluate.invariance import view_diagnostics
from ssl_jax.evaluate.knn import knn_accuracy
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.evaluate.linear_sgd import linear_sgd
from ssl_jax.evaluate.patches import BACKGROUND, most_images, read_patches
from ssl_jax.evaluate.retrieval import retrieval
from ssl_jax.evaluate.robustness import robustness
from ssl_jax.evaluate.segmentation import patch_knn, segmentation_probe

PER_CLASS = 10
MOST_RANKED = 25_600  # RankMe's number of images.


FINE_TUNED = "fine_tune"  # Not among the protocols below: `ssl-jax finetune` runs it, since it has settings of its own.


class Words(NamedTuple):
    """How the report describes a protocol.

    title, meaning: its name, and a description in one line.
    sentence: sentence about the accuracy, with {method} and {accuracy} in it; a general one where it is empty.
    """

    title: str
    meaning: str = ""
    sentence: str = ""


class Protocol(NamedTuple):
    """One way to evaluate frozen features.

    run: `(features, seed) -> fields`, for features with a labelled training image and a labelled test image. "accuracy" is in
      [0, 1], chance level 1/K, and None where these labels do not suffice; beside it "interval", 95 % as [low, high], or
      "deviation", the standard deviation over draws of labels; "chosen", what training images decided, by name; other
      fields are recorded as they are.
    words: description for the report.
    optional: whether it runs on request only.
    needs_network: whether `run` is `(features, seed, network) -> fields`, since it encodes further images.
    needs_labels: whether it is left out where no training image or no test image has a label.
    figures: fields that are numbers in units of their own, for the digest and the report; empty where the figure is "accuracy".
    needs_masks: whether it also needs the network's `maps`, and data with masks.
    """

    run: Callable[..., dict[str, Any]]
    words: Words
    optional: bool = False
    needs_network: bool = False
    needs_labels: bool = True
    figures: tuple[str, ...] = ()
    needs_masks: bool = False


def evaluate_features(
    features: Features, *, protocols: Sequence[str] = (), network: Network | None = None, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """The fields of each protocol, `{"linear": {"accuracy": 0.957, "interval": [0.943, 0.968]}, ...}`.

    Where no training image or no test image has a label, those of the protocols that need none.

    Args:
      features: of the training and the test images; images with the label -1, unlabelled ones, are left out.
      protocols: names, keys of `PROTOCOLS`; those that are not optional when empty.
      network: what computed the features; only some optional protocols need it.
      seed: seed of the draws of few labels and of the images that choose the linear probe's L2 strength.

    Raises:
      UsageError: an unknown protocol, or one that needs the network, which is not given.

    Example:
      >>> rows, labels = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0), np.repeat(np.arange(2), 20)
      >>> results = evaluate_features(Features(rows, labels, rows, labels, 2))
      >>> print({name: fields["accuracy"] for name, fields in results.items()})
      {'knn': 1.0, 'linear': 1.0, 'few_labels': 1.0}
    """
    chosen = {name: PROTOCOLS[name] for name in chosen_protocols(protocols)}
    for name, protocol in chosen.items():
        if protocol.needs_network and network is None:
            raise UsageError(f"protocols: {name} encodes images, which these features cannot: leave it out for layers.")
        if protocol.needs_masks and (network is None or network.maps is None):
            raise UsageError(f"protocols: {name} needs maps of features: give Network its maps, see map_extractor.")
    if without_labels(features):
        chosen = {name: protocol for name, protocol in chosen.items() if not protocol.needs_labels}
    return {
        name: protocol.run(features, seed, network) if protocol.needs_network else protocol.run(features, seed)
        for name, protocol in chosen.items()
    }


def chosen_protocols(names: Sequence[str] = ()) -> list[str]:
    """These protocols in the order of `PROTOCOLS`, those that are not optional when empty."""
    wanted = {pick("protocol", name, PROTOCOLS) for name in names}
    return [name for name, protocol in PROTOCOLS.items() if (name in wanted if wanted else not protocol.optional)]


def without_labels(features: Features) -> list[str]:
    """The parts in which no image has a label: "training", "test", both or neither."""
    parts = {"training": features.train_labels, "test": features.test_labels}
    return [part for part, labels in parts.items() if not (labels >= 0).any()]


def _knn(features: Features, seed: int) -> dict[str, Any]:
    *arrays, num_classes = features
    accuracy = float(jax.device_get(knn_accuracy(*arrays, num_classes=num_classes)))
    return {"accuracy": accuracy, "interval": list(wilson_interval(accuracy, int((features.test_labels >= 0).sum())))}


def _linear(features: Features, seed: int) -> dict[str, Any]:
    """No accuracy where no class has two training images: one of them chooses the L2 strength."""
    *arrays, num_classes = features
    if _examples(features).max() < 2:
        return {"accuracy": None, "interval": None}
    probe = linear_probe(*arrays, num_classes=num_classes, seed=seed)
    return {"accuracy": probe.accuracy, "interval": list(probe.interval), "chosen": {"strength": probe.strength}}


def _linear_sgd(features: Features, seed: int, network: Network) -> dict[str, Any]:
    probe = linear_sgd(network, epochs=network.epochs, augment=network.augment, seed=seed)
    chosen = {"learning_rate": probe.learning_rate}
    return {"accuracy": probe.accuracy, "interval": list(probe.interval), "epochs": network.epochs, "chosen": chosen}


def _retrieval(features: Features, seed: int) -> dict[str, Any]:
    """No figures where no test image's class has a training image."""
    *arrays, num_classes = features
    labelled = features.train_labels[features.train_labels >= 0]
    if not np.isin(features.test_labels[features.test_labels >= 0], labelled).any():
        return {"average_precision": None, "interval": None}
    found = retrieval(*arrays, num_classes=num_classes)
    recall = {
        f"recall_{rank}": {
            "share": share,
            "interval": list(found.recall_intervals[rank]),
            "chance": found.chance_recall[rank],
        }
        for rank, share in found.recall.items()
    }
    figures = {"average_precision": found.average_precision, "interval": list(found.interval), "chance": found.chance}
    return figures | recall


def _clustering(features: Features, seed: int) -> dict[str, Any]:
    """No figures with fewer training images than classes."""
    *arrays, num_classes = features
    if len(features.train) < num_classes:
        return {"accuracy": None, "interval": None}
    found = cluster_scores(*arrays, num_classes=num_classes, seed=seed)
    scores = {"mutual_information": found.mutual_information, "rand_index": found.rand_index}
    return {"accuracy": found.accuracy, "interval": list(found.interval)} | scores


def _robustness(features: Features, seed: int, network: Network) -> dict[str, Any]:
    if _examples(features).max() < 2:
        return {"accuracy": None, "interval": None}
    found = robustness(network, features, seed=seed)
    figures = {"clean": found.clean, "corruptions": found.corruptions, "chosen": {"strength": found.strength}}
    return {"accuracy": found.accuracy, "interval": list(found.interval)} | figures


def _patches(network: Network) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments that both protocols about patches share, and the names of the classes."""
    assert network.data.test is not None
    train = read_patches(network, network.data.train, most=most_images(network))
    test = read_patches(network, network.data.test)
    names = (BACKGROUND, *network.data.classes)
    maps = {"train_maps": train.maps, "train_masks": train.masks, "test_maps": test.maps, "test_masks": test.masks}
    return maps | {"num_classes": len(names)}, names


def _segmentation(features: Features, seed: int, network: Network) -> dict[str, Any]:
    arguments, names = _patches(network)
    found = segmentation_probe(**arguments, seed=seed)
    ious = {name: None if np.isnan(iou) else iou for name, iou in zip(names, found.of_classes, strict=True)}
    figures = {"mean_iou": found.mean_iou, "interval": list(found.interval), "chance": found.chance}
    return figures | {"classes": ious, "pixel_accuracy": found.accuracy, "chosen": {"strength": found.strength}}


def _patch_knn(features: Features, seed: int, network: Network) -> dict[str, Any]:
    arguments, _ = _patches(network)
    found = patch_knn(**arguments, seed=seed)
    figures = {"accuracy": found.accuracy, "interval": list(found.interval), "chance": found.chance}
    return figures | {"mean_iou": found.mean_iou}


def _few_labels(features: Features, seed: int) -> dict[str, Any]:
    """The mean accuracy over five draws; none where a class has fewer than 10 training images."""
    *arrays, num_classes = features
    fields = {"accuracy": None, "deviation": None, "labels_per_class": PER_CLASS}
    if _examples(features).min() < PER_CLASS:
        return fields
    probe = few_label_probe(*arrays, num_classes=num_classes, per_class=PER_CLASS, seed=seed)
    return fields | {"accuracy": probe.accuracy, "deviation": probe.deviation}


def _diagnostics(features: Features, seed: int, network: Network) -> dict[str, Any]:
    rows = jnp.asarray(features.train[:: -(-len(features.train) // MOST_RANKED)])
    few = rows[:: -(-len(rows) // MOST_EXAMPLES)]
    gauges = {**diagnostics(rows), "eigenvalue_decay": eigenvalue_decay(rows), "uniformity": uniformity(few)}
    found = {name: float(value) for name, value in gauges.items()}
    return found | view_diagnostics(network, seed=seed)


def _examples(features: Features) -> np.ndarray:
    """Numbers of training images of the classes that occur."""
    labels = features.train_labels
    return np.unique(labels[labels >= 0], return_counts=True)[1]


PROTOCOLS = {
    "knn": Protocol(
        _knn,
        Words(
            "Nearest neighbours",
            "k-NN: training images with similar features vote",
            "k-NN on {method} features classifies {accuracy} of the test images correctly",
        ),
    ),
    "linear": Protocol(
        _linear,
        Words(
            "Linear probe",
            "a linear classifier on frozen features, all labels",
            "A linear probe on {method} features classifies {accuracy} of the test images correctly",
        ),
    ),
    "few_labels": Protocol(
        _few_labels,
        Words(
            "Few-label probe",
            f"the same with {PER_CLASS} labels a class",
            f"With {PER_CLASS} labels a class, a linear probe classifies {{accuracy}} correctly",
        ),
    ),
    "linear_sgd": Protocol(
        _linear_sgd,
        Words(
            "Linear probe by SGD",
            "as papers report it: augmented images, a sweep of learning rates",
            "Trained by SGD on augmented images, a linear probe classifies {accuracy} correctly",
        ),
        optional=True,
        needs_network=True,
    ),
    "retrieval": Protocol(_retrieval, Words("Retrieval", "training images of the query's class first"), optional=True),
    "clustering": Protocol(
        _clustering,
        Words(
            "Clusters",
            "k-means of the features, clusters matched with classes on training labels",
            "Clusters of {method} features match the classes of {accuracy} of the test images",
        ),
        optional=True,
    ),
    "robustness": Protocol(
        _robustness,
        Words(
            "Corrupted images",
            "the linear probe, mean over six corruptions at five strengths",
            "On corrupted images, a linear probe classifies {accuracy} correctly",
        ),
        optional=True,
        needs_network=True,
    ),
    "diagnostics": Protocol(
        _diagnostics,
        Words("Diagnostics", "how the features are spread, and how augmentations move them; no labels"),
        optional=True,
        needs_network=True,
        needs_labels=False,
        figures=("std", "effective_rank", "eigenvalue_decay", "uniformity", "lidar"),
    ),
    "patch_knn": Protocol(
        _patch_knn,
        Words(
            "Nearest neighbours of patches",
            "k-NN: patches of training images with similar features vote on what a patch shows",
            "k-NN on {method} features of patches classifies {accuracy} of the test patches correctly",
        ),
        optional=True,
        needs_network=True,
        needs_masks=True,
    ),
    "segmentation": Protocol(
        _segmentation,
        Words("Segmentation", "a linear classifier of patches, mean intersection over union with the background"),
        optional=True,
        needs_network=True,
        needs_masks=True,
    ),
}
