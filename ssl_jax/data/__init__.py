"""Sources of images, clips and words: data sets by name, and the endless batches of training."""

from ssl_jax.data.batches import Batches
from ssl_jax.data.datasets import NAMES, open_data, open_parts, resolve_name
from ssl_jax.data.drawn.clips import Clips
from ssl_jax.data.drawn.emblems import Emblems
from ssl_jax.data.drawn.scenes import Scenes
from ssl_jax.data.drawn.shapes import Shapes
from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.data.given import as_source
from ssl_jax.data.order import steps_per_epoch
from ssl_jax.data.source import Arrays, ArraySource, Data, Readable, Source, in_order, load_into_memory, model_inputs
from ssl_jax.data.subsets import split_training, subsample

__all__ = [
    "NAMES",
    "ArraySource",
    "Arrays",
    "Batches",
    "Clips",
    "Data",
    "Emblems",
    "Readable",
    "Scenes",
    "Shapes",
    "Source",
    "Synthetic",
    "as_source",
    "in_order",
    "load_into_memory",
    "model_inputs",
    "open_data",
    "open_parts",
    "resolve_name",
    "split_training",
    "steps_per_epoch",
    "subsample",
]
