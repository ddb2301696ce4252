"""What options mean: each is explained once, by its group or here, and where a recipe means something else by the recipe."""

import inspect
import re
from collections.abc import Callable
from typing import Any

# Options of several recipes that belong to no group; `ssl_jax.ranges` gives their ranges by the same names.
SHARED = {
    "temperature": "divides similarities.",
    "momentum": "of the teacher at first; it rises to 1 by a cosine.",
    "queue_length": "keys that are remembered; a multiple of the batch.",
    "negatives": "memories of other images, for each.",
    "prototypes": "how many.",
    "clusters": "of each clustering.",
    "heads": "clusterings at a time, of different views.",
    "small_size": "side of the small crops.",
    "small_views": "small crops of an image.",
    "head_layers": "of the projection head, the last with 128 outputs.",
    "off_diagonal_weight": "of redundancy against agreement.",
    "invariance": "weight of the agreement of views.",
    "variance": "weight of each dimension's spread.",
    "covariance": "weight of the dimensions' independence.",
    "weight": "of the Gaussian's term against the prediction's.",
    "directions": "in which the embeddings' distribution is compared with the Gaussian's.",
    "mask_ratio": "part of the patches that is hidden.",
    "blocks": "of patches, to be predicted.",
    "patch_size": "side of a patch in pixels.",
    "stride": "pixels from patch to patch.",
    "prediction_steps": "how many rows of patches are predicted, from two below on.",
    "cells": "on a side of each place of the last layer, the colours of which it tells.",
    "orders": "permutations of the tiles, as far apart as possible.",
    "tile_size": "side of a tile in pixels.",
    "gap": "pixels between tiles.",
    "jitter": "pixels by which a tile may lie off its place.",
    "features": "file of `ssl-jax embed RUN --output FILE.npy`, any encoder's; pixels when empty.",
    "norm_groups": (
        "parts of the batch with statistics of their own in a ResNet, as on the authors' 8 GPUs; the teacher's parts are "
        "shuffled."
    ),
    "estimator": "of the contrastive loss; the paper's is nce.",
    "reach": "frames from one view to the other, at most.",
    "start": "part of the run that is AVID alone.",
}


def explained(make: Callable[..., Any]) -> str:
    """The docstring of a recipe, with explanations of the options that it leaves out."""
    text = inspect.getdoc(make) or ""
    known = SHARED | getattr(make, "explanations", {})
    left_out = [name for name in inspect.signature(make).parameters if f"\n  {name}: " not in text]
    lines = [f"  {name}: {known[name]}" for name in left_out if name in known]
    return "\n".join([text if "\nArgs:\n" in text else f"{text}\n\nArgs:", *lines])


def explanations_of(group: type) -> dict[str, str]:
    """Explanations in the docstrings of a class and of its bases, by name: lines such as "  epochs: passes over ..."."""
    found: dict[str, str] = {}
    for cls in reversed(group.__mro__):
        for name, words in re.findall(
            r"^  (\w+): (.*(?:\n    .*)*)", inspect.cleandoc(cls.__doc__ or ""), re.MULTILINE
        ):
            found[name] = " ".join(words.split())
    return found
