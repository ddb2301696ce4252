"""The colours of patches before and after training, for the report of a run."""

from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from ssl_jax.commands.judging import weights_of
from ssl_jax.data import Data, subsample
from ssl_jax.errors import writing
from ssl_jax.evaluate import principal_colors
from ssl_jax.evaluate.features import Network
from ssl_jax.evaluate.patches import map_extractor, read_patches
from ssl_jax.recipes import Recipe
from ssl_jax.report.reading import add_pictures
from ssl_jax.train.state import TrainState

SHOWN, COMPARED = 8, 128  # Images in the report, and those whose patches define the components.


def save_patch_pictures(
    run: Path, recipe: Recipe, data: Data, state: TrainState, mesh: Mesh, *, layer: str, init_seed: int
) -> None:
    """Adds test images, their masks, and the colours of their patches to the pictures of a run."""
    assert data.test is not None
    extract, source = map_extractor(recipe.method, recipe.prepare, layer=layer), subsample(data.test, COMPARED)
    arrays = {"patch_image": np.stack([source[number]["image"] for number in range(min(SHOWN, len(source)))])}
    names = {"pretrained": "patch_colors", "untrained": "patch_colors_before"}
    for weights, (params, method_state) in weights_of(recipe, state, mesh, init_seed).items():
        patches = read_patches(Network(extract, params, method_state, data, mesh, maps=extract), source)
        arrays |= {names[weights]: principal_colors(patches.maps)[:SHOWN], "patch_mask": patches.masks[:SHOWN]}
    folder = run if run.is_dir() else run.parent
    with writing("run", folder, "free disk space, or leave out --save"):
        add_pictures(folder, **arrays)
