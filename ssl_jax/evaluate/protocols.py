"""The protocols that evaluate frozen features: k-NN, linear probe, few labels.

A new protocol is one entry of `PROTOCOLS`, which results.json, the report and the digest read.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ssl_jax.errors import UsageError, pick
from ssl_jax.evaluate.checks import check_names
from ssl_jax.evaluate.features import Features, Network
from ssl_jax.evaluate.protocol_runs import (
    PER_CLASS,
    run_clustering,
    run_diagnostics,
    run_few_labels,
    run_knn,
    run_linear,
    run_linear_sgd,
    run_patch_knn,
    run_retrieval,
    run_robustness,
    run_segmentation,
)
from ssl_jax.ops.checks import check_count, check_type, given

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
      [0, 1], chance level 1/K, and None where these labels do not suffice, with the "reason"; beside it "interval", 95 % as
      [low, high], or "deviation", the standard deviation over draws of labels; "chosen", what training images decided, by
      name; other fields are recorded as they are.
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
    check_type("evaluate_features", Features, features=features)
    check_type("evaluate_features", Network, **given(network=network))
    check_count("evaluate_features", least=0, seed=seed)
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
    check_names("protocols", names)
    wanted = {pick("protocol", name, PROTOCOLS) for name in names}
    return [name for name, protocol in PROTOCOLS.items() if (name in wanted if wanted else not protocol.optional)]


def without_labels(features: Features) -> list[str]:
    """The parts in which no image has a label: "training", "test", both or neither."""
    parts = {"training": features.train_labels, "test": features.test_labels}
    return [part for part, labels in parts.items() if not (labels >= 0).any()]


PROTOCOLS = {
    "knn": Protocol(
        run_knn,
        Words(
            "Nearest neighbours",
            "k-NN: training images with similar features vote",
            "k-NN on features of {method} classifies {accuracy} of the test images correctly",
        ),
    ),
    "linear": Protocol(
        run_linear,
        Words(
            "Linear probe",
            "a linear classifier on frozen features, all labels",
            "A linear probe on features of {method} classifies {accuracy} of the test images correctly",
        ),
    ),
    "few_labels": Protocol(
        run_few_labels,
        Words(
            "Few-label probe",
            f"the same with {PER_CLASS} labels per class",
            f"With {PER_CLASS} labels per class, a linear probe classifies {{accuracy}} correctly",
        ),
    ),
    "linear_sgd": Protocol(
        run_linear_sgd,
        Words(
            "Linear probe by SGD",
            "as papers report it: augmented images, a sweep of learning rates",
            "Trained by SGD on augmented images, a linear probe classifies {accuracy} correctly",
        ),
        optional=True,
        needs_network=True,
    ),
    "retrieval": Protocol(
        run_retrieval, Words("Retrieval", "training images of the query's class first"), optional=True
    ),
    "clustering": Protocol(
        run_clustering,
        Words(
            "Clusters",
            "k-means of the features, clusters matched with classes on training labels",
            "Clusters of features of {method} match the classes of {accuracy} of the test images",
        ),
        optional=True,
    ),
    "robustness": Protocol(
        run_robustness,
        Words(
            "Corrupted images",
            "the linear probe, mean over six corruptions at five strengths",
            "On corrupted images, a linear probe classifies {accuracy} correctly",
        ),
        optional=True,
        needs_network=True,
    ),
    "diagnostics": Protocol(
        run_diagnostics,
        Words("Diagnostics", "how the features are spread, and how augmentations move them; no labels"),
        optional=True,
        needs_network=True,
        needs_labels=False,
        figures=("std", "effective_rank", "eigenvalue_decay", "uniformity", "lidar"),
    ),
    "patch_knn": Protocol(
        run_patch_knn,
        Words(
            "Nearest neighbours of patches",
            "k-NN: patches of training images with similar features vote on what a patch shows",
            "k-NN on patch features of {method} classifies {accuracy} of the test patches correctly",
        ),
        optional=True,
        needs_network=True,
        needs_masks=True,
    ),
    "segmentation": Protocol(
        run_segmentation,
        Words("Segmentation", "a linear classifier of patches, mean intersection over union with the background"),
        optional=True,
        needs_network=True,
        needs_masks=True,
    ),
}
