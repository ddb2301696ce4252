"""Classifiers of a run, saved beside it: the linear probe of its features, and the network that `ssl-jax finetune` made.

N: images; D: size of a feature; K: classes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ssl_jax.commands.loading import TrainedRun
from ssl_jax.data import Data, Source, subsample
from ssl_jax.data.source import labels_of
from ssl_jax.data.subsets import labelled
from ssl_jax.errors import UsageError, usage_errors, writing
from ssl_jax.evaluate.classifier_training import Classifier as FineTunedNetwork
from ssl_jax.evaluate.features import MOST_TRAINING_IMAGES
from ssl_jax.evaluate.fine_tune import FineTuned
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.files import printable
from ssl_jax.interop import read_arrays, write_arrays
from ssl_jax.networks import linear_head
from ssl_jax.runs import CLASSIFIER, FINE_TUNED
from ssl_jax.train.integrity import by_name
from ssl_jax.train.log import log_line

LARGEST = 2**34  # Bytes of a fine-tuned network.
REMEDY = "free disk space, or permit access to the folder of the run"


class Classifier(NamedTuple):
    """probabilities: images, as `TrainedRun.features` takes them -> `[N, K]`. about: data, accuracy and the like."""

    classes: Sequence[str]
    probabilities: Callable[[Any], NDArray[np.float32]]
    about: dict[str, Any]


def fitted_probe(run: Path, trained: TrainedRun, data: Data, *, seed: int = 0) -> Classifier:
    """The linear probe of `ssl-jax evaluate`, fitted on the labelled training images, saved as `CLASSIFIER`.

    Where the run cannot be written, a line says so.

    Raises:
      UsageError: no training image has a label, or no class has two.
    """
    train = subsample(labelled(data.train), MOST_TRAINING_IMAGES)
    if not data.classes or not _has_labels(train):
        raise UsageError(f"data: {data.name} has no labelled training images: name data that have, with --data.")
    features, _, labels = trained.features_in(train)
    tested = data.test is not None and _has_labels(data.test)
    test, _, answers = trained.features_in(data.test) if tested and data.test is not None else (features, None, labels)
    with usage_errors({"data": data.name}):
        probe = linear_probe(features, labels, test, answers, num_classes=len(data.classes), seed=seed)
    accuracy = {"accuracy": probe.accuracy, "interval": list(probe.interval)} if tested else {}
    about = {
        "data": data.name,
        "classes": list(data.classes),
        "steps": int(trained.state.step),
        "images": len(features),
    }
    about |= accuracy | {"strength": probe.strength}
    try:
        write_arrays(run / CLASSIFIER, {"weights": probe.weights, "bias": probe.bias}, about)
    except OSError as fault:
        log_line(f"{printable(str(run))} cannot be written ({fault.strerror}): the probe is not kept")
    return _linear(trained, probe.weights, probe.bias, about)


def saved_probe(run: Path, trained: TrainedRun) -> Classifier | None:
    """The linear probe in a run's folder; None where there is none, or the run has trained on since."""
    if not (run / CLASSIFIER).exists():
        return None
    arrays, about = read_arrays(run / CLASSIFIER, at_most=LARGEST)
    if about.get("steps") != int(trained.state.step):
        return None
    shapes = {"weights": (trained.layers["features"], len(_classes(about))), "bias": (len(_classes(about)),)}
    _check(run / CLASSIFIER, arrays, shapes)
    return _linear(trained, arrays["weights"], arrays["bias"], about)


def save_fine_tuned(run: Path, found: FineTuned, data: Data, *, steps: int) -> None:
    """Writes the network that was fine-tuned, encoder and classifier, as `FINE_TUNED`."""
    about = {"data": data.name, "classes": list(data.classes), "steps": steps, "accuracy": found.accuracy}
    about |= {"interval": list(found.interval), "learning_rate": found.learning_rate, "epochs": found.epochs}
    arrays = jax.device_get(by_name({"params": found.params, "state": found.state}))
    with writing("run", run, REMEDY):
        write_arrays(run / FINE_TUNED, arrays, about)


def saved_fine_tuned(run: Path, trained: TrainedRun) -> Classifier | None:
    """The fine-tuned network in a run's folder; None where there is none."""
    if not (run / FINE_TUNED).exists():
        return None
    arrays, about = read_arrays(run / FINE_TUNED, at_most=LARGEST)
    backbone = trained.recipe.method.backbone(trained.state.params, trained.state.method_state)
    assert backbone is not None  # It has been fine-tuned.
    net = backbone.net
    method = FineTunedNetwork(net, linear_head(inputs=net.width, outputs=len(_classes(about))))
    params, state = jax.eval_shape(method.init, jax.random.key(0))
    like = {"params": params, "state": state}
    _check(run / FINE_TUNED, arrays, {name: leaf.shape for name, leaf in by_name(like).items()})
    tree = jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in by_name(like)])

    def logits(params: Any, state: Any, images: Any) -> Any:
        return method.logits(params, state, jax.vmap(trained.recipe.prepare)(images))

    extract = partial(jax.jit(logits), *trained.on_devices((tree["params"], tree["state"])))
    return Classifier(_classes(about), lambda images: _softmax(trained.outputs(extract, images)), about)


def _linear(trained: TrainedRun, weights: NDArray[Any], bias: NDArray[Any], about: dict[str, Any]) -> Classifier:
    return Classifier(_classes(about), lambda images: _softmax(trained.features(images) @ weights + bias), about)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _has_labels(source: Source) -> bool:
    labels = labels_of(source)
    return bool(source.classes) and (labels is None or bool((labels >= 0).any()))


def _classes(about: dict[str, Any]) -> list[str]:
    classes = about.get("classes")
    return [str(name) for name in classes] if isinstance(classes, list) else []


def _check(file: Path, arrays: dict[str, NDArray[Any]], shapes: dict[str, tuple[int, ...]]) -> None:
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise UsageError(f"run: {file} is not of this run's network: remove it, it is then made again.")
