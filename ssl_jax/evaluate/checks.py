"""What every judge of features asks of its arguments."""

import jax
import numpy as np

from ssl_jax.ops.normalize import Rows


def check_features(
    train_features: Rows,
    train_labels: Rows,
    test_features: Rows,
    test_labels: Rows | None = None,
    *,
    num_classes: int,
) -> None:
    """Raises a `ValueError`, one sentence, about the first thing that does not fit. Under jit only shapes are seen."""
    train, test = np.shape(train_features), np.shape(test_features)
    if len(train) != 2 or len(test) != 2 or train[1] != test[1] or 0 in train + test:
        raise ValueError(
            f"features must be [N, D] and [M, D], not empty, got {train} for training and {test} for test."
        )
    _check_part("training", train_features, train_labels, num_classes)
    _check_part("test", test_features, test_labels, num_classes)


def _check_part(what: str, features: Rows, labels: Rows | None, num_classes: int) -> None:
    if _known(features) and not np.isfinite(jax.device_get(features)).all():
        raise ValueError(f"{what} features must be finite, got NaN or infinity: look at the weights, or at the images.")
    if labels is None:
        return
    if np.shape(labels) != np.shape(features)[:1]:
        raise ValueError(f"{what} labels must be one a feature, got {np.shape(labels)} for {np.shape(features)}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} labels must be integers, got {labels.dtype}.")
    if _known(labels):
        host = jax.device_get(labels)
        if host.min() < 0 or host.max() >= num_classes:
            raise ValueError(
                f"{what} labels must be from 0 to {num_classes - 1}, got {host.min()} to {host.max()}: "
                "leave out examples without a label, or raise num_classes."
            )


def _known(array: Rows) -> bool:
    return not isinstance(array, jax.core.Tracer)
