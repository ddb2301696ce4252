"""`ssl-jax embed`: features of all training images in a file."""

import functools
from pathlib import Path

import jax
import numpy as np

from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.commands.saved_run import open_for, restore
from ssl_jax.data import in_order
from ssl_jax.data.source import readable_indices
from ssl_jax.errors import writing
from ssl_jax.evaluate.features import feature_extractor, features_of
from ssl_jax.files import replacing
from ssl_jax.train.log import log_line
from ssl_jax.train.mesh import batch_sharding


def embed(
    run: Path, *, output: Path, data: str | None = None, layer: str = "features", step: int | None = None
) -> None:
    """Writes the frozen features of all training images, in their order: a .npy file, float32 `[N, D]`.

    The rows of unreadable images are NaN.
    """
    check_ending(output, ".npy")
    _, recipe, state, mesh = restore(run, step)
    images = open_for(data, recipe, state, layer=layer).train
    check_writable(output)
    log_line(f"computing {layer} of the {len(images)} images of {images.name}")
    of_images = functools.partial(
        jax.jit(feature_extractor(recipe.method, recipe.prepare, layer=layer)), state.params, state.method_state
    )
    readable, _ = features_of(of_images, in_order(images, batch_size=512), sharding=batch_sharding(mesh))
    features = np.full((len(images), readable.shape[1]), np.nan, np.float32)
    features[readable_indices(images)] = readable
    with writing("output", output, "free disk space, or name another file"), replacing(output) as draft:
        np.save(draft, features)
