"""The arrays of the report's pictures: the inputs of the networks, neighbours, embeddings, prototypes, attention.

Among neighbours and prototypes a clip is shown by its middle frame.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.data import Data, Source, model_inputs
from ssl_jax.data.source import read
from ssl_jax.data.subsets import readable, stratified
from ssl_jax.evaluate.features import Features
from ssl_jax.evaluate.pooling import patch_grid
from ssl_jax.methods.method import Method, Params, State
from ssl_jax.report.attention import attention_maps, on_grid, rollout
from ssl_jax.report.inputs import Trained, as_pixels, input_pictures
from ssl_jax.report.pictures import spread
from ssl_jax.report.reading import save_pictures

CHUNK = 64  # Images that are encoded at once.
Attend = Callable[[Any, Any, Any], tuple[Array, tuple[int, int]] | None]


def save_album(
    run: Path,
    *,
    data: Data,
    augment: Callable[[Array, Any], Any],
    prepare: Callable[[Any], Any],
    before: Features | None = None,
    after: Features | None = None,
    trained: Trained | None = None,
    seed: int = 0,
) -> Path:
    """Writes `run`/pictures.npz.

    Args:
      before, after: features of all of `data`, untrained and trained; no neighbours and no map when None.
      trained: the method and its weights; without them there are neither masks and reconstructions, nor prototypes, nor
        attention maps.
    """
    data = replace(
        data, train=readable(data.train), test=data.test and readable(data.test)
    )  # In agreement with the features.
    arrays = input_pictures(data, augment, prepare, trained, seed=seed)
    if trained is not None:
        attend = partial(jax.jit(attentions_of(trained.method, prepare)), trained.params, trained.state)
        arrays |= _attention(data, prepare, attend) | _prototypes(data, prepare, trained)
    if before and after and len(before.train) == len(data.train) > 1:
        arrays |= _neighbors(data, before, after) | ({"class_names": np.array(data.classes)} if data.classes else {})
        arrays |= _map(data.test or data.train, before, after)
    return save_pictures(run, **arrays)


def attentions_of(method: Method, prepare: Callable[[Any], Any]) -> Attend:
    """`(params, state, uint8 images [B, H, W, C]) -> ([L, B, H, T, T], (g, h))`, to be jitted: the attention weights of all
    blocks of the method's backbone, and the rows and columns of patches. None without a backbone, or where it is no vision
    transformer.
    """

    def attend(params: Any, state: Any, images: Any) -> tuple[Array, tuple[int, int]] | None:
        backbone = method.backbone(params, state)
        prepared = jax.vmap(prepare)(images)
        grid = patch_grid(backbone, prepared)
        if backbone is None or grid is None or backbone.net.inspect is None:
            return None
        _, blocks = backbone.net.inspect(backbone.params, backbone.stats, prepared)
        weights = [blocks[name]["attention"]["weights"] for name in backbone.net.layers if name in blocks]
        return jnp.stack(weights), grid

    return attend


def _attention(
    data: Data, prepare: Callable, attend: Callable[[Any], tuple[Array, tuple[int, int]] | None], *, count: int = 8
) -> dict[str, np.ndarray]:
    source = data.test or data.train
    inputs = model_inputs(read(source, stratified(source, count)))
    maps, rolled = [], []
    for number in range(count):  # One at a time: a large ViT has hundreds of megabytes of weights for each image.
        found = attend(jax.tree.map(lambda array, row=number: array[row : row + 1], inputs))
        if found is None:
            return {}
        attentions, (rows, columns) = np.asarray(found[0]), found[1]
        grid = int(rows), int(columns)
        maps.append(attention_maps(attentions, grid=grid)[0].astype(np.float32))
        rolled.append(on_grid(rollout(attentions, grid=grid), grid=grid)[0].astype(np.float32))
    images = as_pixels(jax.jit(jax.vmap(prepare))(inputs), prepare, inputs)
    return {"attention_image": images, "attention": np.stack(maps), "rollout": np.stack(rolled)}


def _still(source: Source, number: int) -> np.ndarray:
    """The image, or the middle frame of a clip."""
    image = source[int(number)]["image"]
    return image[len(image) // 2] if image.ndim == 4 else image


def _neighbors(
    data: Data, before: Features, after: Features, *, queries: int = 10, k: int = 8
) -> dict[str, np.ndarray]:
    """Test images and the training images nearest to them; or without test images, training images and other ones."""
    source = data.test or data.train
    labels = after.test_labels if data.test else after.train_labels
    rows = of_each_class(labels, queries) if (labels >= 0).any() else stratified(source, min(queries, len(source)))
    arrays = {
        "query": np.stack([_still(source, row) for row in rows]),
        "query_label": after.test_labels[rows] if data.test else np.full(len(rows), -1),
    }
    for name, features in {"neighbors_before": before, "neighbors_after": after}.items():
        keys = features.train / np.linalg.norm(features.train, axis=1, keepdims=True).clip(1e-12)
        cosines = features.test[rows] @ keys.T  # [q, N]
        if not data.test:
            cosines[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argsort(-cosines, axis=1)[:, : k if data.test else min(k, len(keys) - 1)]  # [q, k]
        arrays[name] = np.stack([[_still(data.train, number) for number in row] for row in nearest])
        arrays[f"{name}_label"] = features.train_labels[nearest]
    return arrays


def of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows of the first examples of each class, in order of the classes: as many of each as fit into `count`, at least one.

    Of `count` classes, evenly spaced, where there are more.
    """
    classes = np.unique(labels[labels >= 0])
    classes = classes[np.linspace(0, len(classes) - 1, min(count, len(classes))).astype(int)]
    return np.concatenate([np.flatnonzero(labels == each)[: count // len(classes)] for each in classes])


def _prototypes(
    data: Data, prepare: Callable, trained: Trained, *, searched: int = 512, prototypes: int = 8, k: int = 8
) -> dict[str, np.ndarray]:
    """The prototypes with the most images, each with the images to which it is assigned with the highest probability."""
    rows = stratified(data.train, min(searched, len(data.train)))
    size = min(CHUNK, len(rows))
    rows = rows[: len(rows) // size * size]

    @jax.jit
    def assign(params: Params, state: State, images: Any) -> Array | None:
        return trained.method.assignments(params, state, jax.vmap(prepare)(images))

    found = []
    for chunk in rows.reshape(-1, size):
        inputs = model_inputs(read(data.train, chunk))
        probabilities = assign(trained.params, trained.state, inputs)
        if probabilities is None:
            return {}
        found.append(np.asarray(probabilities))
    shares = np.concatenate(found)  # [N, K]
    counts = np.bincount(shares.argmax(axis=1), minlength=shares.shape[1])
    used = np.argsort(-counts, kind="stable")[: min(prototypes, np.count_nonzero(counts))]
    nearest = np.argsort(-shares[:, used], axis=0, kind="stable")[:k].T  # [x, k]
    return {
        "prototype_image": np.stack([[_still(data.train, rows[each]) for each in row] for row in nearest]),
        "prototype_share": counts[used] / len(rows),
    }


def _map(source: Source, before: Features, after: Features, *, size: int = 800) -> dict[str, np.ndarray]:
    rows = stratified(source, min(size, len(source)))
    arrays = {
        "embedding": after.test[rows],
        "embedding_before": before.test[rows],
        "embedding_label": after.test_labels[rows],
    }
    if (arrays["embedding_label"] < 0).all():
        arrays["embedding_image"] = np.stack([_still(source, row) for row in rows[spread(len(rows))]])
    return arrays
