"""The choice of the image and the label of a tfds data set that may have several.

The order of the features of a data set differs between processes, so there is no "first" one: the feature is the one in
the name of the data set, else the one that the data set declares as supervised, else the only one of its kind.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ssl_jax.errors import UsageError

NO_LABEL = "none"


def pictures(info: tfds.core.DatasetInfo) -> list[str]:
    """Names of the features that are images of integers, without label maps; sorted."""
    return sorted(key for key, feature in info.features.items() if _is_picture(feature))


def videos(info: tfds.core.DatasetInfo) -> list[str]:
    """Names of the features that are sequences of images, as tfds's `Video` is; sorted."""
    return sorted(key for key, feature in info.features.items() if _is_picture(getattr(feature, "feature", None)))


def choose_picture(info: tfds.core.DatasetInfo, candidates: Sequence[str], *, named: str | None) -> str:
    """The feature among these to train on.

    Raises:
      UsageError: `named` is not among them, or several remain and none is named.
    """
    if named and named not in candidates:
        raise UsageError(
            f"data: {info.full_name} has no image {named!r}: choose image={' or image='.join(candidates)}."
        )
    found = named or _supervised(info, 0, candidates) or _only(candidates)
    if not found:
        raise UsageError(_several(info, "images", "image", candidates))
    return found


def choose_label(info: tfds.core.DatasetInfo, *, named: str | None) -> str | None:
    """The feature that is the label: a `ClassLabel`, or an integer; None where there is none, or `named` is "none".

    An integer is a label where it is named, supervised or called "label"; others are reported on standard error.

    Raises:
      UsageError: `named` is neither of these, or there are several class labels and none is named.
    """
    classes = sorted(key for key, feature in info.features.items() if isinstance(feature, tfds.features.ClassLabel))
    integers = sorted(key for key, feature in info.features.items() if key not in classes and _is_integer(feature))
    if named and named not in (NO_LABEL, *classes, *integers):
        choices = " or label=".join([*classes, *integers, NO_LABEL])
        raise UsageError(f"data: {info.full_name} has no label {named!r}: choose label={choices}.")
    found = named or _supervised(info, 1, [*classes, *integers]) or _only(classes)
    if not found and classes:
        raise UsageError(_several(info, "labels", "label", classes))
    if not found and "label" in integers:
        found = "label"
    if not found and integers:
        print(
            f"data: {info.full_name} has no class label, and its integers {', '.join(integers)} are not used: add "
            f",label={integers[0]} to its name to use that one.",
            file=sys.stderr,
        )
    others = sorted(set(info.features) - set(pictures(info)) - set(videos(info)))
    if not found and not integers and others:
        print(
            f"data: {info.full_name} has no class label and no integer, and its {', '.join(others)} cannot serve as labels.",
            file=sys.stderr,
        )
    return None if found == NO_LABEL else found


def _supervised(info: tfds.core.DatasetInfo, position: int, candidates: Sequence[str]) -> str | None:
    keys = info.supervised_keys or ()
    key = keys[position] if len(keys) > position else None
    return key if isinstance(key, str) and key in candidates else None


def _only(candidates: Sequence[str]) -> str | None:
    return candidates[0] if len(candidates) == 1 else None


def _several(info: tfds.core.DatasetInfo, what: str, option: str, candidates: Sequence[str]) -> str:
    return (
        f"data: {info.full_name} has several {what}, {', '.join(candidates)}: add one of them to its name, such as "
        f"{info.name},{option}={candidates[0]}."
    )


def _is_picture(feature: Any) -> bool:
    kind = tfds.features.Image
    return (
        isinstance(feature, kind)
        and not isinstance(feature, tfds.features.LabeledImage)
        and feature.np_dtype != np.float32
    )


def _is_integer(feature: Any) -> bool:
    whole = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
    return whole and np.dtype(feature.np_dtype).kind in "iub"
