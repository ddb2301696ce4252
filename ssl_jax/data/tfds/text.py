"""Texts with labels of prepared tfds data sets, such as imdb_reviews, without TensorFlow."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from ssl_jax.data.tfds.keys import choose_label
from ssl_jax.data.tfds.names import parse, prepared
from ssl_jax.data.tfds.records import Examples, stored
from ssl_jax.errors import UsageError


class Texts(NamedTuple):
    """The texts of a split, whole in memory, their labels `[N]`, and the names of the classes."""

    texts: tuple[str, ...]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]


def open_texts(specification: str) -> Texts:
    """The texts of a split, named as in `ssl_jax.data.tfds.prepared`: `imdb_reviews:train`.

    Args:
      specification: `name[/config][:version][:split][,label=KEY]`; the split is "train" if left out. The data set is in the
        folder that TFDS_DATA_DIR names, else in `~/tensorflow_datasets`.

    Raises:
      UsageError: unknown name, not prepared (with the command that prepares it), no such split, or not one text and one class
        label in each example.
    """
    name, version, split, _, label = parse(specification)
    folder: Path = prepared(name, version, ())
    builder = tfds.builder_from_directory(folder)
    info = builder.info
    key, found = choose_label(info, named=label), [name for name, feature in info.features.items() if _is_text(feature)]
    if len(found) != 1 or key is None or not isinstance(info.features[key], tfds.features.ClassLabel):
        raise UsageError(
            f"data: {info.full_name} has {', '.join(sorted(info.features))}, expected one text and a class label: choose a "
            "data set of texts, such as imdb_reviews."
        )
    examples = Examples(stored(builder, split or "train"), name=info.full_name, label=key)
    pairs = [examples.example(number) for number in range(len(examples))]
    texts = tuple(example[found[0]].decode("utf-8", "replace") for example, _ in pairs)
    return Texts(texts, np.array([label for _, label in pairs], np.int32), tuple(info.features[key].names))


def _is_text(feature: object) -> bool:
    return isinstance(feature, tfds.features.Text)
