"""What each protocol of `protocols` runs: `(features, seed) -> fields`, or `(features, seed, network) -> fields`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
NONE_TO_CHOOSE = "no class has two labelled training images, of which one chooses the strength of the L2 penalty"
MOST_RANKED = 25_600  # RankMe's number of images.


def run_knn(features: Features, seed: int) -> dict[str, Any]:
    """Accuracy of k-NN, of which nothing is chosen."""
    *arrays, num_classes = features
    accuracy = float(jax.device_get(knn_accuracy(*arrays, num_classes=num_classes)))
    return {"accuracy": accuracy, "interval": list(wilson_interval(accuracy, int((features.test_labels >= 0).sum())))}


def run_linear(features: Features, seed: int) -> dict[str, Any]:
    """No accuracy where no class has two training images: one of them chooses the L2 strength."""
    *arrays, num_classes = features
    if _examples(features).max() < 2:
        return {"accuracy": None, "interval": None, "reason": NONE_TO_CHOOSE}
    probe = linear_probe(*arrays, num_classes=num_classes, seed=seed)
    return {"accuracy": probe.accuracy, "interval": list(probe.interval), "chosen": {"strength": probe.strength}}


def run_linear_sgd(features: Features, seed: int, network: Network) -> dict[str, Any]:
    probe = linear_sgd(network, epochs=network.epochs, augment=network.augment, seed=seed)
    chosen = {"learning_rate": probe.learning_rate}
    return {"accuracy": probe.accuracy, "interval": list(probe.interval), "epochs": network.epochs, "chosen": chosen}


def run_retrieval(features: Features, seed: int) -> dict[str, Any]:
    """No figures where no test image's class has a training image."""
    *arrays, num_classes = features
    labelled = features.train_labels[features.train_labels >= 0]
    if not np.isin(features.test_labels[features.test_labels >= 0], labelled).any():
        return {"average_precision": None, "interval": None, "reason": "no training image is of a test image's class"}
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


def run_clustering(features: Features, seed: int) -> dict[str, Any]:
    """No figures with fewer training images than classes."""
    *arrays, num_classes = features
    if len(features.train) < num_classes:
        reason = f"there are fewer training images, {len(features.train)}, than classes, {num_classes}"
        return {"accuracy": None, "interval": None, "reason": reason}
    found = cluster_scores(*arrays, num_classes=num_classes, seed=seed)
    scores = {"mutual_information": found.mutual_information, "rand_index": found.rand_index}
    return {"accuracy": found.accuracy, "interval": list(found.interval)} | scores


def run_robustness(features: Features, seed: int, network: Network) -> dict[str, Any]:
    if _examples(features).max() < 2:
        return {"accuracy": None, "interval": None, "reason": NONE_TO_CHOOSE}
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


def run_segmentation(features: Features, seed: int, network: Network) -> dict[str, Any]:
    arguments, names = _patches(network)
    found = segmentation_probe(**arguments, seed=seed)
    ious = {name: None if np.isnan(iou) else iou for name, iou in zip(names, found.of_classes, strict=True)}
    figures = {"mean_iou": found.mean_iou, "interval": list(found.interval), "chance": found.chance}
    return figures | {"classes": ious, "pixel_accuracy": found.accuracy, "chosen": {"strength": found.strength}}


def run_patch_knn(features: Features, seed: int, network: Network) -> dict[str, Any]:
    arguments, _ = _patches(network)
    found = patch_knn(**arguments, seed=seed)
    figures = {"accuracy": found.accuracy, "interval": list(found.interval), "chance": found.chance}
    return figures | {"mean_iou": found.mean_iou}


def run_few_labels(features: Features, seed: int) -> dict[str, Any]:
    """The mean accuracy over five draws; none where a class has fewer than 10 training images."""
    *arrays, num_classes = features
    fields = {"accuracy": None, "deviation": None, "labels_per_class": PER_CLASS}
    if (fewest := _examples(features).min()) < PER_CLASS:
        return fields | {"reason": f"a class has {fewest} labelled training images, and {PER_CLASS} of each are drawn"}
    probe = few_label_probe(*arrays, num_classes=num_classes, per_class=PER_CLASS, seed=seed)
    return fields | {"accuracy": probe.accuracy, "deviation": probe.deviation}


def run_diagnostics(features: Features, seed: int, network: Network) -> dict[str, Any]:
    rows = jnp.asarray(features.train[:: -(-len(features.train) // MOST_RANKED)])
    few = rows[:: -(-len(rows) // MOST_EXAMPLES)]
    gauges = {**diagnostics(rows), "eigenvalue_decay": eigenvalue_decay(rows), "uniformity": uniformity(few)}
    found = {name: float(value) for name, value in gauges.items()}
    return found | view_diagnostics(network, seed=seed)


def _examples(features: Features) -> np.ndarray:
    """Numbers of training images of the classes that occur."""
    labels = features.train_labels
    return np.unique(labels[labels >= 0], return_counts=True)[1]
