"""Explanations of options: each is stated once, by its group, its method or in `SHARED`; a recipe may state its own."""

import inspect
import re
from collections.abc import Callable
from typing import Any

# Options of several recipes that belong to no group; `ssl_jax.ranges` gives their ranges by the same names.
SHARED = {
    "temperature": "temperature of the softmax over similarities.",
    "momentum": "initial momentum of the teacher's moving average; it rises to 1 along a cosine.",
    "prototypes": "number of prototypes.",
    "clusters": "number of clusters.",
    "head_layers": "number of layers of the projection head; the last has 128 outputs.",
    "invariance": "weight of the invariance term, the squared distance between the embeddings of two views.",
    "variance": "weight of the variance term, a hinge loss on the standard deviation of each dimension.",
    "covariance": "weight of the covariance term, which decorrelates the dimensions.",
    "registers": "number of register tokens of the encoder: learned, without position, after the class token.",
    "mask_ratio": "fraction of the patches that is masked.",
    "blocks": "number of target blocks to predict.",
    "patch_size": "side of a patch in pixels.",
    "stride": "distance in pixels between neighbouring patches.",
    "prediction_steps": "number of rows of patches to predict, starting two rows below.",
    "orders": "number of permutations of the tiles, with the largest Hamming distances possible.",
    "features": "file of any encoder's features, from `ssl-jax embed RUN --output FILE.npy`; pixels when empty.",
    "clip": "largest norm of each parameter's gradient.",
    "drop_path": "stochastic depth of the student's last block, if the encoder is a ViT.",
    "cluster_seed": "seed of k-means; the seed of the run does not change the clusters.",
    "in_order": "share of the triples of frames that are in order.",
    "margin": "smallest distance, in frames, of a wrong middle frame from the interval of the other two.",
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
    """Explanations in the docstrings of a class and of its bases, by name.

    Of lines such as "epochs: passes over ...", indented below "Attributes:" or not, as in the methods.
    """
    explanations: dict[str, str] = {}
    for cls in reversed(group.__mro__):
        text = inspect.cleandoc(cls.__doc__ or "")
        indent = "  " if "\nAttributes:\n" in text else ""
        for name, words in re.findall(rf"^{indent}(\w+): (.*(?:\n{indent}  .*)*)", text, re.MULTILINE):
            explanations[name] = " ".join(words.split())
    return explanations
