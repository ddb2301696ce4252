"""Fixed lists of training images whose labels are used: 1 % or 10 % of each class, the semi-supervised protocol of SimCLR.

A list follows from the images themselves, the share and the seed: images are ranked by a hash of their pixels and the
seed, so that a list depends neither on the order of the files nor on the library or machine, and the list of a smaller
share is part of that of a larger one.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data import Data, Source, in_order, model_inputs
from ssl_jax.data.subsets import Subset
from ssl_jax.errors import UsageError
from ssl_jax.ops.checks import check_count


def check_share(share: float) -> None:
    """Refuses a share of the labels that is out of range."""
    if not 0 < share <= 1:
        raise UsageError(f"labels: got {share}, expected a share above 0 and at most 1, such as 0.01 for 1 %.")


def label_list(source: Source, *, share: float, seed: int = 0) -> NDArray[np.intp]:
    """Indices of the same share of each class of a source, at least one image of each, ascending.

    Reads every image once. Images that cannot be read, or have no label, are not in a list.

    Args:
      share: of the labels of each class, above 0 and at most 1.
      seed: of the hash: another list for each seed.

    Raises:
      UsageError: a share out of range, or no image with a label.
    """
    check_share(share)
    check_count("label_list", least=0, seed=seed)
    ranked: dict[int, list[tuple[bytes, int]]] = {}
    for batch in in_order(source, batch_size=512):
        inputs = model_inputs(batch)
        arrays = inputs.values() if isinstance(inputs, dict) else [inputs]
        for row, (label, index) in enumerate(zip(batch["label"].tolist(), batch["index"].tolist(), strict=True)):
            if label >= 0:
                ranked.setdefault(label, []).append((_hash([array[row] for array in arrays], seed), index))
    if not ranked:
        raise UsageError(f"labels: no image of {source.name} has a label: choose labelled data, or leave labels out.")
    chosen = [index for rows in ranked.values() for _, index in sorted(rows)[: max(1, round(share * len(rows)))]]
    return np.sort(np.array(chosen, np.intp))


def with_share_of_labels(data: Data, share: float, *, seed: int = 0) -> Data:
    """The data set with the images of `label_list` as its training images; the same data where the share is 1."""
    if share == 1:
        return data
    chosen = label_list(data.train, share=share, seed=seed)
    return replace(data, name=f"{data.name}, {100 * share:g} % of the labels", train=Subset(data.train, chosen))


def _hash(arrays: list[NDArray[np.generic]], seed: int) -> bytes:
    found = hashlib.blake2b(digest_size=16, key=seed.to_bytes(8, "little"))
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()
