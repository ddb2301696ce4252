"""Ranges of numeric settings, each stated once by name: options of recipes and commands, and fields of methods.

An option and a field of one name mean the same. What one method alone has is annotated with its range instead, as
`Distortion = Annotated[float, Range(1e-3, 1e3)]`, in the file of the method. Below every floor: imports only
`ssl_jax.errors`.
"""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

from ssl_jax.errors import UsageError


class Range(NamedTuple):
    """A closed interval; NaN and infinity lie outside."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in self)
        return f"{low} to {high}"


COUNT = Range(1, 2**31 - 1)  # Counts and steps are int32 on the devices.
COUNT_OR_NONE = Range(0, 2**31 - 1)
FEW = Range(1, 64)  # Parts of a network or of a step, each compiled by itself.
PIXELS = Range(1, 8192)
SHIFT = Range(0, 8192)
SHARE = Range(0.0, 1.0)
WEIGHT = Range(0.0, 1e6)
TEMPERATURE = Range(
    1e-3, 1e3
)  # For similarities in [-1, 1]: below, a softmax has one term; above, all terms are equal.

RANGES = {
    # Training.
    "epochs": Range(1e-6, 1e6),
    "warmup_epochs": Range(0.0, 1e6),
    "batch_size": COUNT,
    "learning_rate": Range(1e-12, 1e4),
    "bias_learning_rate": Range(0.0, 1e4),
    "weight_decay": Range(0.0, 1e2),
    "clip": Range(1e-6, 1e6),
    "steps": COUNT,
    "warmup": COUNT_OR_NONE,
    # Images and views.
    "image_size": PIXELS,
    "stored_size": PIXELS,
    "trained_size": PIXELS,
    "small_size": PIXELS,
    "large_size": PIXELS,
    "tile_size": PIXELS,
    "patch_size": PIXELS,
    "sub_crop": PIXELS,
    "stride": PIXELS,
    "hole": PIXELS,
    "gap": SHIFT,
    "jitter": SHIFT,
    "small_views": Range(0, 64),
    "holes": FEW,
    "blocks": FEW,
    "prediction_steps": FEW,
    "first_row": FEW,
    "cells": FEW,
    "large": FEW,
    "mask_ratio": Range(0.01, 0.99),
    "orders": Range(2, 10_000),
    "reach": Range(1, 1024),
    "margin": Range(1, 1024),
    "in_order": SHARE,
    # Networks.
    "head_layers": FEW,
    "heads": FEW,
    "stem_padding": Range(0, 64),
    "drop_path": Range(0.0, 0.999),
    "norm_groups": Range(1, 2**16),
    "registers": Range(0, 64),
    # Similarities, memories and teachers.
    "temperature": TEMPERATURE,
    "student_temperature": TEMPERATURE,
    "teacher_temperature": TEMPERATURE,
    "warmup_temperature": TEMPERATURE,
    "epsilon": TEMPERATURE,
    "sharpness": TEMPERATURE,
    "momentum": SHARE,
    "final_momentum": SHARE,
    "center_momentum": SHARE,
    "frequency_momentum": SHARE,
    "uniform_mix": Range(1e-6, 1.0),
    "queue_length": COUNT_OR_NONE,
    "queue_start": COUNT_OR_NONE,
    "negatives": COUNT,
    "negatives_within": COUNT,
    "examples": COUNT,
    "entries": COUNT,
    "clips": COUNT,
    "positive_pool": COUNT,
    "positives_per_clip": COUNT,
    "recluster_every": COUNT,
    "refresh_every": COUNT,
    "start": SHARE,
    "start_step": COUNT,
    "prototypes": COUNT,
    "clusters": Range(2, 2**31 - 1),
    "directions": Range(1, 2**20),
    "iterations": COUNT_OR_NONE,
    # Weights of a loss.
    "weight": SHARE,
    "invariance": WEIGHT,
    "variance": WEIGHT,
    "covariance": WEIGHT,
    "off_diagonal_weight": WEIGHT,
    "patch_weight": WEIGHT,
    "koleo_weight": WEIGHT,
    "scale": Range(1e-9, 1e6),
    "label_smoothing": Range(0.0, 0.999),
    "layer_decay": Range(1e-3, 1.0),
    # Commands.
    "seed": Range(0, 2**32 - 1),
    "cluster_seed": Range(0, 2**32 - 1),
    "devices": COUNT,
    "microbatches": COUNT,
    "workers": Range(0, 1024),
    "log_every": COUNT,
    "evaluate_every": COUNT,
    "keep": COUNT,
    "every": Range(0.05, 3600.0),
    "count": Range(1, 1000),  # Images in a page.
    "train_images": COUNT,
    "skip_nonfinite": COUNT_OR_NONE,
    "profile": COUNT_OR_NONE,
    "save_minutes": Range(0.0, 1e6),
    "block_size": COUNT,
    "processes": COUNT,
    "process": COUNT_OR_NONE,
    "effort": Range(-1.0, 1.0),
}


def annotated_ranges(annotations: Mapping[str, Any]) -> dict[str, Range]:
    """The ranges that annotations state themselves, by name."""
    stated = ((name, part) for name, kind in annotations.items() for part in getattr(kind, "__metadata__", ()))
    return {name: part for name, part in stated if isinstance(part, Range)}


def check_ranges(annotated: Mapping[str, Range] | None = None, /, **values: Any) -> None:
    """A `UsageError` about the first of the named values that lies outside its range, the annotated one or that of `RANGES`.

    Of a tuple, such as height and width, each value. Names without a range, other values that are not numbers, and arrays are
    not checked.
    """
    ranges = RANGES | dict(annotated or {})
    for name, value in values.items():
        allowed = ranges.get(name)
        for each in value if isinstance(value, tuple) else (value,):
            if allowed and isinstance(each, Real) and not allowed.low <= float(each) <= allowed.high:
                raise UsageError(f"{name}: got {each}, expected {allowed}.")
