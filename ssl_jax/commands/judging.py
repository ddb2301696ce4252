"""The features of trained weights beside those of untrained ones and raw pixels, as every command judges them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh

from ssl_jax.data import Data, subsample
from ssl_jax.evaluate.crops import Augmentation, crop_and_flip
from ssl_jax.evaluate.features import (
    MOST_TRAINING_IMAGES,
    Encode,
    Features,
    Network,
    compute_features,
    encode,
    feature_extractor,
    few_of,
    pixels,
)
from ssl_jax.evaluate.patches import checked_maps, map_extractor, pixel_maps
from ssl_jax.evaluate.protocols import PROTOCOLS, chosen_protocols, without_labels
from ssl_jax.evaluate.results import evaluate_sources
from ssl_jax.methods.method import Params, State
from ssl_jax.recipes import Recipe
from ssl_jax.train.compilation import for_one_call
from ssl_jax.train.log import log_line
from ssl_jax.train.mesh import replicated
from ssl_jax.train.state import TrainState

MOST_SHOWN = 10_000


def evaluate_trained(
    recipe: Recipe,
    data: Data,
    state: TrainState,
    mesh: Mesh | None,
    *,
    layer: str = "features",
    protocols: Sequence[str] = (),
    seed: int,
    init_seed: int,
    epochs: float = 100,
    augment: Augmentation | None = None,
    encode: Encode = encode,
    train_images: int = MOST_TRAINING_IMAGES,
) -> tuple[dict[str, Any], Features | None, Features | None]:
    """The results of trained weights, untrained weights and pixels; and the features before and after training.

    Without labels, the results are those of the protocols that need none, empty if there are none.

    encode: as `ssl_jax.evaluate.features.encode`; `KeptFeatures` has one that reads what earlier commands computed.
    train_images: as in `compute_features`.
    """
    if data.test is None:
        log_line(f"{data.name} has no labelled test images: the features are not evaluated")
        return {}, None, None
    embed = feature_extractor(recipe.method, recipe.prepare, layer=layer)
    maps = map_extractor(recipe.method, recipe.prepare, layer=layer)
    networks = {
        source: Network(embed, params, method_state, data, mesh, augment, epochs, maps)
        for source, (params, method_state) in weights_of(recipe, state, mesh, init_seed).items()
    }
    networks["pixels"] = Network(pixels, None, None, data, mesh, augment, epochs)
    if any(PROTOCOLS[name].needs_masks for name in protocols):
        grid = checked_maps(networks["pretrained"], prepare=recipe.prepare)
        networks["pixels"] = networks["pixels"]._replace(maps=pixel_maps(grid))
    features = partial(compute_features, data=data, mesh=mesh, encode=encode, train_images=train_images)
    after, before = (
        features(embed, networks[source].params, networks[source].state) for source in ("pretrained", "untrained")
    )
    label_free = [name for name in chosen_protocols(protocols) if not PROTOCOLS[name].needs_labels]
    if unlabelled := without_labels(after):
        missing = f"{data.name} has no labelled {' and no labelled '.join(unlabelled)} images"
        log_line(f"{missing}: {' and '.join(label_free) + ' only' if label_free else 'the features are not evaluated'}")
        if not label_free:
            return {}, before, after
    if sentence := few_of(data, train_images):
        log_line(sentence)
    raw = features(pixels, None, None)
    sources = {"pretrained": after, "untrained": before, "pixels": raw}
    return evaluate_sources(sources, protocols=protocols, networks=networks, seed=seed), before, after


def shown_without_labels(
    recipe: Recipe, state: TrainState, mesh: Mesh | None, *, init_seed: int, encode: Encode = encode
) -> tuple[Data, Features, Features]:
    """At most 10,000 training images, and their features before and after training, for the pictures of the report."""
    data = replace(recipe.data, train=subsample(recipe.data.train, MOST_SHOWN))
    embed = feature_extractor(recipe.method, recipe.prepare)
    before, after = (
        compute_features(embed, *weights_of(recipe, state, mesh, init_seed)[source], data, mesh=mesh, encode=encode)
        for source in ("untrained", "pretrained")
    )
    return data, before, after


def described(request: Mapping[str, Any], state: TrainState, data: Data) -> dict[str, Any]:
    """What every result begins with: the run's request, its step, the data, and the accuracy by chance, 1/K."""
    about = {"method": request["method"], "recipe": request["recipe"], "steps": int(state.step), "data": data.name}
    return about | {"chance": chance_level(data)}


def chance_level(data: Data) -> float | None:
    """1/K of K classes; None without labels."""
    return round(1 / len(data.classes), 4) if data.classes else None


def augmentation_for(data: Data, *, min_scale: float, flip: bool) -> Augmentation | None:
    """Crops and flips of images; None for clips."""
    return crop_and_flip(min_scale=min_scale, flip=flip) if len(data.train.image_shape) == 3 else None


def weights_of(recipe: Recipe, state: TrainState, mesh: Mesh | None, seed: int) -> dict[str, tuple[Params, State]]:
    """The parameters and the state of the method after and before training, by source."""
    untrained = jax.jit(lambda: recipe.method.init(jax.random.key(seed)), compiler_options=for_one_call())()
    untrained = untrained if mesh is None else jax.device_put(untrained, replicated(mesh))
    return {"pretrained": (state.params, state.method_state), "untrained": untrained}
