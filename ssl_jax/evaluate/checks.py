"""Checks of arguments that all evaluations of features share. A label of -1 means unlabelled, as everywhere in the project."""

from collections.abc import Sequence

import jax
import numpy as np

from ssl_jax.ops.checks import check_arrays, check_count
from ssl_jax.ops.normalize import Rows

READ_AT_ONCE = 2**24  # Values.


def check_features(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    *test_labels: Rows,
    num_classes: int,
    parts: tuple[str, str] = ("train", "test"),
) -> None:
    """Raises a `ValueError`, one sentence, about the first invalid argument. Under jit only shapes are checked.

    test_labels: none or one array. parts: how the arguments of the two parts begin.
    """
    arrays = (train_features, train_labels, test_features, *test_labels)
    names = (f"{part}_{kind}" for part in parts for kind in ("features", "labels"))
    check_arrays("evaluation", **dict(zip(names, arrays, strict=False)))
    check_count("evaluation", num_classes=num_classes)
    train, test = np.shape(train_features), np.shape(test_features)
    if len(train) != 2 or len(test) != 2 or train[1] != test[1] or 0 in train + test:
        raise ValueError(
            f"features must be [N, D] and [M, D], not empty, got {train} for training and {test} for test."
        )
    _check_part("training", train_features, train_labels, num_classes)
    _check_part("test", test_features, test_labels[0] if test_labels else None, num_classes)


def check_names(what: str, names: Sequence[str]) -> None:
    """A sequence of names, which a single string is not."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{what} must be a sequence of names, got {names!r}.")


def labelled_rows(what: str, *arrays: Rows, labels: Rows) -> tuple[Rows, ...]:
    """The rows of the arrays that have a label, and these labels. Labels are concrete: not for use under jit.

    Raises:
      ValueError: no row has a label. `what` names the part in the sentence: "training" or "test".
    """
    has_label = np.asarray(jax.device_get(labels)) >= 0
    if has_label.all():
        return *arrays, labels
    if not has_label.any():
        raise ValueError(f"{what} labels are all -1, which is no label: give at least one example with a label.")
    return tuple(jax.device_get(array)[has_label] for array in (*arrays, labels))


def _check_part(what: str, features: Rows, labels: Rows | None, num_classes: int) -> None:
    if is_concrete(features) and not _is_finite(features):
        raise ValueError(f"{what} features must be finite, got NaN or infinity: check the weights and the images.")
    if labels is None:
        return
    if np.shape(labels) != np.shape(features)[:1]:
        raise ValueError(
            f"{what} labels must be one for each feature, got {np.shape(labels)} for {np.shape(features)}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} labels must be integers, got {labels.dtype}.")
    if is_concrete(labels):
        host = jax.device_get(labels)
        if host.min() < -1 or host.max() >= num_classes:
            raise ValueError(
                f"{what} labels must be from 0 to {num_classes - 1}, or -1 for no label, got {host.min()} to {host.max()}: "
                "raise num_classes, or set missing labels to -1."
            )


def _is_finite(features: Rows) -> bool:
    """Whether all values are finite, also in float32, the type of all evaluations. Features of a file are read in parts."""
    host = jax.device_get(features)
    size = max(1, READ_AT_ONCE // host.shape[1])
    with np.errstate(over="ignore"):
        parts = (np.asarray(host[first : first + size], np.float32) for first in range(0, len(host), size))
        return all(bool(np.isfinite(part).all()) for part in parts)


def is_concrete(array: Rows) -> bool:
    """False for arrays that jit traces, which have no values yet."""
    return not isinstance(array, jax.core.Tracer)
