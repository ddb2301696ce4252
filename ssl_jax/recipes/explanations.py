"""Explanations of options: each is stated once, by its group or in `SHARED`; a recipe with another meaning states its own."""

import inspect
import re
from collections.abc import Callable
from typing import Any

# Options of several recipes that belong to no group; `ssl_jax.ranges` gives their ranges by the same names.
SHARED = {
    "temperature": "temperature of the softmax over similarities.",
    "momentum": "initial momentum of the teacher's moving average; it rises to 1 along a cosine.",
    "queue_length": "number of keys in the queue; a multiple of the batch size.",
    "negatives": "number of negatives for each image, drawn from the memory bank.",
    "prototypes": "number of prototypes.",
    "clusters": "number of clusters in each clustering.",
    "heads": "number of simultaneous clusterings, each of a different view.",
    "small_size": "side of the small crops in pixels.",
    "small_views": "number of small crops of each image.",
    "head_layers": "number of layers of the projection head; the last has 128 outputs.",
    "off_diagonal_weight": "weight of the off-diagonal (redundancy) term; the diagonal (invariance) term has weight 1.",
    "invariance": "weight of the invariance term, the squared distance between the embeddings of two views.",
    "variance": "weight of the variance term, a hinge loss on the standard deviation of each dimension.",
    "covariance": "weight of the covariance term, which decorrelates the dimensions.",
    "weight": "weight of the SIGReg term; the prediction term has 1 minus this weight.",
    "directions": "number of random directions in which SIGReg compares the embeddings with a Gaussian.",
    "registers": "number of register tokens of the encoder: learned, without position, after the class token.",
    "koleo_weight": "weight of the KoLeo term, which keeps the class tokens of different images apart.",
    "mask_ratio": "fraction of the patches that is masked.",
    "blocks": "number of target blocks to predict.",
    "patch_size": "side of a patch in pixels.",
    "stride": "distance in pixels between neighbouring patches.",
    "prediction_steps": "number of rows of patches to predict, starting two rows below.",
    "cells": "number of cells on a side of each position of the last layer; the colour of each cell is predicted.",
    "orders": "number of permutations of the tiles, with the largest Hamming distances possible.",
    "tile_size": "side of a tile in pixels.",
    "gap": "distance between tiles in pixels.",
    "jitter": "largest random offset of a tile in pixels.",
    "features": "file of any encoder's features, from `ssl-jax embed RUN --output FILE.npy`; pixels when empty.",
    "norm_groups": (
        "number of parts of the batch with separate batch-norm statistics in a ResNet, as on the authors' 8 GPUs; the "
        "teacher's examples are shuffled between the parts."
    ),
    "estimator": "estimator of the contrastive loss; the paper's is nce.",
    "reach": "largest number of frames between the two views.",
    "start": "fraction of the run that trains with AVID's loss alone.",
}


def explained(make: Callable[..., Any]) -> str:
    """The docstring of a recipe, with the explanations of the options that it does not explain itself."""
    text = inspect.getdoc(make) or ""
    explanations = SHARED | getattr(make, "explanations", {})
    left_out = [name for name in inspect.signature(make).parameters if f"\n  {name}: " not in text]
    lines = [f"  {name}: {explanations[name]}" for name in left_out if name in explanations]
    return "\n".join([text if "\nArgs:\n" in text else f"{text}\n\nArgs:", *lines])


def explanations_of(group: type) -> dict[str, str]:
    """Explanations in the docstrings of a class and of its bases, by name: lines such as "  epochs: passes over ..."."""
    explanations: dict[str, str] = {}
    for cls in reversed(group.__mro__):
        for name, text in re.findall(r"^  (\w+): (.*(?:\n    .*)*)", inspect.cleandoc(cls.__doc__ or ""), re.MULTILINE):
            explanations[name] = " ".join(text.split())
    return explanations
